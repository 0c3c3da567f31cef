"""params.yaml as frozen dataclasses: unknown keys and wrong types are refused, with the nearest valid name."""

import math
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from components import gate
from components.errors import UsageError
from components.evaluate import config as evaluation
from components.evaluate.config import Evaluate
from components.gate import Gate
from components.models.sizes import usual_size
from components.train.config import TrainConfig
from components.train.space import Knob, Space, Tune, refuse_impossible

Task = Literal["classification", "detection"]


@dataclass(frozen=True)
class Dataset:
    """How one dataset is read."""

    format: Literal["auto", "folder", "leaf-folder", "yolo", "voc", "coco", "csv"]
    group_pattern: str | None
    group_column: str | None
    near_duplicates: bool
    label_safety: str | list[str] | None


@dataclass(frozen=True)
class Data:
    """The datasets, one a task."""

    classification: Dataset
    detection: Dataset


@dataclass(frozen=True)
class Validate:
    """What a dataset must be; sides in pixels, fractions 0..1."""

    on_bad: Literal["quarantine", "fail", "report"]
    max_bad_fraction: float
    min_side: int
    max_side: int
    min_images_per_class: int
    labels: list[str] | None
    expectations: dict[str, list[dict[str, Any]]]


@dataclass(frozen=True)
class Split:
    """Shares of train, val and test, 0..1, adding up to 1, and what becomes of leakage in a given split."""

    train: float
    val: float
    test: float
    on_leak: Literal["refuse", "repair"]


@dataclass(frozen=True)
class Augment:
    """A policy for each task, by name, in full, or a file of policies/."""

    classification: str | list[dict[str, Any]]
    detection: str | list[dict[str, Any]]
    preview_images: int


@dataclass(frozen=True)
class Model:
    """One entry of `models:` with the defaults of `train:` and the network's usual size filled in."""

    name: str
    task: Task
    architecture: str
    weights: str | None
    head: Literal["published", "pooled", "course"] | None
    image_size: int
    train_size: int | None
    tile_size: int | None
    tile_overlap: float
    mirror: bool
    seed: int
    train: TrainConfig


@dataclass(frozen=True)
class Promote:
    """The gates, how often the bootstrap resamples, and whether a human must agree, within so many seconds."""

    rounds: int
    approval: Literal["none", "required"]
    approval_timeout: float
    classification: Gate
    detection: Gate


@dataclass(frozen=True)
class Run:
    """How `visionloop run` runs stages; times in seconds, the cache in 10^9 bytes."""

    stage_timeout: int
    retries: int
    trainings_at_once: int
    checkpoint_seconds: float
    cache_gigabytes: float


@dataclass(frozen=True)
class Settings:
    """Everything params.yaml says."""

    seed: int
    data: Data
    validate: Validate
    split: Split
    augment: Augment
    models: dict[str, Model]
    tune: Tune
    evaluate: Evaluate
    promote: Promote
    run: Run


FOR_CLASSIFIERS = {"mixup": 0.0, "cutmix": 0.0, "class_balance": "none"}  # with what turns them off
FOR_DETECTORS = {"mosaic": 0.0, "box_mixup": 0.0}
USUAL = {"train_size": None, "tile_size": None, "tile_overlap": 0.2, "head": None, "mirror": False}  # overlap: arXiv:2202.06934
MODEL_KEYS = ("task", "architecture", "weights", "image_size", "seed", *USUAL)


def load(path: Path) -> Settings:
    """Read params.yaml. Raises UsageError naming the file and the key that is wrong."""
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path} could not be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid YAML: {error}") from None
    return parse(raw, str(path))


def parse(raw: Any, source: str = "params.yaml") -> Settings:
    """Settings of the mapping that a params.yaml holds. Raises UsageError naming the key that is wrong."""
    from pydantic import TypeAdapter

    if not isinstance(raw, dict):
        raise UsageError(f"{source} holds {type(raw).__name__}, expected a mapping with the blocks {_blocks()}")
    raw = dict(raw)
    _refuse_unknown(raw, [*_blocks(), "train"], source, "")
    defaults, models = raw.pop("train", None), raw.get("models")
    if not isinstance(defaults, dict) or not isinstance(models, dict) or not models:
        raise UsageError(f"{source}: `train` and `models` must be mappings, and `models` must name one model at least")
    usual = {**USUAL, "seed": raw["seed"]} if "seed" in raw else USUAL
    raw["models"] = {str(name): _model(str(name), block, (usual, defaults), source) for name, block in models.items()}
    settings: Settings = _checked(TypeAdapter(_strict(Settings)), raw, source)
    _refuse_impossible(settings, source)
    return settings


def _blocks() -> list[str]:
    return [field.name for field in fields(Settings)]


def _model(name: str, block: Any, unsaid: tuple[dict[str, Any], dict[str, Any]], source: str) -> dict[str, Any]:
    """`unsaid`: what a block that does not say it is given, of its own keys and of the training's."""
    usual, defaults = unsaid
    if not isinstance(block, dict):
        raise UsageError(f"{source}: models.{name} is {block!r}, expected a mapping with {', '.join(MODEL_KEYS)}")
    knobs = [field.name for field in fields(TrainConfig)]
    _refuse_unknown(defaults, knobs, source, "train.")
    _refuse_unknown(block, [*MODEL_KEYS, *knobs], source, f"models.{name}.")
    about = {**usual, **{key: block[key] for key in MODEL_KEYS if key in block}}
    if about.get("image_size") is None:
        about["image_size"] = usual_size(str(block.get("architecture")))
    return {"name": name, **about, "train": {**defaults, **{key: block[key] for key in knobs if key in block}}}


