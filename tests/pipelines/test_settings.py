from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from components.errors import UsageError
from components.train.config import TrainConfig
from pipelines import settings

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
RAW = yaml.safe_load(PARAMS.read_text("utf-8"))


def fresh() -> dict[str, Any]:
    return dict(yaml.safe_load(PARAMS.read_text("utf-8")))


def leaves(block: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(block, dict) or not block:
        return [(prefix, block)]
    return [leaf for key, value in block.items() for leaf in leaves(value, f"{prefix}.{key}" if prefix else str(key))]


LEAVES = leaves(RAW)
OPTIONAL = {field.name for field in fields(TrainConfig) if field.default is not MISSING}


def test_the_file_parses_and_every_value_arrives() -> None:
    parsed = settings.load(PARAMS)
    whole = asdict(parsed)
    for key, value in LEAVES:
        block, *path = key.split(".")
        if block in ("train", "models"):
            continue
        found: Any = whole[block]
        for part in path:
            found = found[part]
        assert found == value, key


def test_a_model_may_have_a_seed_of_its_own(tmp_path: Path) -> None:
    raw = fresh()
    raw["seed"] = 7
    raw["models"] = {"cnn": raw["models"]["cnn"], "again": {**raw["models"]["cnn"], "seed": 8}}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(raw))
    found = settings.load(tmp_path / "params.yaml").models
    assert (found["cnn"].seed, found["again"].seed) == (7, 8)
    assert found["cnn"].train == found["again"].train


def test_a_models_own_value_wins_over_the_default_of_train() -> None:
    for name, block in RAW["models"].items():
        model = settings.load(PARAMS).models[name]
        for knob, default in RAW["train"].items():
            assert getattr(model.train, knob) == block.get(knob, default), (name, knob)
        for key in ("task", "architecture", "weights", "image_size"):
            assert getattr(model, key) == block[key]


@pytest.mark.parametrize(("key", "value"), LEAVES, ids=[key for key, _ in LEAVES])
def test_setting_a_default_to_itself_changes_nothing(key: str, value: Any) -> None:
    raw = fresh()
    if key.startswith("train.") and all(key[6:] in own for own in raw["models"].values()):
        pytest.skip("every model has its own")
    settings.override(raw, [f"{key}={yaml.safe_dump(value, default_flow_style=True).strip().removesuffix('...').strip()}"])
    assert settings.parse(raw) == settings.parse(fresh())


@pytest.mark.parametrize("key", [key for key, _ in LEAVES if not key.startswith("models.") and ".space." not in key])
def test_a_missing_key_is_named(key: str) -> None:
    raw = fresh()
    block, *path = key.split(".")
    holder: Any = raw
    for part in [block, *path][:-1]:
        holder = holder[part]
    del holder[[block, *path][-1]]
    if block == "train" and (path[0] in OPTIONAL or all(path[0] in own for own in raw["models"].values())):
        settings.parse(raw)
        return
    with pytest.raises(UsageError, match=r"missing|must be mappings") as refused:
        settings.parse(raw)
    assert key.split(".")[-1] in str(refused.value)


