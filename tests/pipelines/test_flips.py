"""Flips in the candidate's run: written once, against the right model, and no failure is anyone's."""

import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipelines import flips
from pipelines.flips import AGAINST, FLIPS
from pipelines.promote import promote
from pipelines.registry import Registry
from pipelines.tracking import Tracking
from tests.pipelines.fabricate import Made, classifier, project, settings


def with_paths(made: Made) -> Made:
    """The predictions name their images, as those of the stage do."""
    table = pd.read_parquet(made.evaluate_dir / "predictions.parquet")
    table.assign(path=[f"classification/{name}.png" for name in table["image_id"]]).to_parquet(made.evaluate_dir / "predictions.parquet")
    return made


def test_a_candidates_run_shows_what_changed_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paths = project(tmp_path)
    tracking, registry = Tracking(paths), Registry(paths)
    old, new = with_paths(classifier(paths, "old", 30, seed=1)), with_paths(classifier(paths, "new", 6, seed=2))
    (paths.data / "classification").mkdir(parents=True)
    for name in pd.read_parquet(new.evaluate_dir / "predictions.parquet")["image_id"]:
        cv2.imwrite(str(paths.data / "classification" / f"{name}.png"), np.full((20, 30, 3), 90, np.uint8))
    for made in (old, new):
        run = tracking.publish(made.model_dir, made.evaluate_dir)
        promote("classification", paths, settings(), [made.evaluate_dir], registry=registry)
        with caplog.at_level(logging.INFO):
            flips.attach(paths, "classification", [made.evaluate_dir], tmp_path / "nowhere")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    tags = registry.store.client.get_run(run).data.tags
    # The old one is wrong about the first 30 images, the new one about the first 6.
    assert tags[FLIPS] == "against old (version 1): 24 images from wrong to right, 0 from right to wrong"
    folder = Path(registry.store.client.download_artifacts(run, ""))
    assert pd.read_csv(folder / "evaluation" / "flips.csv")["image_id"].nunique() == 24
    assert cv2.imread(str(folder / "flips.png")).shape[1] > 500
    # The first model had none before it, and what is written once stays.
    assert AGAINST not in registry.store.client.get_run(registry.at("classification", "previous").run_id).data.tags
    monkeypatch.setattr(flips, "write", lambda *_: pytest.fail("written again"))
    flips.attach(paths, "classification", [new.evaluate_dir], tmp_path / "nowhere")


def test_what_cannot_be_said_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    paths = project(tmp_path)
    made = classifier(paths, "cnn", 30)
    with caplog.at_level(logging.WARNING):
        flips.attach(paths, "classification", [made.evaluate_dir], tmp_path / "nowhere")
    assert "changed sides is not in MLflow" in caplog.text
