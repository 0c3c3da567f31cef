"""A model named as a file answers at the operating points of its evaluation, and says so when there is none."""

import json
import logging
from pathlib import Path

import pytest

from pipelines.chosen import choose
from pipelines.digest import sha256
from pipelines.paths import Paths


def a_detector(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.keras").write_bytes(b"weights")
    about = {"name": "yolo", "classes": ["cat"], "params": {"task": "detection", "image_size": 64}}
    (folder / "model.json").write_text(json.dumps(about))
    return folder / "model.keras"


def an_evaluation(folder: Path, digest: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    report = {"model": "yolo", "task": "detection", "classes": ["cat"], "model_sha256": digest, "operating_points": {"cat": 0.7}}
    (folder / "report.json").write_text(json.dumps(report))


@pytest.mark.parametrize("place", ["beside", "outputs"])
def test_a_file_has_the_points_of_its_own_evaluation(place: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths, file = Paths(tmp_path), a_detector(tmp_path / "kept")
    an_evaluation(file.parent if place == "beside" else paths.evaluate("yolo"), sha256(file))
    with caplog.at_level(logging.WARNING):
        assert choose(paths, "detection", str(file)).report["operating_points"] == {"cat": 0.7}
    assert not caplog.text


@pytest.mark.parametrize("evaluated", [True, False])
def test_without_an_evaluation_of_these_weights_the_points_are_common_ones_and_that_is_said(
    evaluated: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths, file = Paths(tmp_path), a_detector(tmp_path / "kept")
    if evaluated:
        an_evaluation(paths.evaluate("yolo"), "of other weights")
    with caplog.at_level(logging.WARNING):
        assert choose(paths, "detection", str(file)).report["operating_points"] == {"cat": 0.25}
    assert "boxes count from confidence 0.25" in caplog.text