@examples(deadline=None)
@given(st.sampled_from([key for key, _ in LEAVES]), st.data())
def test_a_misspelled_key_is_refused_and_the_nearest_named(key: str, data: st.DataObject) -> None:
    *path, last = key.split(".")
    if path == ["models"] or (path and path[0] == "models" and len(path) == 1):
        return
    at = data.draw(st.integers(0, len(last)))
    wrong = last[:at] + "q" + last[at:]
    raw = fresh()
    holder: Any = raw
    for part in path:
        holder = holder[part]
    holder[wrong] = holder.pop(last)
    with pytest.raises(UsageError) as refused:
        settings.parse(raw)
    assert wrong in str(refused.value)
    if len(last) > 3:
        assert last in str(refused.value)


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("models.cnn.epochs=many", "epochs is 'many'"),
        ("models.cnn.epochs=0", "epochs"),
        ("models.cnn.epochs=2.5", "epochs is 2.5"),
        ("train.threads=many", "threads is 'many'"),
        ("validate.on_bad=shrug", "on_bad is 'shrug'"),
        ("validate.max_bad_fraction=1.1", "max_bad_fraction must lie in 0..1"),
        ("validate.max_bad_fraction=-0.1", "max_bad_fraction must lie in 0..1"),
        ("validate.min_side=0", "min_side be 1 or more"),
        ("validate.max_side=15", "max_side no less than min_side"),
        ("evaluate.rounds=99", "evaluate.rounds is 99, expected 100 or more"),
        ("evaluate.robustness_images=-1", "expected 0 or more"),
        ("validate.expectations=[]", "validate.expectations is []"),
        ("validate.expectations={classes: 3}", "validate.expectations.classes is 3"),
        ("models.cnn.task=poetry", "task is 'poetry'"),
        ("models.cnn=7", "models.cnn is 7"),
        ("models={}", "models"),
        ("split.test=0.5", "add up to 1"),
        ("split.test=-0.3", "above 0"),
        ("data.detection.format=tfrecord", "format is 'tfrecord'"),
        ("seed=null", "seed is None"),
        ("train.frozen_epochs=99", "frozen_epochs"),
        ("models.cnn.mixup=-1", "models.cnn.mixup is -1.0, expected 0 (off) or more"),
        ("models.yolo.mixup=0.2", "models.yolo is a detector with mixup: 0.2; it is for classifiers: set models.yolo.mixup: 0.0"),
        ("models.yolo.class_balance=sampling", "models.yolo is a detector with class_balance: sampling"),
    ],
)
def test_wrong_values_are_refused_by_name(assignment: str, said: str) -> None:
    raw = fresh()
    settings.override(raw, [assignment])
    with pytest.raises(UsageError) as refused:
        settings.parse(raw)
    assert said in str(refused.value)


@pytest.mark.parametrize("assignment", ["epochs", "=3", "a..b=1", "nosuch.epochs=3", "train.threads.more=3", ".=1"])
def test_an_assignment_that_names_nothing_is_refused(assignment: str) -> None:
    with pytest.raises(UsageError, match="--set"):
        settings.override(fresh(), [assignment])


def test_assignments_are_read_as_yaml() -> None:
    raw = fresh()
    settings.override(raw, ["models.cnn.epochs=3", "models.cnn.learning_rate=1e-2", "validate.labels=[a, b]", "augment.detection=none"])
    parsed = settings.parse(raw)
    assert parsed.validate.labels == ["a", "b"] and parsed.augment.detection == "none"
    assert parsed.models["cnn"].train.learning_rate == 0.01


def test_a_default_that_every_model_overrides_is_not_silently_set() -> None:
    raw = {"train": {"epochs": 3, "threads": 1}, "models": {"a": {"epochs": 1}, "b": {"epochs": 2}}}
    with pytest.raises(UsageError, match=r"models\.a\.epochs or models\.b\.epochs"):
        settings.override(raw, ["train.epochs=5"])
    settings.override(raw, ["train.threads=2"])
    assert raw["train"]["threads"] == 2


def test_the_model_named_and_not_its_default_is_to_blame() -> None:
    raw = fresh()
    raw["models"]["cnn"]["epochs"] = "x"
    with pytest.raises(UsageError, match=r"models\.cnn\.train\.epochs is 'x'"):
        settings.parse(raw)


@pytest.mark.parametrize(("text", "said"), [("", "NoneType"), ("- 1", "list"), ("a: b: c", "not valid YAML"), ("\x00", "not valid YAML")])
def test_a_file_that_is_no_mapping_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(UsageError, match=said):
        settings.load(tmp_path / "params.yaml")


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="could not be read"):
        settings.load(tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_bytes(b"seed: \xff\xfe")
    with pytest.raises(UsageError, match="not valid YAML"):
        settings.load(tmp_path / "params.yaml")
