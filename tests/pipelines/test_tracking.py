"""Runs: live, completed, back-filled, once."""

import json
import os
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from components.errors import DataError
from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.tracking import Tracking
from pipelines.tracking.lease import Renewal
from pipelines.tracking.once import once
from tests.pipelines.fabricate import CLASSES, classifier


@pytest.fixture
def project_name() -> str:
    return "a project with #5% odd name"


@pytest.fixture
def tracking(paths: Paths) -> Tracking:
    return Tracking(paths)


def runs(tracking: Tracking, task: str = "classification") -> list[Any]:
    return list(tracking.store.client.search_runs([tracking.store.experiment(task)]))


def steps(tracking: Tracking, run_id: str, name: str) -> list[tuple[int, float]]:
    return [
        (point.step, point.value) for point in sorted(tracking.store.client.get_metric_history(run_id, name), key=lambda p: p.timestamp)
    ]


def test_the_store_is_private_and_wholly_inside_the_project(tracking: Tracking, paths: Paths, tmp_path: Path) -> None:
    made = classifier(paths, "cnn", 10)
    run_id = tracking.publish(made.model_dir, made.evaluate_dir)
    assert stat.S_IMODE(paths.mlflow_store.stat().st_mode) == 0o700
    assert (paths.mlflow_store / "artifacts" / "classification" / str(run_id) / "artifacts" / "evaluation" / "report.json").is_file()
    assert [entry.name for entry in tmp_path.iterdir()] == [paths.root.name]
    assert {e.name for e in tracking.store.client.search_experiments()} >= {"classification", "detection"}


def test_nothing_is_opened_or_created_by_asking(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    Tracking(paths)
    assert not paths.mlflow_store.exists()


def test_the_environment_names_another_store(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow.example:5000")
    store = Tracking(paths).store
    assert (store.uri, store.embedded) == ("http://mlflow.example:5000", False)


def test_a_published_run_holds_everything(tracking: Tracking, paths: Paths, tmp_path: Path) -> None:
    made = classifier(paths, "cnn", 12)
    extra = paths.root / "sample_grid.png"
    extra.write_bytes((made.evaluate_dir / "pictures" / "confusion.png").read_bytes())
    run_id = str(tracking.publish(made.model_dir, made.evaluate_dir, [extra], {"git_commit": "abc123", "flow_run": "f1"}))
    run = tracking.store.client.get_run(run_id)
    assert (run.info.run_name, run.info.status) == ("cnn-dddddddd", "FINISHED")
    assert run.data.params == {"epochs": "4", "learning_rate": "0.001", "weights": "None"}
    assert run.data.metrics["test/accuracy"] == run.data.metrics["val/accuracy"] == 0.9
    assert steps(tracking, run_id, "loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3)), (3, 0.25)]
    tags = run.data.tags
    assert (tags["mlflow.source.git.commit"], tags["visionloop.flow_run"], tags["visionloop.backfilled"]) == ("abc123", "f1", "true")
    assert tags["visionloop.test_digest"] == "t" * 64
    assert "| test/accuracy | 0.9 |" in tags["mlflow.note.content"]
    [used] = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest) == ("classification", "d" * 36)
    names = {f.path for place in ("evaluation", None) for f in tracking.store.client.list_artifacts(run_id, place)}
    wanted = {"evaluation/report.json", "evaluation/predictions.parquet", "evaluation/history.csv", "confusion.png", "report.html"}
    assert names >= wanted | {"sample_grid.png"}
    images = [f.path for f in tracking.store.client.list_artifacts(run_id, "images") if f.path.endswith(".png")]
    assert sorted(Path(path).name.partition("+")[0] for path in images) == ["confusion", "sample_grid"]


def test_the_logged_model_is_the_evaluated_file_and_mlflow_loads_it(tracking: Tracking, paths: Paths) -> None:
    import mlflow

    made = classifier(paths, "cnn", 12)
    report = made.evaluate_dir / "report.json"
    points = {"apple": 0.25, "banana": 0.5, "pear": 0.4}  # as a detector's report has
    report.write_text(json.dumps({**json.loads(report.read_text()), "operating_points": points}))
    run_id = str(tracking.publish(made.model_dir, made.evaluate_dir))
    run = tracking.store.client.get_run(run_id)
    model = tracking.store.client.get_logged_model(run.data.tags["visionloop.logged_model"])
    assert [output.model_id for output in run.outputs.model_outputs] == [model.model_id]
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=model.artifact_location, tracking_uri=tracking.store.uri))
    assert sha256(folder / "data" / "model.keras") == made.sha256
    assert not list(folder.rglob("*pickle*"))
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert loaded.metadata.signature.inputs.inputs[0].type == np.dtype("uint8")
    assert loaded.metadata.metadata == {"classes": CLASSES, "operating_points": points}
    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    found = loaded.predict(pixels)
    assert found.shape == (5, len(CLASSES))
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert "tensorflow==" in (folder / "requirements.txt").read_text()


