"""Stages `train` and `evaluate` on generated images, against numbers worked out again from the tables they write."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from sklearn.metrics import accuracy_score, f1_score

from components.data import tables
from components.errors import DataError, UsageError
from components.models.detectors.yolov3.anchors import find_anchors
from components.models.saved import load_model
from pipelines import settings
from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.stages import evaluate, train, training
from pipelines.stages.command import run_stage
from pipelines.stages.examples import Dataset, read_dataset
from tests.project import make_project


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")  # nobody: training goes on without


def data_stages(paths: Paths) -> None:
    for name in ("validate", "split", "augment"):
        run_stage(paths, name, None)


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text()))


def dataset(images: list[tuple[str, str | None, str]], task: str = "classification") -> Dataset:
    rows = [{"image_id": name, "path": f"{task}/{name}.png", "label": label, "split": split} for name, label, split in images]
    classes = sorted({label for _, label, _ in images if label})
    return Dataset(task, classes, pd.DataFrame(rows, columns=["image_id", "path", "label", "split"]), tables.frame([], tables.BOXES))


@pytest.mark.parametrize(
    ("images", "said"),
    [
        ([("a", "x", "train"), ("b", "y", "test")], "no image to val on"),
        ([("a", "x", "val"), ("b", "y", "test")], "no image to train on"),
        ([("a", "x", "train"), ("b", "x", "val")], "two folders of images at least"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused(images: list[tuple[str, str | None, str]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        train._refuse_untrainable(dataset(images))


def test_a_detector_without_any_box_is_refused() -> None:
    with pytest.raises(DataError, match="no usable box"):
        train._refuse_untrainable(dataset([("a", None, "train"), ("b", None, "val")], "detection"))


@pytest.mark.parametrize(("task", "train_size"), [("detection", 64), ("classification", 16), ("classification", 65)])
def test_a_size_that_makes_no_sense_is_refused(task: str, train_size: int) -> None:
    model: Any = SimpleNamespace(name="m", task=task, image_size=64, train_size=train_size)
    with pytest.raises(UsageError, match=f"train_size is {train_size}"):
        training._refuse_train_size(model)


@pytest.mark.parametrize(
    ("task", "policy", "said"),
    [
        ("classification", [{"VerticalFlip": {"p": 0.5}}], "augment.classification mirrors nothing: add HorizontalFlip"),
        ("classification", [{"HorizontalFlip": {"p": 0.0}}], "mirrors nothing"),
        ("detection", [{"HorizontalFlip": {"p": 0.5}}], "for classifiers"),
    ],
)
def test_mirror_images_are_asked_only_where_they_were_trained_on(task: str, policy: Any, said: str) -> None:
    model: Any = SimpleNamespace(name="m", task=task, mirror=True)
    with pytest.raises(UsageError, match=said):
        training._refuse_mirror(model, policy)
    flipped = [{"OneOf": {"transforms": [{"HorizontalFlip": {"p": 0.5}}, {"Blur": {}}]}}]
    training._refuse_mirror(SimpleNamespace(name="m", task="classification", mirror=True), flipped)  # type: ignore[arg-type]
    training._refuse_mirror(SimpleNamespace(name="m", task=task, mirror=False), policy)  # type: ignore[arg-type]


def test_the_digest_of_a_test_set_is_of_its_images_and_labels_and_not_their_order() -> None:
    rows: list[tuple[str, str | None, str]] = [("a", "x", "test"), ("b", "y", "test"), ("c", "x", "train")]
    digest = evaluate.test_digest(dataset(rows))
    assert evaluate.test_digest(dataset(rows[::-1])) == digest
    assert evaluate.test_digest(dataset([*rows, ("d", "y", "val")])) == digest
    assert evaluate.test_digest(dataset([("a", "y", "test"), *rows[1:]])) != digest
    assert evaluate.test_digest(dataset(rows[1:])) != digest


def test_a_box_that_moves_changes_the_digest_of_the_test_set() -> None:
    found = dataset([("a", None, "test")], "detection")
    box = {"image_id": "a", "box_id": "a-0", "label": "red", "x_min": 0.1, "y_min": 0.1, "x_max": 0.5, "y_max": 0.5}
    flags = {"is_crowd": False, "is_difficult": False, "status": "ok", "problems": []}
    digests = {
        evaluate.test_digest(Dataset("detection", ["red"], found.images, pd.DataFrame([{**box, "x_max": right, **flags}])))
        for right in (0.5, 0.6)
    }
    assert len(digests) == 2


def test_metrics_nest_by_their_first_word_and_what_is_no_number_is_null() -> None:
    assert evaluate._nested({"test/map": 1, "test/map50": 2, "cost/flops": 3}) == {"test": {"map": 1, "map50": 2}, "cost": {"flops": 3}}
    assert evaluate._rounded(float("nan")) is None and evaluate._rounded(1 / 3) == 0.333333


@pytest.mark.slow
def test_a_classifier_is_trained_and_measured_as_scikit_learn_measures(tmp_path: Path) -> None:
    paths = make_project(tmp_path / "p")
    data_stages(paths)
    run_stage(paths, "train", "tiny")
    about = json.loads((paths.train("tiny") / "model.json").read_text())
    history = pd.read_csv(paths.train("tiny") / "history.csv")
    assert about["model_sha256"] == sha256(paths.train("tiny") / "model.keras")
    assert (about["classes"], about["params"]["epochs"], list(history["epoch"])) == (["class_0", "class_1"], 2, [0, 1])
    assert {"train/loss", "val/loss", "val/accuracy", "learning_rate"} <= set(history)
    for name in ("curves.png", "batch.png"):
        assert (paths.train("tiny") / name).read_bytes().startswith(b"\x89PNG")

    run_stage(paths, "evaluate", "tiny")
    found = report(paths.evaluate("tiny"))
    predictions = pd.read_parquet(paths.evaluate("tiny") / "predictions.parquet")
    images = tables.read(paths.split("classification") / "images.parquet", tables.IMAGES).set_index("image_id")
    chosen = predictions["predicted"].to_numpy()
    truth = images.loc[predictions["image_id"], "label"].to_numpy()
    for split in ("val", "test"):
        rows = (images.loc[predictions["image_id"], "split"] == split).to_numpy()
        assert found["metrics"][f"{split}/accuracy"] == pytest.approx(accuracy_score(truth[rows], chosen[rows]), abs=1e-6)
        assert found["metrics"][f"{split}/macro_f1"] == pytest.approx(f1_score(truth[rows], chosen[rows], average="macro"), abs=1e-6)
    assert found["test_images"] == int((images["split"] == "test").sum())
    low, high = found["intervals"]["test/accuracy"]
    assert low <= found["metrics"]["test/accuracy"] <= high
    assert (found["metrics"]["test/accuracy_low"], found["metrics"]["test/accuracy_high"]) == (low, high)
    assert found["temperature"]["temperature"] == about["temperature"] == 1.0  # of so few validation images
    tested = set(images.index[images["split"] == "test"])
    assert set(pd.read_parquet(paths.evaluate("tiny") / "slices.parquet")["image_id"]) <= tested
    corrupted = pd.read_parquet(paths.evaluate("tiny") / "corrupted.parquet")
    assert set(corrupted["image_id"]) == tested and len(corrupted) == 6 * len(tested)
    assert found["metrics"]["cost/latency_p99_ms"] >= found["metrics"]["cost/latency_ms"]
    assert "<script" not in (paths.evaluate("tiny") / "report.html").read_text()
    assert json.loads((paths.evaluate("tiny") / "metrics.json").read_text())["test"]["accuracy"] == found["metrics"]["test/accuracy"]
    assert found["pictures"] and all((paths.evaluate("tiny") / name).is_file() for name in found["pictures"])

    # An old champion may know none of today's classes: it is measured all the same, and is right about nothing.
    stranger = (paths.train("tiny") / "model.keras", {**about, "classes": ["cat", "dog"]})
    evaluate.evaluate_model(paths, settings.load(paths.params), stranger, tmp_path / "again", "classification")
    again = report(tmp_path / "again")
    assert again["metrics"]["test/accuracy"] == 0 and again["test_digest"] == found["test_digest"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_and_another_seed_another(tmp_path: Path) -> None:
    paths = make_project(tmp_path / "p")
    data_stages(paths)
    digests = []
    for seed in ("seed: 0", "seed: 0", "seed: 1"):
        paths.params.write_text(paths.params.read_text().replace("seed: 0", seed))
        run_stage(paths, "train", "tiny")
        digests.append(sha256(paths.train("tiny") / "model.keras"))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_a_model_without_its_data_is_skipped_by_both_stages_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import shutil

    paths = make_project(tmp_path / "p", detector=True)
    shutil.rmtree(paths.data / "detection")
    with caplog.at_level(logging.WARNING):
        data_stages(paths)
        for name in ("train", "evaluate"):
            run_stage(paths, name, "tiny_yolo")
    assert "tiny_yolo skipped: data/detection is absent" in caplog.text
    assert report(paths.evaluate("tiny_yolo")) == {"skipped": "data/detection is absent"}
    # Every output that dvc.yaml declares is there, or DVC would call the stage failed.
    for name in ("model.keras", "model.json", "history.csv", "curves.png", "batch.png"):
        assert (paths.train("tiny_yolo") / name).is_file()
    tables = ("predictions.parquet", "truth.parquet", "images.parquet", "slices.parquet", "corrupted.parquet")
    for name in ("report.json", "report.html", "metrics.json", *tables):
        assert (paths.evaluate("tiny_yolo") / name).is_file()
    assert (paths.evaluate("tiny_yolo") / "pictures").is_dir()


def test_an_unknown_model_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    from pipelines.stages.models import chosen

    paths = make_project(tmp_path / "p", images=False)
    with pytest.raises(UsageError, match="'vgg'"):
        chosen(settings.load(paths.params), "vgg")


@pytest.mark.slow
def test_a_detector_keeps_the_anchors_of_its_training_boxes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = make_project(tmp_path / "p", detector=True)
    paths.params.write_text(paths.params.read_text().replace("architecture: yolo\n", "architecture: yolo_anchors\n"))
    data_stages(paths)
    with caplog.at_level(logging.INFO):
        run_stage(paths, "train", "tiny_yolo")
    learned = read_dataset(paths, "detection")
    sizes = learned.boxes.merge(learned.part("train")[["image_id"]]).eval("w = x_max - x_min\nh = y_max - y_min")[["w", "h"]].to_numpy()
    about = json.loads((paths.train("tiny_yolo") / "model.json").read_text())
    assert about["anchors"] == [pytest.approx(anchor, abs=1e-6) for anchor in find_anchors(sizes)]  # square pictures: not letterboxed
    assert f"anchor boxes of {len(sizes)} boxes, mean IoU" in caplog.text
    served = load_model(paths.train("tiny_yolo") / "model.keras")
    assert served.get_layer("decoding").anchors == tuple(tuple(anchor) for anchor in about["anchors"])
    run_stage(paths, "evaluate", "tiny_yolo")
    assert report(paths.evaluate("tiny_yolo"))["metrics"]["test/map50"] >= 0
