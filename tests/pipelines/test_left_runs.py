"""Runs whose training ended otherwise than at its end: none stays RUNNING, and the next attempt goes on with the same one."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from components.train.search import Trial
from pipelines.cli import main
from pipelines.paths import Paths
from pipelines.stages.command import run_stage
from pipelines.tracking import Store, Tracking
from pipelines.tracking.lease import Renewal
from pipelines.tracking.live import unless_it_ends
from tests.pipelines.fabricate import classifier, enter
from tests.project import make_project

TASK = "classification"
TAGS = {"visionloop.training": "key/8"}


@pytest.fixture
def dead() -> dict[str, str]:
    """Tags that name a process of this machine which is no more."""
    from pipelines.tracking.lease import owner

    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    return {**owner(), "visionloop.owner.pid": str(child.pid), "visionloop.owner.started": "1.0"}


def statuses(tracking: Tracking) -> dict[str, str]:
    store = tracking.store
    found = store.client.search_runs([store.experiment(task) for task in ("classification", "detection")])
    return {run.info.run_id: run.info.status for run in found}


def steps(tracking: Tracking, run_id: str, name: str) -> list[int]:
    return sorted(point.step for point in tracking.store.client.get_metric_history(run_id, name))


def left_behind(tracking: Tracking, task: str, tags: dict[str, str]) -> str:
    return str(tracking.store.client.create_run(tracking.store.experiment(task), tags=tags).info.run_id)


def test_a_training_that_raises_has_failed_at_once_and_the_next_attempt_is_the_same_run(paths: Paths) -> None:
    made, tracking = classifier(paths, "cnn", 12), Tracking(paths)
    (made.model_dir / "model.json").write_text('{"training": "key/8"}')
    (made.model_dir / "history.csv").write_text("epoch,train/loss\n0,1.0\n1,0.5\n2,0.25\n3,0.125\n")
    live = tracking.start_candidate(TASK, "cnn", "cnn-dddddddd", {"epochs": 4}, TAGS)
    assert live is not None
    with pytest.raises(ZeroDivisionError), unless_it_ends(live):
        live.log_epoch(0, {"train/loss": 1.0})
        live.log_epoch(1, {"train/loss": 0.5})
        raise ZeroDivisionError
    assert statuses(tracking) == {live.run_id: "FAILED"}
    again = tracking.start_candidate(TASK, "cnn", "cnn-dddddddd", {"epochs": 4}, TAGS)
    assert again is not None and again.run_id == live.run_id
    assert statuses(tracking) == {live.run_id: "RUNNING"}
    for epoch in range(4):  # its checkpoint was older than what MLflow had heard of
        again.log_epoch(epoch, {"train/loss": 0.5**epoch})
    again.finish(made.sha256)
    assert tracking.publish(made.model_dir, made.evaluate_dir) == live.run_id
    assert statuses(tracking) == {live.run_id: "FINISHED"}
    assert steps(tracking, live.run_id, "train/loss") == [0, 1, 2, 3]


def test_one_that_is_interrupted_is_killed_and_mlflow_may_be_away(paths: Paths) -> None:
    tracking = Tracking(paths)
    live = tracking.start_candidate(TASK, "cnn", "cnn", {}, TAGS)
    with pytest.raises(KeyboardInterrupt), unless_it_ends(live):
        raise KeyboardInterrupt
    assert list(statuses(tracking).values()) == ["KILLED"]
    with pytest.raises(ZeroDivisionError), unless_it_ends(None):
        raise ZeroDivisionError


@pytest.mark.slow
@pytest.mark.parametrize("where", ["in_a_line", "calibrate"])
def test_the_stage_goes_on_with_the_run_of_an_attempt_that_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    from pipelines.stages import train

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paths = make_project(tmp_path / "p")
    for name in ("validate", "split", "augment"):
        run_stage(paths, name, None)
    calls: list[Any] = []

    def broken(*arguments: Any) -> str:
        calls.append(arguments)
        if where == "in_a_line" and len(calls) == 1:
            return ""  # the first epoch is told
        raise ZeroDivisionError

    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(*((train, "in_a_line") if where == "in_a_line" else (train.calibrate, "temperature")), broken)
        run_stage(paths, "train", "tiny")
    tracking = Tracking(paths)
    [(run_id, status)] = statuses(tracking).items()
    assert status == "FAILED" and steps(tracking, run_id, "train/loss") == ([0] if where == "in_a_line" else [0, 1])
    run_stage(paths, "train", "tiny")
    assert statuses(tracking) == {run_id: "FINISHED"}
    assert steps(tracking, run_id, "train/loss") == steps(tracking, run_id, "val/accuracy") == [0, 1]


def test_runs_of_every_task_are_looked_after_and_live_ones_are_left(paths: Paths, dead: dict[str, str]) -> None:
    tracking = Tracking(paths)
    mine = tracking.start_candidate(TASK, "cnn", "cnn", {}, {})
    assert mine is not None
    gone = [left_behind(tracking, task, dead) for task in ("classification", "detection")]
    elsewhere = left_behind(tracking, "detection", {**dead, "visionloop.owner.host": "another"})
    before = time.monotonic()
    assert sorted(tracking.reconcile()) == sorted(gone)
    assert time.monotonic() - before < 1
    found = statuses(tracking)
    assert ([found[run] for run in gone], found[elsewhere], found[mine.run_id]) == (["KILLED"] * 2, "RUNNING", "RUNNING")
    gone = [left_behind(tracking, "detection", dead)]
    tracking.start_candidate(TASK, "cnn", "cnn", {}, {})  # a training of another task
    assert statuses(tracking)[gone[0]] == "KILLED"


def test_promoting_closes_the_run_of_a_model_that_left_params_yaml(
    paths: Paths, dead: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.project import ROOT

    tracking = Tracking(paths)
    (paths.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    gone = left_behind(tracking, "detection", {**dead, "visionloop.model": "no_more"})
    enter(paths, monkeypatch)
    assert main(["promote", TASK]) == 2  # there is no candidate
    assert statuses(tracking) == {gone: "KILLED"}


def test_a_flow_closes_them_first_and_goes_on_where_mlflow_is_away(
    paths: Paths, dead: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines import flows
    from tests.project import ROOT

    tracking = Tracking(paths)
    (paths.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    gone = left_behind(tracking, "detection", dead)
    monkeypatch.setattr(flows, "_version_data", lambda _: None)
    monkeypatch.setattr(flows, "_loop", lambda *_: {"candidates": []})
    assert flows.visionloop.fn([TASK], None, str(paths.root)) == {"candidates": []}
    assert statuses(tracking) == {gone: "KILLED"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert flows.visionloop.fn([TASK], None, str(paths.root)) == {"candidates": []}


def test_a_publication_that_died_is_not_running_for_ever(paths: Paths, dead: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    made, tracking = classifier(paths, "cnn", 12), Tracking(paths)

    def died(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("pipelines.tracking.publish.owner", lambda: dead)
        patch.setattr("pipelines.tracking.publish._log_files", died)
        tracking.publish(made.model_dir, made.evaluate_dir)
    [run_id] = tracking.reconcile()
    assert tracking.publish(made.model_dir, made.evaluate_dir) == run_id
    assert statuses(tracking) == {run_id: "FINISHED"}


def test_a_search_that_raises_has_failed_and_goes_on_in_the_same_runs(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    tracking = Tracking(Paths(tmp_path), uri)
    runs = tracking.search(TASK, "tiny", "key", "tune-tiny")
    live = runs.trial(0, {})
    assert live is not None
    live.log_epoch(0, {"train/loss": 1.0})
    live.failed()
    runs.failed()
    assert list(statuses(tracking).values()) == ["FAILED"] * 2
    again = tracking.search(TASK, "tiny", "key", "tune-tiny").trial(0, {})
    assert again is not None and (again.run_id, again.told) == (live.run_id, 0)
    assert list(statuses(tracking).values()) == ["RUNNING"] * 2


def test_a_search_on_a_server_renews_its_lease_until_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "embedded", property(lambda _: False))
    monkeypatch.setattr("pipelines.tracking.store.probe", lambda _: None)
    monkeypatch.setattr(Renewal.__init__, "__defaults__", (0.05,))
    (tmp_path / "files").mkdir()
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    runs = Tracking(Paths(tmp_path), uri).search(TASK, "tiny", "key", "tune-tiny")
    live, client = runs.trial(0, {}), MlflowClient(uri)
    assert live is not None
    parent = client.get_run(live.run_id).data.tags["mlflow.parentRunId"]

    def lease() -> float:
        return float(client.get_run(parent).data.tags["visionloop.owner.lease"])

    client.set_tag(parent, "visionloop.owner.lease", "1")
    deadline = time.monotonic() + 20
    while lease() == 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert lease() > time.time()
    live.finish("a" * 64)
    assert runs.complete([Trial(0, "complete", {}, 0.5, [])], {0: {}}, {}, tmp_path / "files")
    client.set_tag(parent, "visionloop.owner.lease", "1")
    time.sleep(0.3)
    assert lease() == 1
