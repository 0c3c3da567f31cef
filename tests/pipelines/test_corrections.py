"""Corrections on their way through the stages: every later one sees the corrected labels, and the report tells of them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pipelines import settings
from pipelines.stages import split, validate
from tests.project import make_project


def test_the_stages_see_corrected_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = make_project(tmp_path / "p")
    rows = ["class_0/000.png,relabel,class_1,class_0", "class_0/001.png,delete,,", "class_1/999.png,delete,,"]
    (paths.data / "classification" / "corrections.csv").write_text("\n".join(["path,action,label,expected", *rows]) + "\n")
    knobs = settings.load(paths.params)
    with caplog.at_level("INFO"):
        validate.run(paths, knobs)
    assert "corrections applied: 2" in caplog.text
    report = json.loads((paths.validate("classification") / "report.json").read_text())
    assert report["corrections"] == "corrections applied: 2 (images left out: 1, images relabelled: 1)"
    assert report["problems"]["correction-unknown-image"] == 1 and report["images"]["quarantined"] == 0
    told = pd.read_csv(paths.validate("classification") / "quarantine.csv")
    (misfit,) = told[told["code"] == "correction-unknown-image"].itertuples()
    assert (misfit.file, misfit.line) == ("classification/corrections.csv", 4)
    split.run(paths, knobs)
    images = pd.read_parquet(paths.split("classification") / "images.parquet").set_index("path")["label"]
    assert images["classification/class_0/000.png"] == "class_1"
    assert "classification/class_0/001.png" not in images.index and len(images) == 23