def test_publishing_again_does_nothing_and_quickly(tracking: Tracking, paths: Paths) -> None:
    made = classifier(paths, "cnn", 12)
    first = tracking.publish(made.model_dir, made.evaluate_dir, tags={"flow_run": "one"})
    before = tracking.store.client.get_run(str(first)).to_dictionary()
    started = time.process_time()
    assert tracking.publish(made.model_dir, made.evaluate_dir, tags={"flow_run": "two"}) == first
    assert time.process_time() - started < 0.1
    assert tracking.store.client.get_run(str(first)).to_dictionary() == before
    assert len(runs(tracking)) == 1
    assert len(steps(tracking, str(first), "test/accuracy")) == 1


def test_a_new_evaluation_of_the_same_weights_stays_in_its_run(tracking: Tracking, paths: Paths) -> None:
    made = classifier(paths, "cnn", 12)
    first = tracking.publish(made.model_dir, made.evaluate_dir)
    report = json.loads((made.evaluate_dir / "report.json").read_text())
    report["metrics"]["test/accuracy"] = 0.75
    (made.evaluate_dir / "report.json").write_text(json.dumps(report))
    assert tracking.publish(made.model_dir, made.evaluate_dir) == first
    run = tracking.store.client.get_run(str(first))
    assert run.data.metrics["test/accuracy"] == 0.75
    assert len(run.outputs.model_outputs) == 1
    assert len(steps(tracking, str(first), "loss")) == 4


def test_a_live_run_is_completed_not_doubled(tracking: Tracking, paths: Paths) -> None:
    made = classifier(paths, "cnn", 12)
    live = tracking.start_candidate("classification", "cnn", "cnn-dddddddd", {"epochs": 4}, {"visionloop.flow_run": "f"})
    assert live is not None
    live.log_epoch(0, {"loss": 1.0, "val/accuracy": 0.0})
    live.log_epoch(2, {"loss": 0.3333, "val/accuracy": 0.2})
    assert runs(tracking)[0].info.status == "RUNNING"
    live.finish(made.sha256)
    assert tracking.publish(made.model_dir, made.evaluate_dir) == live.run_id
    assert [step for step, _ in sorted(steps(tracking, live.run_id, "loss"))] == [0, 1, 2, 3]
    [run] = runs(tracking)
    assert "visionloop.backfilled" not in run.data.tags
    assert run.data.params == {"epochs": "4", "learning_rate": "0.001", "weights": "None"}
    # What the table of runs shows is the evaluation's number, not the last epoch's.
    assert run.data.metrics["val/accuracy"] == 0.9


