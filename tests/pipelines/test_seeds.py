"""The spread over seeds in the runs of all that take part in it; and no failure of it is anyone's."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines import seeds
from pipelines.paths import Paths
from pipelines.seeds import SEEDS
from pipelines.tracking import Tracking
from pipelines.tracking.publish import NOTE, find_run
from tests.pipelines.fabricate import classifier, project

KNOBS: Any = SimpleNamespace(models=dict.fromkeys(["cnn", "again", "third", "absent"]))
TWO = "cnn, again: 2 seeds, val/accuracy 0.800 ± 0.071, test/accuracy 0.800 ± 0.071, test/macro_f1 0.800 ± 0.071"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """cnn and again: one block, accuracies 0.75 and 0.85; third: another block; all published."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    made = project(tmp_path)
    for name, wrong, seed, epochs in (("cnn", 30, 1, 4), ("again", 18, 2, 4), ("third", 24, 3, 5)):
        classifier(made, name, wrong, seed=seed)
        change(made, name, seed=seed, epochs=epochs)
    return made


def change(paths: Paths, name: str, **params: int) -> None:
    """Evaluate the same weights as those of another block, and publish that."""
    file = paths.evaluate(name) / "report.json"
    report = json.loads(file.read_text())
    file.write_text(json.dumps({**report, "params": {**report["params"], **params}}))
    Tracking(paths).publish(paths.train(name), paths.evaluate(name))


def tags(paths: Paths, name: str) -> dict[str, str]:
    report = json.loads((paths.evaluate(name) / "report.json").read_text())
    run = find_run(Tracking(paths).store, "classification", report["model_sha256"])
    assert run is not None
    return dict(run.data.tags)


def test_each_of_several_seeds_tells_the_spread_until_it_has_no_sibling(paths: Paths) -> None:
    # A run of one of them concerns its siblings too: they were evaluated before.
    seeds.attach(paths, KNOBS, ["cnn", "third"])
    for name in ("cnn", "again"):
        assert tags(paths, name)[SEEDS] == TWO
        assert tags(paths, name)[NOTE].endswith(f"\n\nOver seeds: {TWO}.")
    assert SEEDS not in tags(paths, "third") and "Over seeds" not in tags(paths, "third")[NOTE]
    change(paths, "third", epochs=4)  # accuracy 0.8, which is the mean
    seeds.attach(paths, KNOBS, ["third"])
    words = "test/accuracy 0.800 ± 0.050"
    for name in ("cnn", "again", "third"):
        assert tags(paths, name)[SEEDS].startswith("cnn, again, third: 3 seeds") and words in tags(paths, name)[SEEDS]
        assert tags(paths, name)[NOTE].count("Over seeds") == 1 and words in tags(paths, name)[NOTE]
    change(paths, "cnn", epochs=9)
    seeds.attach(paths, KNOBS, ["cnn", "again", "third"])
    assert SEEDS not in tags(paths, "cnn") and "Over seeds" not in tags(paths, "cnn")[NOTE]
    assert tags(paths, "again")[SEEDS].startswith("again, third: 2 seeds")


def test_only_spreads_that_concern_these_models_are_told(paths: Paths) -> None:
    (found,) = seeds.of_models(paths, KNOBS, ["again"])
    assert found.in_words() == TWO
    assert seeds.of_models(paths, KNOBS, ["third", "absent"]) == []


def test_a_store_that_is_away_stops_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with caplog.at_level(logging.WARNING):
        seeds.attach(paths, KNOBS, ["cnn"])
    assert "the spread over seeds is not in MLflow" in caplog.text
