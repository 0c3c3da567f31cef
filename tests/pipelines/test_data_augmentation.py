"""`visionloop data augmentation` with models whose answers are known, made by hand."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from components.data import tables
from components.errors import DataError, UsageError
from pipelines import cli, data_augmentation
from pipelines.augmentation_hints import WHOLE
from pipelines.paths import Paths
from tests.images import write_png
from tests.pipelines.test_train_batches import FRAME
from tests.project import make_project

SIZE = 32
KEYS = {"name": "arrow", "task": "classification", "architecture": "cnn", "weights": None, "image_size": SIZE}


def lit(side: str, rng: np.random.Generator) -> np.ndarray:
    """Noise, one half of it brighter: what tells the two classes apart."""
    picture = rng.integers(60, 100, (SIZE, SIZE, 3)).astype(np.uint8)
    half = slice(0, SIZE // 2) if side == "left" else slice(SIZE // 2, SIZE)
    picture[:, half] += 90
    return picture


def row(paths: Paths, task: str, number: int, picture: np.ndarray, label: str | None, split: str) -> dict[str, Any]:
    path = paths.data / task / f"{number:03d}.png"
    write_png(path, picture)
    name = hashlib.sha256(path.read_bytes()).hexdigest()
    where = {"image_id": name, "path": f"{task}/{path.name}", "task": task, "label": label, "split": split}
    return {**FRAME, **where, "width": SIZE, "height": SIZE}


def write_split(paths: Paths, task: str, images: list[dict[str, Any]], boxes: list[dict[str, Any]], classes: list[str]) -> None:
    folder = paths.split(task)
    folder.mkdir(parents=True)
    tables.write(tables.frame(images, tables.IMAGES), folder / "images.parquet", tables.IMAGES)
    tables.write(tables.frame(boxes, tables.BOXES), folder / "boxes.parquet", tables.BOXES)
    (folder / "classes.json").write_text(json.dumps(classes))


def write_model(paths: Paths, task: str, network: Any, classes: list[str], **more: Any) -> None:
    from components.train.saving import save_model

    paths.train("arrow").mkdir(parents=True)
    paths.evaluate("arrow").mkdir(parents=True)
    save_model(network, paths.train("arrow") / "model.keras")
    report = {"task": task, "model": "arrow", "classes": classes, "params": {"image_size": SIZE}, **more}
    (paths.evaluate("arrow") / "report.json").write_text(json.dumps(report))


def side_teller() -> Any:
    """A network that says which half is brighter, and by nothing else."""
    import keras

    weights = np.zeros((SIZE, SIZE, 3, 2), np.float32)
    weights[:, : SIZE // 2, :, 0], weights[:, SIZE // 2 :, :, 1] = 1e-5, 1e-5
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    dense = keras.layers.Dense(2, activation="softmax")
    found = dense(keras.layers.Flatten()(keras.layers.Rescaling(1.0)(pixels)))
    dense.set_weights([weights.reshape(-1, 2), np.zeros(2, np.float32)])
    return keras.Model(pixels, found)


@pytest.fixture(scope="module")
def arrows(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project of left and right, 12 training and 40 validation images, and a model that is always right."""
    paths = make_project(tmp_path_factory.mktemp("arrows") / "p", images=False)
    rng, sides = np.random.default_rng(0), ("left", "right")
    splits = ["train"] * 12 + ["val"] * 40
    images = [row(paths, "classification", n, lit(sides[n % 2], rng), sides[n % 2], split) for n, split in enumerate(splits)]
    write_split(paths, "classification", images, [], list(sides))
    write_model(paths, "classification", side_teller(), list(sides))
    return paths


def choose(paths: Paths, **changed: Any) -> None:
    """Set the model `arrow`, the policy and the declaration of params.yaml."""
    params = yaml.safe_load(paths.params.read_text())
    params["models"] = {"arrow": {key: value for key, value in KEYS.items() if key != "name"}}
    params["augment"]["classification"] = changed.get("policy", "light")
    params["data"]["classification"]["label_safety"] = changed.get("safety")
    paths.params.write_text(yaml.safe_dump(params))


FLIP, LIGHT = {"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": {"brightness_limit": 0.1, "contrast_limit": 0.1, "p": 0.5}}


def test_a_transform_that_changes_labels_is_found_by_the_model_it_confuses(arrows: Paths, tmp_path: Path) -> None:
    choose(arrows, policy=[FLIP, LIGHT])
    answer = data_augmentation.audit(arrows, "classification", "arrow", tmp_path / "out")
    flip, light, whole = answer["hints"]
    assert (flip["transform"], flip["before"], flip["after"], flip["confusing"], flip["images"]) == ("HorizontalFlip", 1.0, 0.0, True, 40)
    assert (light["before"], light["after"], light["confusing"]) == (1.0, 1.0, False)
    assert whole["transform"] == WHOLE and 0.2 < whole["after"] < 0.8  # half of them flipped
    assert tuple(flip["most_confused"]) == ("left", "right", 20)
    expected = "HorizontalFlip always applied: accuracy 1.00 → 0.00 (most often left becomes right, 20 times): it may change labels"
    assert answer["advice"][0] == f"{expected}; if so declare no_horizontal_flip in data.classification.label_safety"
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"audit.json", "preview.png", "worst.png"}
    assert json.loads((tmp_path / "out" / "audit.json").read_text())["model"] == "arrow"


