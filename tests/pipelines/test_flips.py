"""Flips in the runs of the evaluated models: written once, against the right model, and no failure is anyone's."""

import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from pipelines import flips
from pipelines.flips import AGAINST, FLIPS
from pipelines.paths import Paths
from pipelines.promote import promote
from pipelines.registry import Registry
from pipelines.tracking import Tracking
from pipelines.tracking.publish import find_run
from tests.components.evaluate.detection_cases import CORNERS
from tests.pipelines.fabricate import IMAGES, Made, classifier, project, settings


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A project with the photographs that fabricated classifiers answer."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = project(tmp_path / "project")
    (made.data / "classification").mkdir(parents=True)
    for number in range(IMAGES):
        cv2.imwrite(str(made.data / "classification" / f"image{number:03}.png"), np.full((20, 30, 3), 90, np.uint8))
    return made


def published(paths: Paths, name: str, wrong: int, seed: int) -> Made:
    """A classifier that is wrong about the first `wrong` images; its predictions name their images, as those of the stage do."""
    made = classifier(paths, name, wrong, seed=seed)
    table = pd.read_parquet(made.evaluate_dir / "predictions.parquet")
    table.assign(path=[f"classification/{image}.png" for image in table["image_id"]]).to_parquet(made.evaluate_dir / "predictions.parquet")
    Tracking(paths).publish(made.model_dir, made.evaluate_dir)
    return made


def decided(paths: Paths, *evaluated: Made) -> None:
    """A round of the flow: the decision, then the flips."""
    folders = [made.evaluate_dir for made in evaluated]
    promote("classification", paths, settings(), folders)
    flips.attach(paths, "classification", folders, paths.root / "nowhere")


def tags(paths: Paths, made: Made) -> dict[str, str]:
    run = find_run(Tracking(paths).store, "classification", made.sha256)
    assert run is not None
    return dict(run.data.tags)


