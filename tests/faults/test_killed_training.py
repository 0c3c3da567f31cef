"""The train stage killed from outside goes on where it was: equal model, the same MLflow run, every epoch once."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.tracking import Tracking
from tests.project import command, make_project, start

EPOCHS = 60


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project whose training nobody disturbs."""
    paths = prepared(tmp_path_factory.mktemp("whole"))
    assert command(paths, "stage", "train", "--model", "tiny").returncode == 0
    return paths


def prepared(root: Path) -> Paths:
    paths = make_project(root / "p")
    params = yaml.safe_load(paths.params.read_text())
    params["models"]["tiny"] |= {"epochs": EPOCHS, "ema_decay": 0.9, "dropout": 0.2, "patience": 0, "mixed_precision": "float32"}
    params["run"]["checkpoint_seconds"] = 0
    paths.params.write_text(yaml.safe_dump(params, sort_keys=False))
    for name in ("validate", "split", "augment"):
        assert command(paths, "stage", name).returncode == 0
    return paths


def interrupt(paths: Paths, number: signal.Signals, after_epoch: int) -> int:
    """Start the training and end it by a signal once it has told of an epoch; its exit code."""
    process: subprocess.Popen[str] = start(paths, "stage", "train", "--model", "tiny")
    assert process.stderr is not None
    for line in process.stderr:
        if f"epoch {after_epoch}/{EPOCHS}" in line:
            break
    time.sleep(0.02)
    os.killpg(process.pid, number)
    process.stderr.read()
    return process.wait(timeout=60)


def runs(paths: Paths) -> list[Any]:
    store = Tracking(paths).store
    return list(store.client.search_runs([store.experiment("classification")]))


@pytest.mark.slow
@pytest.mark.ci
def test_it_goes_on_whatever_ends_it(tmp_path: Path, whole: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paths = prepared(tmp_path)
    assert interrupt(paths, signal.SIGKILL, 5) == -signal.SIGKILL
    assert not paths.train("tiny").exists()
    assert interrupt(paths, signal.SIGTERM, 20) == 130
    assert [run.info.status for run in runs(paths)] == ["KILLED"]
    assert interrupt(paths, signal.SIGINT, 40) == 130
    assert command(paths, "stage", "train", "--model", "tiny").returncode == 0

    assert sha256(paths.train("tiny") / "model.keras") == sha256(whole.train("tiny") / "model.keras")
    assert (paths.train("tiny") / "history.csv").read_text() == (whole.train("tiny") / "history.csv").read_text()
    assert json.loads((paths.train("tiny") / "model.json").read_text())["epochs"] == EPOCHS
    assert not paths.checkpoints("tiny").exists()

    [run] = runs(paths)
    assert run.info.status == "FINISHED"
    points = Tracking(paths).store.client.get_metric_history(run.info.run_id, "val/loss")
    assert sorted(point.step for point in points) == list(range(EPOCHS))


@pytest.mark.slow
def test_a_training_of_other_parameters_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paths = prepared(tmp_path)
    interrupt(paths, signal.SIGTERM, 3)
    params = yaml.safe_load(paths.params.read_text())
    params["models"]["tiny"] |= {"epochs": 2}
    paths.params.write_text(yaml.safe_dump(params, sort_keys=False))
    found = command(paths, "stage", "train", "--model", "tiny")
    assert "epoch 1/2" in found.stderr and "epoch 2/2" in found.stderr
    assert sorted(run.info.status for run in runs(paths)) == ["FINISHED", "KILLED"]