def test_what_confuses_nobody_is_said_to(arrows: Paths) -> None:
    choose(arrows, policy=[LIGHT, {"CenterCrop": {"height": 28, "width": 28, "p": 1.0}}, {"Resize": {}}], safety=[])
    answer = data_augmentation.audit(arrows, "classification", "arrow", None)
    assert [hint["confusing"] for hint in answer["hints"]] == [False] * 4
    assert answer["advice"] == ["no transform confuses arrow on 40 validation images"]


def test_two_of_a_kind_have_names_of_their_own(arrows: Paths) -> None:
    choose(arrows, policy=[LIGHT, {"OneOf": {"transforms": [FLIP, LIGHT]}}], safety=[])
    answer = data_augmentation.audit(arrows, "classification", "arrow", None)
    expected = ["RandomBrightnessContrast (1)", "HorizontalFlip", "RandomBrightnessContrast (2)"]
    assert [one["name"] for one in answer["transforms"]] == expected
    assert [hint["transform"] for hint in answer["hints"]] == [*expected, WHOLE]


def test_the_command_prints_for_people_and_for_programs(
    arrows: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(arrows, policy=[FLIP])
    monkeypatch.setenv("VISIONLOOP_ROOT", str(arrows.root))
    monkeypatch.setenv("COLUMNS", "200")
    arguments = ["data", "augmentation", "--task", "classification", "--model", "arrow"]
    assert cli.main(arguments) == 0
    told = capsys.readouterr().out
    assert "1.00→0.00" in told and "HorizontalFlip can mirror the picture left to right (no_horizontal_flip)" in told
    assert "label_safety is not declared" in told and "presets digits" in told
    assert cli.main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["hints"][0]["confusing"] is True


def test_a_refused_policy_exits_with_2(arrows: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    choose(arrows, policy=[FLIP], safety="traffic_signs")
    monkeypatch.setenv("VISIONLOOP_ROOT", str(arrows.root))
    assert cli.main(["data", "augmentation", "--task", "classification"]) == 2
    assert "HorizontalFlip can mirror" in capsys.readouterr().err


def test_a_model_or_data_that_are_not_there_are_said(arrows: Paths) -> None:
    choose(arrows)
    with pytest.raises(UsageError, match="'nobody' is no evaluated classification model"):
        data_augmentation.audit(arrows, "classification", "nobody", None)
    with pytest.raises(DataError, match="dvc repro"):
        data_augmentation.audit(arrows, "detection", None, None)


class Bright:
    """A detector that finds the one bright rectangle, if it lies in the left half."""

    output_shape = (None, 1, 6)

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        found = np.full((len(pixels), 1, 6), -1.0, np.float32)
        for index, picture in enumerate(pixels):
            rows, columns = np.nonzero(picture.max(axis=2) > 180)
            if len(rows) and columns.mean() < SIZE / 2:
                found[index, 0] = [columns.min() / SIZE, rows.min() / SIZE, (columns.max() + 1) / SIZE, (rows.max() + 1) / SIZE, 0.9, 0]
        return found


def test_boxes_that_are_no_longer_found_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import components.predict
    from pipelines.augmentation_hints import alone, measure
    from pipelines.chosen import Chosen
    from pipelines.stages.examples import read_dataset

    paths, images, boxes = Paths(tmp_path), [], []
    rng = np.random.default_rng(0)
    for number in range(30):
        picture = rng.integers(60, 100, (SIZE, SIZE, 3)).astype(np.uint8)
        top = int(rng.integers(2, 18))
        picture[top : top + 10, 3:11] = 220
        images.append(row(paths, "detection", number, picture, None, "val"))
        corners = {"x_min": 3 / SIZE, "y_min": top / SIZE, "x_max": 11 / SIZE, "y_max": (top + 10) / SIZE}
        flags = {"label": "thing", "is_crowd": False, "is_difficult": False, "status": "ok", "problems": []}
        boxes.append({"image_id": images[-1]["image_id"], "box_id": str(number), **corners, **flags})
    write_split(paths, "detection", images, boxes, ["thing"])
    monkeypatch.setattr(components.predict, "load_model", lambda _: Bright())
    report = {
        "task": "detection",
        "model": "bright",
        "classes": ["thing"],
        "params": {"image_size": SIZE},
        "operating_points": {"thing": 0.5},
    }
    policy = [{"HorizontalFlip": {"p": 0.5}}, {"VerticalFlip": {"p": 0.5}}, {"Crop": {"x_min": 16, "x_max": 32, "y_max": 32, "p": 0.0}}]
    away = [{"Crop": {"x_min": 16, "x_max": 32, "y_max": 32, "p": 1.0}}, {"Resize": {}}]
    tried = [*alone(policy), ("away", away)]
    flip, over, whole, lost = measure(paths, read_dataset(paths, "detection"), tried, Chosen(tmp_path / "model.keras", report), 0)
    assert (flip["before"], flip["after"], flip["confusing"]) == (1.0, 0.0, True)
    assert (over["before"], over["after"], over["confusing"]) == (1.0, 1.0, False)
    assert 0.2 < whole["after"] < 0.8 and whole["images"] == 30
    assert lost["images"] == 0 and not lost["confusing"]  # a picture without a box left tells nothing
