"""`visionloop tune` on a small project: what it refuses, what it writes, and what is left when it is killed."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient

from components.errors import UsageError
from components.train.search import Trial
from pipelines import settings, tune, tune_report
from pipelines.overrides import rewrite
from pipelines.paths import Paths
from pipelines.tracking import Tracking
from tests.project import ROOT, command, make_project, start

SPACE = {"learning_rate": {"low": 0.0001, "high": 0.1, "log": True}, "dropout": {"low": 0.0, "high": 0.5}}


def project(root: Path, *, images: bool = True, **changed: Any) -> Paths:
    paths = make_project(root, images=images)
    raw = yaml.safe_load(paths.params.read_text())
    raw["models"]["tiny"] |= {"epochs": 3, "mixed_precision": "float32"} | changed
    raw["tune"] |= {"trials": 4, "random_trials": 1, "prune_from": 0.3}
    raw["tune"]["classification"]["space"] = SPACE
    raw["run"]["checkpoint_seconds"] = 0.01
    paths.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    return paths


@pytest.mark.parametrize(
    ("knobs", "said"),
    [
        ({"schedule": {"choices": ["cosine", "cosin"]}}, r"tune\.classification\.space: models\.tiny\.train\.schedule is 'cosin'"),
        ({"epochs": {"low": 0, "high": 3}}, "epochs, batch_size and threads must be 1 or more"),
        ({"learning_rat": {"low": 1, "high": 3}}, "did you mean learning_rate"),
        ({"dropout": {"low": 0, "hihg": 3}}, "unknown parameter tune.classification.space.dropout.hihg; did you mean"),
    ],
)
def test_a_space_that_the_model_cannot_have_is_refused(knobs: dict[str, Any], said: str, tmp_path: Path) -> None:
    paths = project(tmp_path / "p", images=False)
    raw = yaml.safe_load(paths.params.read_text())
    raw["tune"]["classification"]["space"] = knobs
    paths.params.write_text(yaml.safe_dump(raw))
    with pytest.raises(UsageError, match=said):
        tune.plan(paths, "tiny", None, None, None)


@pytest.mark.parametrize(
    ("name", "trials", "budget", "said"),
    [("tony", None, None, "no model 'tony'"), ("tiny", 0, None, "--trials is 0"), ("tiny", None, "soon", "expected a time such as 90s")],
)
def test_a_wrong_question_is_refused(name: str, trials: int | None, budget: str | None, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        tune.plan(project(tmp_path / "p", images=False), name, trials, budget, None)


def test_applying_changes_the_models_own_knobs_and_keeps_every_comment(tmp_path: Path) -> None:
    original = (ROOT / "params.yaml").read_text("utf-8")
    paths = Paths(tmp_path)
    paths.params.write_text(original, "utf-8")
    best = Trial(3, "complete", {"learning_rate": 0.00123, "weight_decay": 1e-05, "batch_size": 16}, 0.5)
    found = tune.Found(tune.plan(paths, "cnn", None, None, None), [best], best, {}, 10)
    tune_report.apply(found)
    changed = settings.load(paths.params).models["cnn"].train
    assert (changed.learning_rate, changed.weight_decay, changed.batch_size) == (0.00123, 1e-05, 16)
    assert settings.load(paths.params).models["yolo"] == settings.load(ROOT / "params.yaml").models["yolo"]
    comments = [line.partition("#")[2] for line in original.splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in paths.params.read_text("utf-8").splitlines() if "#" in line] == comments
    assert yaml.safe_load(tune_report.block(found)) == {"models": {"cnn": best.params}}


def test_params_are_not_rewritten_while_a_run_works(tmp_path: Path) -> None:
    from filelock import FileLock

    paths = project(tmp_path / "p", images=False)
    before = paths.params.read_bytes()
    paths.private.mkdir()
    with FileLock(paths.private / "run.lock"), pytest.raises(UsageError, match="wait for it to end"):
        rewrite(paths, ["models.tiny.epochs=9"])
    assert paths.params.read_bytes() == before


def test_mlflow_is_brought_in_line_with_the_study_once_it_is_back(tmp_path: Path) -> None:
    rows = [{"train/loss": 1.0, "val/accuracy": 0.25}, {"train/loss": 0.5, "val/accuracy": 0.75}]
    trials = [
        Trial(0, "complete", {"dropout": 0.1}, 0.75, rows),
        Trial(1, "pruned", {"dropout": 0.2}, None, rows[:1]),
        Trial(2, "failed", {"dropout": 0.3}, None, [], "the training loss became nan"),
    ]
    params = {trial.number: {**trial.params, "epochs": 2} for trial in trials}
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "best.yaml").write_text("x: 1\n")
    away = Tracking(Paths(tmp_path), "http://127.0.0.1:9").search("classification", "tiny", "key", "tune-tiny")
    assert away.trial(0, params[0]) is None and not away.complete(trials, params, {}, tmp_path / "files")

    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    runs = Tracking(Paths(tmp_path), uri).search("classification", "tiny", "key", "tune-tiny")
    live = runs.trial(0, params[0])  # one trial was live, and its process died after an epoch
    assert live is not None
    live.log_epoch(0, rows[0])
    for _ in range(2):  # the second time there is nothing left to do
        assert runs.complete(trials, params, {"best.dropout": "0.1"}, tmp_path / "files")
    client = MlflowClient(uri)
    found = client.search_runs([client.get_experiment_by_name("classification").experiment_id])
    (parent,) = [run for run in found if "mlflow.parentRunId" not in run.data.tags]
    nested = {int(run.data.tags["visionloop.trial"]): run for run in found if run is not parent}
    assert {run.data.tags["mlflow.parentRunId"] for run in nested.values()} == {parent.info.run_id}
    assert {number: run.info.status for number, run in nested.items()} == {0: "FINISHED", 1: "FINISHED", 2: "FAILED"}
    assert [nested[number].data.tags["visionloop.trial_state"] for number in range(3)] == ["complete", "pruned", "failed"]
    assert nested[2].data.tags["visionloop.reason"] == "the training loss became nan"
    history = client.get_metric_history(nested[0].info.run_id, "val/accuracy")
    assert [(point.step, point.value) for point in history] == [(0, 0.25), (1, 0.75)]
    assert nested[0].data.params == {"dropout": "0.1", "epochs": "2"} and nested[0].info.run_id == live.run_id
    assert (parent.info.status, parent.data.tags["best.dropout"], parent.data.metrics["trial/value"]) == ("FINISHED", "0.1", 0.75)
    assert [file.path for file in client.list_artifacts(parent.info.run_id)] == ["best.yaml"]


def answer(paths: Paths) -> dict[str, Any]:
    done = command(paths, "tune", "tiny", "--json", timeout=900)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr and "Warning" not in done.stderr
    return dict(json.loads(done.stdout))


def left_after(paths: Paths, line: str, number: int) -> int:
    """Begin the search, send a signal once it has said `line`, and answer how it ended."""
    process = start(paths, "tune", "tiny")
    assert process.stderr is not None
    for said in process.stderr:
        if line in said:
            break
    os.kill(process.pid, number)
    process.stdout.close()  # type: ignore[union-attr]
    process.stderr.read()
    return process.wait(timeout=120)


@pytest.mark.slow
@pytest.mark.ci
def test_a_search_that_was_killed_ends_with_the_trials_of_one_that_was_not(tmp_path: Path) -> None:
    whole, broken = project(tmp_path / "whole"), project(tmp_path / "broken")
    expected = answer(whole)
    assert left_after(broken, "trial 0 (of 4) epoch 1", signal.SIGKILL) == -signal.SIGKILL
    assert left_after(broken, "trial 1 (of 4) epoch 2", signal.SIGINT) == 130
    assert left_after(broken, "trial 2 (of 4): learning_rate", signal.SIGKILL) == -signal.SIGKILL
    found = answer(broken)
    assert found["trials"] == expected["trials"] and found["best"] == expected["best"]
    assert [trial["number"] for trial in found["trials"]] == [0, 1, 2, 3] and found["trials_left"] == 0
    client = MlflowClient(f"sqlite:///{broken.mlflow_store / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("classification").experiment_id])
    nested = sorted(run.data.tags["visionloop.trial"] for run in runs if "mlflow.parentRunId" in run.data.tags)
    assert (nested, len(runs)) == (["0", "1", "2", "3"], 5)  # each trial and the search itself have one run
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert not list((broken.searches("tiny")).glob("*/checkpoints/*"))
    assert Path(found["files"][0]).read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_a_trial_whose_loss_is_no_number_fails_alone_and_a_budget_ends_between(tmp_path: Path) -> None:
    paths = project(tmp_path / "p", clip_norm=0.0, optimizer="sgd")
    raw = yaml.safe_load(paths.params.read_text())
    raw["tune"]["classification"]["space"] = {"learning_rate": {"choices": [0.01, 1e30]}}
    paths.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    none = command(paths, "tune", "tiny", "--budget", "0.001s", "--json", timeout=600)
    assert (none.returncode, json.loads(none.stdout)["trials_left"]) == (1, 4)
    found = answer(paths)
    states = {trial["params"]["learning_rate"]: trial["state"] for trial in found["trials"]}
    assert states[1e30] == "failed" and states[0.01] == "complete" and found["best"]["params"] == {"learning_rate": 0.01}
    assert all("lower learning_rate" in trial["reason"] for trial in found["trials"] if trial["state"] == "failed")