def _refuse_unknown(block: dict[str, Any], known: list[str], source: str, prefix: str) -> None:
    for key in block:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f"; did you mean {prefix}{near[0]}?" if near else f"; known: {', '.join(known)}"
            raise UsageError(f"{source}: unknown parameter {prefix}{key}{hint}")


def _strict(kind: type) -> Any:
    for part in (Settings, Data, Dataset, Validate, Split, Augment, Model, TrainConfig, Knob, Space, Tune, Evaluate, Gate, Promote, Run):
        part.__pydantic_config__ = {"extra": "forbid", "strict": False}  # type: ignore[union-attr]
    return kind


def _checked(adapter: Any, raw: dict[str, Any], source: str) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(raw)
    except ValidationError as error:
        # A misspelled key is also a missing one: what was written says more than what was not.
        first = min(error.errors(), key=lambda one: _TELLING.get(one["type"], 1))
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "unexpected_keyword_argument":
            raise UsageError(f"{source}: unknown parameter {key}{_nearest(first['loc'])}") from None
        if first["type"] == "missing":
            raise UsageError(f"{source}: {key} is missing") from None
        raise UsageError(f"{source}: {key} is {first['input']!r}: {first['msg'].lower()}") from None


_TELLING = {"unexpected_keyword_argument": 0, "missing": 2}


def _nearest(location: tuple[Any, ...]) -> str:
    parts = (Data, Dataset, Validate, Split, Augment, Knob, Space, Tune, Evaluate, Gate, Promote, Run)
    known = sorted({field.name for part in parts for field in fields(part)})
    near = get_close_matches(str(location[-1]), known, n=1)
    return f"; did you mean {'.'.join([*map(str, location[:-1]), near[0]])}?" if near else ""


def _refuse_impossible(settings: Settings, source: str) -> None:
    shares = {name: getattr(settings.split, name) for name in ("train", "val", "test")}
    if min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise UsageError(f"{source}: split is {shares}, expected three shares above 0 that add up to 1")
    own = settings.validate
    if not 0 <= own.max_bad_fraction <= 1 or not 1 <= own.min_side <= own.max_side:
        raise UsageError(f"{source}: validate: max_bad_fraction must lie in 0..1, min_side be 1 or more, max_side no less than min_side")
    for model in settings.models.values():
        config = model.train
        batch = 1 if config.batch_size == "auto" else config.batch_size
        if min(config.epochs, batch, config.threads) < 1 or not 0 <= config.frozen_epochs < config.epochs:
            raise UsageError(f"{source}: models.{model.name}: epochs, batch_size and threads must be 1 or more, frozen_epochs below epochs")
        _refuse_unmixable(model, source)
    refuse_impossible(settings.tune, f"{source}: tune")
    for task in ("classification", "detection"):
        gate.refuse_impossible(getattr(settings.promote, task), f"{source}: promote.{task}")
    evaluation.refuse_impossible(settings.evaluate, f"{source}: evaluate")


def _refuse_unmixable(model: Model, source: str) -> None:
    """Pictures of one label are mixed and balanced by it; those with boxes are composed of several."""
    config, whose = model.train, f"{source}: models.{model.name}"
    for name, off in FOR_CLASSIFIERS.items() if model.task == "detection" else FOR_DETECTORS.items():
        found = getattr(config, name)
        if found != off:
            kind, other = ("detector", "classifiers") if model.task == "detection" else ("classifier", "detectors")
            remedy = f"it is for {other}: set models.{model.name}.{name}: {off}, or {name} in the blocks of {other} alone"
            raise UsageError(f"{whose} is a {kind} with {name}: {found}; {remedy}")
    for name in ("mixup", "cutmix"):
        if not 0 <= getattr(config, name) < math.inf:
            raise UsageError(f"{whose}.{name} is {getattr(config, name)}, expected 0 (off) or more")
    for name in ("mosaic", "box_mixup"):
        if not 0 <= getattr(config, name) <= 1:
            raise UsageError(f"{whose}.{name} is {getattr(config, name)}, expected a share of the pictures, 0 (off) to 1")
    if not 0 <= config.close_mosaic_epochs <= config.epochs:
        raise UsageError(f"{whose}.close_mosaic_epochs is {config.close_mosaic_epochs}, expected 0 to its {config.epochs} epochs")


def override(raw: dict[str, Any], assignments: list[str]) -> None:
    """Apply `key.path=value` assignments to the mapping itself; values are read as YAML.

    Raises UsageError for an assignment that is no `key=value` or names a block that does not exist.
    """
    for assignment in assignments:
        key, sign, value = assignment.partition("=")
        parts = key.strip().split(".")
        if not sign or not all(parts):
            raise UsageError(f"--set got {assignment!r}, expected key=value, for instance train.epochs=3")
        block: Any = raw
        for part in parts[:-1]:
            block = block.get(part) if isinstance(block, dict) else None
        if not isinstance(block, dict):
            raise UsageError(f"--set {assignment}: params.yaml has no block {'.'.join(parts[:-1])!r}")
        block[parts[-1]] = yaml.safe_load(value)
        _refuse_idle(raw, parts, assignment)


def _refuse_idle(raw: dict[str, Any], parts: list[str], assignment: str) -> None:
    """A default that every model overrides would change nothing, and seem to."""
    models = raw.get("models")
    if len(parts) != 2 or parts[0] != "train" or not isinstance(models, dict):
        return
    if all(isinstance(own, dict) and parts[1] in own for own in models.values()):
        named = " or ".join(f"models.{name}.{parts[1]}" for name in models)
        raise UsageError(f"--set {assignment} changes nothing, since every model has its own {parts[1]}: set {named}")