def test_an_interrupted_publication_is_taken_up_again(tracking: Tracking, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    made = classifier(paths, "cnn", 12)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.tracking.publish._log_files", cut)
    with pytest.raises(KeyboardInterrupt):
        tracking.publish(made.model_dir, made.evaluate_dir)
    monkeypatch.undo()
    run_id = str(tracking.publish(made.model_dir, made.evaluate_dir))
    assert [run.info.run_id for run in runs(tracking)] == [run_id]
    assert len(steps(tracking, run_id, "loss")) == 4


def test_a_publication_cut_just_before_its_model_was_named_is_taken_up_again(
    tracking: Tracking, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = classifier(paths, "cnn", 12)
    client = tracking.store.client
    set_tag = client.set_tag

    def cut(run_id: str, key: str, *value: object) -> None:
        if key == "visionloop.logged_model":
            raise KeyboardInterrupt
        set_tag(run_id, key, *value)

    monkeypatch.setattr(client, "set_tag", cut)
    with pytest.raises(KeyboardInterrupt):
        tracking.publish(made.model_dir, made.evaluate_dir)
    monkeypatch.undo()
    run = client.get_run(str(tracking.publish(made.model_dir, made.evaluate_dir)))
    assert [output.model_id for output in run.outputs.model_outputs] == [run.data.tags["visionloop.logged_model"]]


def test_a_skipped_model_is_not_published(tracking: Tracking, paths: Paths) -> None:
    folder = paths.evaluate("yolo")
    folder.mkdir(parents=True)
    (folder / "report.json").write_text('{"skipped": "there is no detection data"}')
    assert tracking.publish(paths.train("yolo"), folder) is None


def test_another_model_than_the_evaluated_one_is_refused(tracking: Tracking, paths: Paths) -> None:
    made = classifier(paths, "cnn", 12)
    with (made.model_dir / "model.keras").open("ab") as file:
        file.write(b"x")
    with pytest.raises(DataError, match="was evaluated"):
        tracking.publish(made.model_dir, made.evaluate_dir)
    assert runs(tracking) == []


def test_runs_of_dead_processes_here_are_closed_and_no_others(tracking: Tracking) -> None:
    mine = tracking.start_candidate("classification", "cnn", "mine", {}, {})
    assert mine is not None
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    child.wait()
    client, experiment = tracking.store.client, tracking.store.experiment("classification")

    def left(host: str, pid: int, started: float) -> str:
        owner = {"visionloop.owner.host": host, "visionloop.owner.pid": str(pid), "visionloop.owner.started": str(started)}
        return str(client.create_run(experiment, tags=owner).info.run_id)

    dead = left(socket.gethostname(), child.pid, 1.0)
    reused = left(socket.gethostname(), os.getpid(), 1.0)
    elsewhere = left("another-host", child.pid, 1.0)
    leased, lapsed = (left("another-host", child.pid, 1.0) for _ in range(2))
    client.set_tag(leased, "visionloop.owner.lease", str(time.time() + 60))
    client.set_tag(lapsed, "visionloop.owner.lease", str(time.time() - 60))
    foreign = str(client.create_run(experiment).info.run_id)
    assert sorted(tracking.reconcile()) == sorted([dead, reused, lapsed])
    status = {run.info.run_id: run.info.status for run in runs(tracking)}
    assert [status[run] for run in (dead, reused, lapsed)] == ["KILLED"] * 3
    assert [status[run] for run in (leased, elsewhere, foreign, mine.run_id)] == ["RUNNING"] * 4


def test_a_lease_is_renewed_and_its_run_lives_again_after_another_machine_took_it_for_dead(tracking: Tracking) -> None:
    client = tracking.store.client
    run_id = str(client.create_run(tracking.store.experiment("classification"), tags={"visionloop.owner.lease": "1"}).info.run_id)
    client.set_terminated(run_id, "KILLED")
    renewal = Renewal(tracking.store, run_id, every=0.01)
    deadline = time.monotonic() + 20
    while client.get_run(run_id).info.status == "KILLED" and time.monotonic() < deadline:
        time.sleep(0.02)
    renewal.stop()
    run = client.get_run(run_id)
    assert run.info.status == "RUNNING"
    assert float(run.data.tags["visionloop.owner.lease"]) > time.time()


def test_a_live_run_that_never_heard_of_its_end_is_the_run_that_is_published(tracking: Tracking, paths: Paths) -> None:
    made = classifier(paths, "cnn", 12)
    (made.model_dir / "model.json").write_text('{"training": "key/8"}')
    live = tracking.start_candidate("classification", "cnn", "cnn-dddddddd", {"epochs": 4}, {"visionloop.training": "key/8"})
    assert live is not None
    live.log_epoch(0, {"loss": 1.0, "val/accuracy": 0.0})
    live.away = True
    live.log_epoch(1, {"loss": 0.5, "val/accuracy": 0.1})
    live.finish(made.sha256)
    tracking.store.client.set_tag(live.run_id, "visionloop.owner.started", "1.0")  # its process is no more
    assert tracking.publish(made.model_dir, made.evaluate_dir) == live.run_id
    [run] = runs(tracking)
    assert run.info.status == "FINISHED"
    assert [step for step, _ in sorted(steps(tracking, live.run_id, "loss"))] == [0, 1, 2, 3]


def test_what_was_made_though_its_answer_was_lost_is_not_made_again() -> None:
    made: list[str] = []

    def create() -> str:
        made.append("run")
        raise OSError("connection reset")

    assert once(lambda: next(iter(made), None), create) == "run"
    assert made == ["run"]
