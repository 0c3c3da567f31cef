"""`visionloop promote` with `--approve`, `--reject` and `--require`: what was seen is what is answered, and the exit codes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.promoters_stores import prepare
from pipelines import cli
from pipelines.approval import awaits
from pipelines.paths import Paths
from pipelines.registry import Registry
from tests.pipelines.fabricate import empty_store
from tests.project import ROOT

TASK = "classification"
MODELS = ["model00", "model01", "model02", "model03"]  # the higher the number the better, model00 is champion
APPROVE = ("--approve", "--by", "ada")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(tmp_path / "project"))
    monkeypatch.setattr("pipelines.publishing.publish_model", lambda *_: None)  # their runs are complete
    monkeypatch.chdir(tmp_path)
    made = Paths(tmp_path / "project")
    made.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), made.mlflow_store / "mlflow.db")
    prepare(made.root, f"sqlite:///{made.mlflow_store / 'mlflow.db'}", 3)
    for model in MODELS:
        leave_out(made, model)
    write_params(made, approval="none")
    train(made, "model00")
    assert promote() == 0
    write_params(made, approval="required")
    return made


def write_params(paths: Paths, approval: str) -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    raw["models"] = dict.fromkeys(MODELS, raw["models"]["cnn"])
    raw["promote"]["approval"] = approval
    raw["promote"][TASK] |= {knob: None for knob in raw["promote"][TASK] if knob.startswith("max_")}
    paths.params.write_text(yaml.safe_dump(raw))


def leave_out(paths: Paths, model: str) -> None:
    paths.evaluate(model).rename(paths.root / model)


def train(paths: Paths, model: str) -> None:
    """From now on it is one of the evaluated models."""
    (paths.root / model).rename(paths.evaluate(model))


def prefer(paths: Paths, model: str, accuracy: float) -> None:
    """Let validation think so of a model."""
    path = paths.evaluate(model) / "report.json"
    report = json.loads(path.read_text())
    report["metrics"]["val/accuracy"] = accuracy
    path.write_text(json.dumps(report))


def promote(*arguments: str) -> int:
    return cli.main(["promote", TASK, *arguments])


def champion(paths: Paths) -> str:
    found = Registry(paths).at(TASK, "champion")
    assert found is not None
    return found.model


def waits(paths: Paths) -> str | None:
    waiting = awaits(Registry(paths).history(TASK))
    return waiting and waiting["candidate"]["model"]


def test_a_yes_approves_what_was_seen_and_nothing_else(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    train(paths, "model02")
    assert promote() == 0 and waits(paths) == "model02"
    train(paths, "model03")
    capsys.readouterr()
    assert promote(*APPROVE) == 1
    told = "not approved: that was said of 1 model00 → 3 model02, and all was decided anew: version 4 (model03) waits now"
    assert capsys.readouterr().out.splitlines()[:2] == ["classification: keep", f"  {told}"]
    assert (champion(paths), waits(paths)) == ("model00", "model03")
    assert not [entry for entry in Registry(paths).history(TASK) if "approval" in entry], "nobody approved anything yet"
    assert promote(*APPROVE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "promote"
    assert (champion(paths), waits(paths)) == ("model03", None)
    assert champion_entry(paths)["approval"] == {"answer": "approved", "by": "ada", "why": ""}


def champion_entry(paths: Paths) -> dict[str, Any]:
    entry = [entry for entry in Registry(paths).history(TASK) if entry.get("verdict") == "promote"][-1]
    assert entry["candidate"]["model"] == champion(paths)
    return entry


def test_a_yes_holds_while_the_same_model_would_be_promoted(paths: Paths) -> None:
    train(paths, "model02")
    promote()
    train(paths, "model01")  # validation prefers it less
    assert promote(*APPROVE) == 0
    assert champion(paths) == "model02"


@pytest.mark.parametrize("answer", ["--approve", "--reject"])
def test_where_nothing_waits_there_is_nothing_to_say(paths: Paths, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    train(paths, "model02")
    before = Registry(paths).history(TASK)
    assert promote(answer) == 2
    assert "error: no classification model waits for approval" in capsys.readouterr().err
    assert (Registry(paths).history(TASK), champion(paths)) == (before, "model00")


def test_a_no_may_be_overruled_until_the_champion_changes(paths: Paths) -> None:
    train(paths, "model02")
    promote()
    assert promote("--reject", "--why", "too slow") == 0
    assert (champion(paths), waits(paths)) == ("model00", None)
    assert promote("--reject") == 2, "it waits no longer"
    train(paths, "model01")
    assert promote() == 0 and waits(paths) == "model01"
    assert promote("--reject") == 0
    assert promote("--approve") == 0 and champion(paths) == "model01", "the last one that was rejected"
    assert waits(paths) == "model02", "a no against another champion"
    assert promote("--approve") == 0 and champion(paths) == "model02"
    assert promote("--approve") == 2


def test_a_yes_in_vain_says_that_nothing_waits(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    train(paths, "model02")
    promote()
    paths.params.write_text(paths.params.read_text().replace("margin: 0.0", "margin: 0.9"))
    capsys.readouterr()
    assert promote("--approve") == 1
    assert "that was said of 1 model00 → 3 model02, and all was decided anew: nothing waits now" in capsys.readouterr().out
    assert promote("--approve") == 2


def test_required_is_the_model_that_validation_prefers(paths: Paths) -> None:
    assert promote("--require") == 0, "champion already, and nothing new"
    train(paths, "model03")
    assert promote("--require") == 1, "it waits"
    assert promote("--require", "--approve") == 0
    assert promote("--require") == 0, "nothing new"
    train(paths, "model01")
    prefer(paths, "model01", 0.999)
    assert promote("--require") == 1, "it lost, though the champion is one of the evaluated models"
    assert promote("--require") == 1, "and lost it has"
    prefer(paths, "model01", 0.1)
    assert promote("--require") == 0


def test_the_history_says_who_approved_and_who_rejected(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    train(paths, "model02")
    promote()
    promote("--reject", "--by", "bob", "--why", "too slow")
    promote("--approve", "--by", "ada", "--why", "fast enough")
    capsys.readouterr()
    assert cli.main(["history", TASK]) == 0
    _, pending, kept, *rest = [line[21:] for line in capsys.readouterr().out.splitlines()]
    assert pending.startswith("pending  1 model00 → 3 model02  test accuracy")
    assert kept.startswith("keep     1 model00 → 3 model02  rejected by bob: too slow")
    promoted = next(line for line in rest if line.startswith("promote"))
    assert promoted == "promote  1 model00 → 3 model02  approved by ada: fast enough"