def test_a_candidates_run_shows_what_changed_sides(paths: Paths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    old, new = published(paths, "old", 30, 1), published(paths, "new", 6, 2)
    with caplog.at_level(logging.INFO):
        decided(paths, old)
        decided(paths, new)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    # The old one is wrong about the first 30 images, the new one about the first 6.
    assert tags(paths, new)[FLIPS] == "against old (version 1): 24 images from wrong to right, 0 from right to wrong"
    registry = Registry(paths)
    champion = registry.at("classification", "champion")
    assert champion is not None
    folder = Path(registry.store.client.download_artifacts(champion.run_id, ""))
    assert pd.read_csv(folder / "evaluation" / "flips.csv")["image_id"].nunique() == 24
    assert cv2.imread(str(folder / "flips.png")).shape[1] > 500
    # The first model had none before it, and what is written once stays.
    assert AGAINST not in tags(paths, old)
    monkeypatch.setattr(flips, "write", lambda *_: pytest.fail("written again"))
    flips.attach(paths, "classification", [new.evaluate_dir], paths.root / "nowhere")


def test_candidates_are_compared_with_the_champion_that_stayed_and_it_with_the_one_it_replaced(paths: Paths) -> None:
    oldest, champion = published(paths, "oldest", 60, 1), published(paths, "champion", 30, 2)
    decided(paths, oldest)
    decided(paths, champion)
    worse, near = published(paths, "worse", 36, 3), published(paths, "near", 29, 4)
    decided(paths, worse, champion, near)
    holder = Registry(paths).at("classification", "champion")
    assert holder is not None and holder.model == "champion"
    assert tags(paths, worse)[FLIPS] == "against champion (version 2): 0 images from wrong to right, 6 from right to wrong"
    assert tags(paths, near)[FLIPS] == "against champion (version 2): 1 images from wrong to right, 0 from right to wrong"
    assert tags(paths, champion)[FLIPS] == "against oldest (version 1): 30 images from wrong to right, 0 from right to wrong"


def test_who_lost_the_first_round_is_compared_with_who_won_it_and_anew_when_another_wins(paths: Paths) -> None:
    good, poor = published(paths, "good", 26, 1), published(paths, "poor", 40, 2)
    decided(paths, good, poor)
    assert tags(paths, poor)[FLIPS] == "against good (version 1): 0 images from wrong to right, 14 from right to wrong"
    assert not {FLIPS, AGAINST} & tags(paths, good).keys()
    better = published(paths, "better", 2, 3)
    decided(paths, good, poor, better)
    assert tags(paths, better)[FLIPS] == "against good (version 1): 24 images from wrong to right, 0 from right to wrong"
    assert tags(paths, good)[FLIPS] == "against better (version 3): 0 images from wrong to right, 24 from right to wrong"
    assert tags(paths, poor)[FLIPS] == "against better (version 3): 0 images from wrong to right, 38 from right to wrong"
    run = find_run(Tracking(paths).store, "classification", poor.sha256)
    folder = Path(Registry(paths).store.client.download_artifacts(run.info.run_id, "evaluation"))
    assert len(pd.read_csv(folder / "flips.csv")) == 38
    assert tags(paths, poor)[AGAINST] == f"{better.sha256[:12]} on {'t' * 12}"


def test_that_the_one_before_the_champion_is_lost_costs_the_candidates_nothing(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    old, champion, worse = (published(paths, name, wrong, wrong) for name, wrong in (("old", 60), ("champion", 30), ("worse", 36)))
    folders = [made.evaluate_dir for made in (champion, worse)]
    promote("classification", paths, settings(), [old.evaluate_dir])
    promote("classification", paths, settings(), folders)
    registry = Registry(paths)
    previous = registry.at("classification", "previous")
    assert previous is not None and previous.model == "old"
    (registry.evaluation(previous, paths.root) / "report.json").unlink()
    flips.attach(paths, "classification", folders, paths.root / "nowhere")
    assert tags(paths, worse)[FLIPS].startswith("against champion") and FLIPS not in tags(paths, champion)
    assert "changed sides is not in MLflow" in caplog.text


def detector(folder: Path, classes: list[str], points: dict[str, float], found: list[tuple[str, str, float, float]]) -> Path:
    """The evaluation of a detector on two test photographs and one of validation; `found`: photograph, label, left edge, confidence."""
    folder.mkdir()
    photographs = ["near", "far", "other"]
    images = {"image_id": photographs, "path": [f"detection/{name}.png" for name in photographs], "split": ["test", "test", "val"]}
    pd.DataFrame({**images, "width": 200, "height": 100}).to_parquet(folder / "images.parquet")
    boxes = [("near", "cat", 0.1), ("near", "cat", 0.5), ("near", "dog", 0.7), ("far", "dog", 0.1), ("other", "cat", 0.1)]
    truth = [(image, label, left, 0.2, left + 0.1, 0.6) for image, label, left in boxes]
    rows = [(image, label, left, 0.2, left + 0.1, 0.6, sure) for image, label, left, sure in found]
    split = dict(zip(photographs, images["split"], strict=True))
    for name, table in (
        ("truth", pd.DataFrame(truth, columns=["image_id", "label", *CORNERS])),
        ("predictions", pd.DataFrame(rows, columns=["image_id", "label", *CORNERS, "confidence"])),
    ):
        table.assign(split=table["image_id"].map(split)).to_parquet(folder / f"{name}.parquet")
    (folder / "report.json").write_text(json.dumps({"classes": classes, "operating_points": points}))
    return folder


def test_boxes_that_changed_sides_each_model_at_its_own_points(paths: Paths, tmp_path: Path) -> None:
    (paths.data / "detection").mkdir()
    for name in ("near", "far"):
        cv2.imwrite(str(paths.data / "detection" / f"{name}.png"), np.full((100, 200, 3), 90, np.uint8))
    # The champion finds the left cat and the far dog; the right cat not surely enough, the near dog not at all.
    before = [("near", "cat", 0.1, 0.9), ("near", "cat", 0.5, 0.4), ("far", "dog", 0.1, 0.6), ("other", "cat", 0.1, 0.9)]
    # The candidate finds both cats and the near dog, takes nothing for an emu, and misses the far dog and all of validation.
    after = [("near", "cat", 0.1, 0.5), ("near", "cat", 0.5, 0.4), ("near", "dog", 0.7, 0.8), ("near", "emu", 0.85, 0.9)]
    after += [("far", "dog", 0.1, 0.2)]
    champion = detector(tmp_path / "champion", ["dog", "cat"], {"dog": 0.5, "cat": 0.5}, before)
    candidate = detector(tmp_path / "candidate", ["cat", "dog", "emu"], {"cat": 0.3, "dog": 0.3, "emu": 0.3}, after)
    (tmp_path / "out").mkdir()
    words = flips.write(paths, "detection", (champion, candidate), tmp_path / "out")
    assert words == "2 boxes from wrong to right, 1 from right to wrong"
    rows = pd.read_csv(tmp_path / "out" / "evaluation" / "flips.csv").to_dict("records")
    assert rows == [
        {"image_id": "near", "mended": 2, "broken": 0, "false_before": 0, "false_after": 1, "flip": "wrong to right"},
        {"image_id": "far", "mended": 0, "broken": 1, "false_before": 0, "false_after": 0, "flip": "right to wrong"},
    ]
    # Both photographs below each other, as either model sees them side by side.
    height, width, _ = cv2.imread(str(tmp_path / "out" / "flips.png")).shape
    assert height > 2 * 360 and width == 2 * 360


def test_what_cannot_be_said_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    paths = project(tmp_path)
    made = classifier(paths, "cnn", 30)
    with caplog.at_level(logging.WARNING):
        flips.attach(paths, "classification", [made.evaluate_dir], tmp_path / "nowhere")
    assert "changed sides is not in MLflow" in caplog.text
