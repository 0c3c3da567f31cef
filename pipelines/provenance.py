"""What a published run was made of: data, code and params, as its dvc.lock records them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from components.errors import DataError
from pipelines.paths import Paths

Factor = Literal["data", "code", "params"]
FACTORS: tuple[Factor, ...] = ("data", "code", "params")
FILES = ("dvc.lock", "params.yaml", "data.dvc")
OUTPUTS = "outputs/"
MODELS, MODEL = "models", "models.{}"


@dataclass(frozen=True)
class Provenance:
    """What the stages of one model read: digest of data/, MD5 of files of code by path, values of params.yaml by key."""

    model: str
    folder: Path
    data: str
    code: Mapping[str, str]
    params: Mapping[str, Any]


def files(paths: Paths) -> list[Path]:
    """The files that say what a run is made of, as far as they are there."""
    return [path for name in FILES if (path := paths.root / name).is_file()]


def read(folder: Path, model: str) -> Provenance:
    """What `files` say of a model, kept in `folder`. Raises DataError when dvc.lock does not know the model's stages."""
    try:
        stages = yaml.safe_load((folder / "dvc.lock").read_text(encoding="utf-8"))["stages"]
        mine = [stages[name] for name in ("validate", "split", "augment", f"train@{model}", f"evaluate@{model}")]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder / 'dvc.lock'} does not record the stages of {model} ({error!r}): publish the run again by `visionloop run`"
        ) from None
    deps = {dep["path"]: str(dep["md5"]) for stage in mine for dep in stage["deps"]}
    code = {path: md5 for path, md5 in deps.items() if path != "data" and not path.startswith(OUTPUTS)}
    params: dict[str, Any] = {}
    for stage in mine:
        for key, value in stage.get("params", {}).get("params.yaml", {}).items():
            if key != MODELS:  # what the other models are makes no difference to this one
                params |= _flat("model" if key == MODEL.format(model) else key, value)
    return Provenance(model, folder, deps["data"], code, params)


def differences(one: Provenance, other: Provenance) -> dict[Factor, list[str]]:
    """What differs between two: the keys of params with both values, the files of code, the digests of the data."""
    keys = sorted({*one.params, *other.params})
    paths = sorted({*one.code, *other.code})
    found: dict[Factor, list[str]] = {
        "data": [] if one.data == other.data else [f"{one.data[:12]} -> {other.data[:12]}"],
        "code": [path for path in paths if one.code.get(path) != other.code.get(path)],
        "params": [
            f"{key}: {one.params.get(key)} -> {other.params.get(key)}" for key in keys if one.params.get(key) != other.params.get(key)
        ],
    }
    if one.model != other.model:
        found["params"].insert(0, f"model: {one.model} -> {other.model}")
    return {factor: said for factor, said in found.items() if said}


def _flat(key: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict) and value:
        return {name: one for part, inner in value.items() for name, one in _flat(f"{key}.{part}", inner).items()}
    return {key: value}
