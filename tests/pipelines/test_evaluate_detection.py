"""The evaluate stage for detectors on detections written by hand: what it counts, tells and draws."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from components.augment.corruptions import CORRUPTIONS
from components.data import tables
from components.evaluate.config import Evaluate
from components.predict import Latency
from pipelines.paths import Paths
from pipelines.stages import evaluate_detection, evaluate_robustness
from pipelines.stages.evaluate import Findings, _report, plain, trained_as
from pipelines.stages.examples import Dataset

SIDE = 100
SETTINGS: Any = SimpleNamespace(seed=0, evaluate=Evaluate(5, 10, 9, 1, 100, [], 2, 0))
ABOUT = {"name": "cats", "classes": ["cat"], "params": {"image_size": SIDE}}
LOOKS = {"task": tables.DETECTION, "group_id": "g", "brightness": 0.5, "contrast": 0.1, "sharpness": 100.0}
PICTURES = {"confusion", "errors", "f1", "precision_recall", "predictions", "worst_errors"}


def corners(column: int, row: int) -> dict[str, float]:
    return {"x_min": column / 10, "y_min": row / 10, "x_max": (column + 1) / 10, "y_max": (row + 1) / 10}


def rows(image: str, places: list[tuple[int, int]], confidences: list[float] | None = None) -> list[dict[str, Any]]:
    sure = [{}] * len(places) if confidences is None else [{"confidence": value} for value in confidences]
    return [{"image_id": image, "label": "cat", **corners(*place), **more} for place, more in zip(places, sure, strict=True)]


def dataset(truth: list[dict[str, Any]]) -> Dataset:
    images = [
        {**LOOKS, "image_id": split, "path": f"detection/{split}.png", "split": split, "width": SIDE, "height": SIDE}
        for split in ("val", "test")
    ]
    flags = {"is_crowd": False, "is_difficult": False, "status": "ok", "problems": []}
    boxes = pd.DataFrame([{**row, "box_id": str(number), **flags} for number, row in enumerate(truth)])
    return Dataset(tables.DETECTION, ["cat"], pd.DataFrame(images), boxes)


def evaluated(
    root: Path, monkeypatch: pytest.MonkeyPatch, truth: list[dict[str, Any]], found: list[dict[str, Any]], **params: Any
) -> Findings:
    paths, folder = Paths(root), root / "evaluation"
    (folder / "pictures").mkdir(parents=True)
    (paths.data / "detection").mkdir(parents=True)
    for split in ("val", "test"):
        cv2.imwrite(str(paths.data / "detection" / f"{split}.png"), np.full((SIDE, SIDE, 3), 128, np.uint8))
    every = pd.DataFrame(found, columns=["image_id", "label", "x_min", "y_min", "x_max", "y_max", "confidence"])
    stand_in: dict[str, Any] = {
        "load_measured": lambda file, size: (None, 1.0),
        "pixels": lambda paths, images, task, size: np.zeros((len(images), size, size, 3), np.uint8),
        "detections": lambda model, shown, images, classes: every[every["image_id"].isin(images["image_id"])].reset_index(drop=True),
        "latency_ms": lambda model, images, count: Latency(float(len(images[0])), float(len(images))),
        "inside": SimpleNamespace(draw_layers=lambda *_: None),
    }
    for name, value in stand_in.items():
        monkeypatch.setattr(evaluate_detection, name, value)
    return evaluate_detection.evaluate(
        paths, SETTINGS, dataset(truth), {**ABOUT, "params": {**ABOUT["params"], **params}}, (root / "model.keras", folder)
    )


def test_points_are_chosen_on_validation_and_used_for_every_count_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [(column, 0) for column in range(10)]
    truth = rows("val", columns) + rows("test", columns[:4])
    found = rows("val", [*columns, (0, 5)], [0.6] * 10 + [0.3])
    # Of the test's four boxes two are found, one too unsurely, one not at all; and there is one false alarm.
    found += rows("test", [*columns[:3], (9, 9)], [0.7, 0.6, 0.5, 0.8])
    findings = evaluated(tmp_path, monkeypatch, truth, found)
    assert findings.extra["operating_points"] == {"cat": 0.6}
    shares = {"precision": pytest.approx(2 / 3), "recall": 0.5, "f1": pytest.approx(4 / 7)}
    assert {name: findings.metrics["test"][name] for name in shares} == shares
    assert findings.extra["at_operating_points"]["test"]["cat"] == {"found": 2, "false": 1, "missed": 2, **_rounded(shares)}
    assert findings.extra["confusion"] == {"labels": ["cat", "background"], "counts": [[2, 2], [1, 0]]}
    assert findings.extra["errors"]["test"]["background"]["errors"] == 1
    assert findings.extra["errors"]["test"]["missed"]["errors"] == 1  # average precision has no operating point: only one was never found
    assert findings.metrics["val"]["map50"] == pytest.approx(1.0)
    # Above recall 3/4 nothing; a false alarm before the first hit leaves 3/4 at best, over 76 of 101 recalls.
    assert findings.metrics["test"]["map50"] == pytest.approx(0.75 * 76 / 101)
    kept = pd.read_parquet(tmp_path / "evaluation" / "predictions.parquet")
    assert kept["split"].value_counts().to_dict() == {"val": 11, "test": 4}
    assert {path.stem for path in (tmp_path / "evaluation" / "pictures").iterdir()} == PICTURES


def _rounded(shares: dict[str, Any]) -> dict[str, Any]:
    return {name: pytest.approx(getattr(value, "expected", value), abs=1e-6) for name, value in shares.items()}


def test_what_is_found_in_corrupted_images_is_kept_image_by_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [(column, 0) for column in range(4)]
    found = rows("test", columns[:3], [0.9] * 3)
    worse = pd.DataFrame(found[:1])
    monkeypatch.setattr(evaluate_robustness, "detections", lambda model, shown, images, classes: worse)
    monkeypatch.setattr(evaluate_robustness, "image_key", lambda image_id: 7)
    monkeypatch.setattr(SETTINGS, "evaluate", replace(SETTINGS.evaluate, robustness_images=5))
    findings = evaluated(tmp_path, monkeypatch, rows("val", columns) + rows("test", columns), found)
    kept = pd.read_parquet(tmp_path / "evaluation" / "corrupted.parquet")
    assert kept["corruption"].tolist() == list(CORRUPTIONS) and set(kept["image_id"]) == {"test"}
    assert kept["severity"].tolist() == [1, 2, 3, 4, 5, 1] and (kept["found"] == 1).all() and (kept["wanted"] == 4).all()
    told = findings.extra["robustness"]
    # One of four boxes is found at once: precision 1 up to recall 1/4, 26 of 101 recalls; as they are, three, 76 of 101.
    assert told["mean_corruption_error"] == pytest.approx(1 - 26 / 101) == findings.metrics["test"]["corruption_error"]
    assert told["clean"] == pytest.approx(76 / 101)
    assert {"robustness", "corruptions"} <= {path.stem for path in (tmp_path / "evaluation" / "pictures").iterdir()}


def test_what_a_detector_costs_is_a_photographs_cost_however_many_tiles_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    truth = rows("val", [(0, 0)]) + rows("test", [(0, 0)])
    whole = evaluated(tmp_path / "whole", monkeypatch, truth, [])
    assert (whole.latency, whole.tiles) == (Latency(1.0, 1.0), 1.0)  # one picture of the one photograph
    monkeypatch.setattr(evaluate_detection, "merged", lambda found, tiles: found)
    tiled = evaluated(tmp_path / "tiled", monkeypatch, truth, [], tile_size=50, tile_overlap=0.0)
    assert (tiled.latency, tiled.tiles) == (Latency(4.0, 1.0), 4.0)  # its four tiles, of 50 pixels in 100


def test_flops_are_a_photographs_and_stay_so_when_a_champion_is_evaluated_again(tmp_path: Path) -> None:
    about = {**ABOUT, "seed": 3, "data_digest": "d", "flops": 1001, "parameters": 9, "seconds": 2.0}
    about["params"] = {"image_size": SIDE, "architecture": "yolo"}
    model_file = tmp_path / "model.keras"
    model_file.write_bytes(b"weights")
    (tmp_path / "pictures").mkdir()
    nothing: dict[str, Any] = {"val": {}, "test": {}}
    data = dataset(rows("test", [(0, 0)]))
    data = replace(data, images=data.images.assign(label=None))
    for _ in range(2):
        _report(about, data, Findings(nothing, {}, {}, {}, Latency(1.0, 1.0), 1.0, 2.5), model_file, tmp_path)
        report = json.loads((tmp_path / "report.json").read_text())
        assert report["metrics"]["cost/flops"] == 2502 and report["network_flops"] == 1001
        assert trained_as(report) == about
        about = trained_as(report)
    del report["network_flops"]  # of a report that is older than it, whose number is the network's
    assert trained_as(report)["flops"] == 2502


@pytest.mark.parametrize("truth", [rows("val", [(0, 0)]) + rows("test", [(0, 0)]), rows("val", [(0, 0)])], ids=["boxes", "none to find"])
def test_a_detector_that_finds_nothing_is_evaluated_too(truth: list[dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    findings = evaluated(tmp_path, monkeypatch, truth, [])
    assert findings.extra["operating_points"] == {"cat": 0.25}
    json.dumps(plain(findings.extra), allow_nan=False)
    assert {path.stem for path in (tmp_path / "evaluation" / "pictures").iterdir()} == PICTURES
