"""What waits for a human, and what becomes of it when somebody, or nobody, says something."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.promoters_stores import prepare
from components.promote import Decision
from pipelines import cli, registry_commands
from pipelines.approval import Say, awaits
from pipelines.paths import Paths
from pipelines.promote import promote
from pipelines.registry import Registry
from tests.pipelines.fabricate import empty_store, settings

TASK = "classification"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(tmp_path / "project"))
    monkeypatch.chdir(tmp_path)
    made = Paths(tmp_path / "project")
    made.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), made.mlflow_store / "mlflow.db")
    prepare(made.root, f"sqlite:///{made.mlflow_store / 'mlflow.db'}", 3)
    return made


def judged(paths: Paths, *models: str, say: Say | None = None, required: bool = True) -> Decision:
    knobs = settings(floor=0.0, max_recall_drop=None, max_size_ratio=None, max_latency_ratio=None, max_ece_rise=None)
    knobs.promote.approval = "required" if required else "none"
    return promote(TASK, paths, knobs, [paths.evaluate(model) for model in models], None, Registry(paths), say)


def state(paths: Paths) -> tuple[str | None, list[str], str | None]:
    """The champion, the verdicts of the ledger, and the version that waits."""
    registry = Registry(paths)
    champion, entries = registry.at(TASK, "champion"), registry.history(TASK)
    waiting = awaits(entries)
    return champion and champion.model, [entry["verdict"] for entry in entries], waiting and waiting["candidate"]["model"]


def test_it_waits_until_it_is_approved(paths: Paths) -> None:
    decision = judged(paths, "model01")
    assert decision.verdict == "keep" and "waits for a human's say" in decision.reasons[0]
    judged(paths, "model01")
    assert state(paths) == (None, ["pending"], "model01"), "asking again adds nothing"
    assert judged(paths, "model01", say=Say("approved", "ada")).verdict == "promote"
    assert state(paths) == ("model01", ["pending", "promote"], None)
    assert Registry(paths).history(TASK)[-1]["approval"] == {"answer": "approved", "by": "ada", "why": ""}
    assert judged(paths, "model01").reasons == ["model01 is already champion"]


@pytest.mark.parametrize(
    ("say", "said"),
    [(Say("rejected", "ada", "too slow"), "rejected by ada: too slow"), (Say("timed out", "60 s"), "nobody approved it in time (60 s)")],
)
def test_a_no_is_kept_until_somebody_says_yes(paths: Paths, say: Say, said: str) -> None:
    judged(paths, "model01")
    decision = judged(paths, "model01", say=say)
    assert (decision.verdict, decision.reasons[0]) == ("keep", said)
    assert judged(paths, "model01") == decision, "the flow of the next night does not ask again"
    assert state(paths) == (None, ["pending", "keep"], None)
    assert judged(paths, "model01", say=Say("approved", "bob")).verdict == "promote"
    assert state(paths)[0] == "model01"


def test_a_yes_counts_for_what_it_was_said_of(paths: Paths) -> None:
    judged(paths, "model02")
    waiting = awaits(Registry(paths).history(TASK))
    assert waiting is not None
    judged(paths, "model01", required=False)  # the champion changes while somebody thinks
    assert judged(paths, "model02", say=Say("approved", "ada", key=waiting["key"])).verdict == "keep"
    assert state(paths) == ("model01", ["pending", "promote", "pending"], "model02")
    judged(paths, "model02", say=Say("approved", "ada"))
    assert state(paths)[0] == "model02"


def test_after_a_no_the_next_candidate_is_asked_about(paths: Paths) -> None:
    judged(paths, "model01", "model02")
    assert state(paths) == (None, ["pending"], "model02"), "the best comes first, and those behind it wait"
    judged(paths, "model01", "model02", say=Say("rejected", "ada"))
    assert state(paths) == (None, ["pending", "keep", "pending"], "model01")


def test_without_approval_nothing_waits(paths: Paths) -> None:
    assert judged(paths, "model01", required=False).verdict == "promote"
    assert state(paths) == ("model01", ["promote"], None)


def test_the_history_is_a_table_that_tells_what_waits(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    judged(paths, "model01", required=False)
    judged(paths, "model02")
    assert registry_commands.show_history(paths, TASK, verify=False, as_json=False) == 0
    promoted, waiting, *rest = capsys.readouterr().out.splitlines()
    assert promoted[21:].startswith("promote  none → 2 model01       no champion yet, and test accuracy")
    assert waiting[21:].startswith("pending  2 model01 → 3 model02  test accuracy")
    assert rest == ["version 3 waits: `visionloop promote classification --approve` or `--reject`"]


def test_verifying_answers_1_for_a_ledger_that_was_edited(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    judged(paths, "model01", required=False)
    assert cli.main(["history", TASK, "--verify"]) == 0
    ledger = paths.mlflow_store / "ledger.jsonl"
    ledger.write_text(ledger.read_text().replace("no champion yet", "I said so"))
    assert cli.main(["history", TASK, "--verify", "--json"]) == 1
    assert "entry 1 (" in capsys.readouterr().out


def test_the_command_says_what_was_said(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []
    monkeypatch.setattr(registry_commands, "promote_task", lambda _paths, _task, say, **_: said.append(say) or 0)
    for line in ("", "--approve --by ada --why good", "--reject"):
        assert cli.main(["promote", TASK, *line.split()]) == 0
    nothing, yes, no = said
    assert (nothing, yes) == (None, Say("approved", "ada", "good"))
    assert no.answer == "rejected" and "@" in no.by
    with pytest.raises(SystemExit):
        cli.main(["promote", TASK, "--approve", "--reject"])
    assert cli.main(["promote", TASK, "--by", "ada"]) == 2
