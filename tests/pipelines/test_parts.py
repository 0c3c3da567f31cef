"""What a gate guards, read from evaluation folders that are made of almost nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from components.gate import Gate
from pipelines.parts import measure, missing
from tests.pipelines.fabricate import CLASSES, settings, write_evaluation

ALL: Gate = replace(settings().promote.classification, max_recall_drop=0.1, max_slice_drop=0.1, max_corruption_drop=0.1)
NONE = replace(ALL, max_recall_drop=None, max_slice_drop=None, max_corruption_drop=None)


def classified(folder: Path, wrong: int) -> Path:
    write_evaluation(folder, folder.name, "m" * 64, wrong, "t" * 64, {})
    images = [f"image{index:03}" for index in range(120)]
    slices = [{"image_id": image, "slice": "half: first"} for image in images[:60]]
    slices += [{"image_id": image, "slice": "class: apple"} for image in images[::3]]
    pd.DataFrame(slices).to_parquet(folder / "slices.parquet", index=False)
    rows = [
        {"image_id": image, "corruption": "fog", "severity": severity, "found": float(index >= wrong * severity), "wanted": 1}
        for index, image in enumerate(images[:24])
        for severity in (1, 2)
    ]
    pd.DataFrame(rows).to_parquet(folder / "corrupted.parquet", index=False)
    return folder


def test_a_classifier_is_measured_by_right_answers(tmp_path: Path) -> None:
    theirs, ours = classified(tmp_path / "old", 0), classified(tmp_path / "new", 6)
    found = measure("classification", ALL, ours, theirs, seed=0, rounds=50)
    assert not found.missing
    rows = {(one.kind, one.name): (one.champion, one.candidate, one.images) for one in found.measured}
    # Six of the first 60 are wrong, two of each class; under fog six of 24 once and twelve the other time.
    assert rows == {
        **{("class", label): (1.0, pytest.approx(38 / 40), 40) for label in CLASSES},
        ("slice", "half: first"): (1.0, 0.9, 60),
        ("corruption", "fog"): (1.0, pytest.approx(1 - 18 / 48), 24),
        ("corruption", "of every kind"): (1.0, pytest.approx(1 - 18 / 48), 24),
    }


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    theirs, ours = classified(tmp_path / "old", 0), classified(tmp_path / "new", 6)
    for folder in (theirs, ours):
        (folder / "slices.parquet").unlink()
        (folder / "corrupted.parquet").unlink()
    assert measure("classification", NONE, ours, theirs, 0, 50).measured == []
    lacks = missing(ALL, ours, theirs)
    assert len(lacks) == 2 and all("run the evaluate stage again" in one and "null" in one for one in lacks)


def test_other_corrupted_images_are_not_compared(tmp_path: Path) -> None:
    theirs, ours = classified(tmp_path / "old", 0), classified(tmp_path / "new", 6)
    table = pd.read_parquet(theirs / "corrupted.parquet")
    table.iloc[1:].to_parquet(theirs / "corrupted.parquet")
    assert "other corrupted images" in missing(ALL, ours, theirs)[0]
    table.iloc[:0].to_parquet(theirs / "corrupted.parquet")
    table.iloc[:0].to_parquet(ours / "corrupted.parquet")
    assert "evaluate.robustness_images above 0" in missing(ALL, ours, theirs)[0]


def detected(folder: Path, found: int, fog: float) -> Path:
    """30 photographs of a tree, ten with a crow; every crow and the first `found` trees are found, in fog `fog` of the boxes of twelve."""
    folder.mkdir()
    images = [f"image{index:02}" for index in range(30)]
    tree, crow = (dict(zip(("x_min", "y_min", "x_max", "y_max"), box, strict=True)) for box in ((0.1, 0.1, 0.3, 0.3), (0.6, 0.6, 0.8, 0.8)))
    trees = pd.DataFrame({"image_id": images, "label": "tree", **tree})
    crows = pd.DataFrame({"image_id": images[:10], "label": "crow", **crow})
    common = {"split": "test", "group_id": "one", "is_crowd": False, "is_difficult": False}
    pd.concat([trees, crows]).assign(**common).assign(group_id=lambda rows: rows["image_id"]).to_parquet(folder / "truth.parquet")
    pd.concat([trees[:found], crows]).assign(split="test", confidence=0.9).to_parquet(folder / "predictions.parquet")
    pd.DataFrame({"image_id": images[:15], "slice": "half: first"}).to_parquet(folder / "slices.parquet")
    shown = pd.DataFrame({"image_id": images[:12], "corruption": "fog", "severity": 1, "found": fog, "wanted": [2] * 10 + [1] * 2})
    shown.to_parquet(folder / "corrupted.parquet", index=False)
    (folder / "report.json").write_text(json.dumps({"classes": ["crow", "tree"]}))
    return folder


def test_a_detector_is_measured_by_boxes_found(tmp_path: Path) -> None:
    theirs, ours = detected(tmp_path / "old", 30, 1.0), detected(tmp_path / "new", 12, 0.5)
    found = measure("detection", ALL, ours, theirs, seed=0, rounds=50).measured
    rows = {(one.kind, one.name): (one.champion, pytest.approx(one.candidate), one.examples, one.groups) for one in found}
    assert rows == {
        ("class", "crow"): (1.0, 1.0, 10, 10),
        ("class", "tree"): (1.0, 0.4, 30, 30),
        ("slice", "half: first"): (1.0, 22 / 25, 25, 15),
        # 22 boxes stand in the twelve photographs that were shown in fog.
        **{("corruption", name): (pytest.approx(12 / 22), 6 / 22, 22, 12) for name in ("fog", "of every kind")},
    }
    assert all(one.error > 0 for one in found if one.kind == "corruption")


def test_a_detector_without_corrupted_images_says_so(tmp_path: Path) -> None:
    theirs, ours = detected(tmp_path / "old", 30, 1.0), detected(tmp_path / "new", 12, 0.5)
    table = pd.read_parquet(theirs / "corrupted.parquet").drop(columns="found")
    table.to_parquet(theirs / "corrupted.parquet")  # as an older evaluation wrote it
    assert "tells nothing of corrupted images" in missing(ALL, ours, theirs)[0]
