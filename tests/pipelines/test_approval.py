"""What waits for a human, and what becomes of it when somebody, or nobody, says something."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from benchmarks.promoters_stores import prepare
from components.promote import Decision
from pipelines import cli, registry_commands
from pipelines.approval import Say, awaits, overrulable
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


NO_LIMITS = {"floor": 0.0, "max_recall_drop": None, "max_size_ratio": None, "max_latency_ratio": None, "max_ece_rise": None}


def judged(paths: Paths, *models: str, say: Say | None = None, required: bool = True, **gate: float) -> Decision:
    knobs = settings(**{**NO_LIMITS, **gate})
    knobs.promote.approval = "required" if required else "none"
    return promote(TASK, paths, knobs, [paths.evaluate(model) for model in models], None, Registry(paths), say)


def said(paths: Paths, answer: Any, by: str, why: str = "") -> Say:
    """What somebody says of what waits, or else of what was refused."""
    entries = Registry(paths).history(TASK)
    asked = awaits(entries) or overrulable(entries)
    assert asked is not None
    return Say(answer, by, why, asked["key"])


def state(paths: Paths) -> tuple[str | None, list[str], str | None]:
    """The champion, the verdicts of the ledger, and the version that waits."""
    registry = Registry(paths)
    champion, entries = registry.at(TASK, "champion"), registry.history(TASK)
    waiting = awaits(entries)
    verdicts = [entry.get("verdict", entry["event"]) for entry in entries]
    return champion and champion.model, verdicts, waiting and waiting["candidate"]["model"]


def test_it_waits_until_it_is_approved(paths: Paths) -> None:
    decision = judged(paths, "model01")
    assert decision.verdict == "keep" and "waits for a human's say" in decision.reasons[0]
    judged(paths, "model01")
    assert state(paths) == (None, ["pending"], "model01"), "asking again adds nothing"
    assert judged(paths, "model01", say=Say("approved", "ada")).verdict == "keep", "a yes to nothing approves nothing"
    assert judged(paths, "model01", say=said(paths, "approved", "ada")).verdict == "promote"
    assert state(paths) == ("model01", ["pending", "promote"], None)
    assert Registry(paths).history(TASK)[-1]["approval"] == {"answer": "approved", "by": "ada", "why": ""}
    assert judged(paths, "model01").reasons == ["model01 is already champion"]


@pytest.mark.parametrize(
    ("no", "words"),
    [(("rejected", "ada", "too slow"), "rejected by ada: too slow"), (("timed out", "60 s"), "nobody approved it in time (60 s)")],
)
def test_a_no_is_kept_until_somebody_says_yes(paths: Paths, no: tuple[str, ...], words: str) -> None:
    judged(paths, "model01")
    decision = judged(paths, "model01", say=said(paths, *no))
    assert (decision.verdict, decision.reasons[0]) == ("keep", words)
    assert judged(paths, "model01") == decision, "the flow of the next night does not ask again"
    assert state(paths) == (None, ["pending", "keep"], None)
    assert judged(paths, "model01", say=said(paths, "approved", "bob")).verdict == "promote"
    assert state(paths)[0] == "model01"


def test_a_yes_counts_for_what_it_was_said_of(paths: Paths) -> None:
    judged(paths, "model02")
    waiting = awaits(Registry(paths).history(TASK))
    assert waiting is not None
    judged(paths, "model01", required=False)  # the champion changes while somebody thinks
    assert judged(paths, "model02", say=Say("approved", "ada", key=waiting["key"])).verdict == "keep"
    assert state(paths) == ("model01", ["pending", "promote", "pending"], "model02")
    judged(paths, "model02", say=said(paths, "approved", "ada"))
    assert state(paths)[0] == "model02"


def test_after_a_no_the_next_candidate_is_asked_about(paths: Paths) -> None:
    judged(paths, "model01", "model02")
    assert state(paths) == (None, ["pending"], "model02"), "the best comes first, and those behind it wait"
    judged(paths, "model01", "model02", say=said(paths, "rejected", "ada"))
    assert state(paths) == (None, ["pending", "keep", "pending"], "model01")


def test_a_no_holds_whoever_else_is_judged_and_blocks_nobody(paths: Paths) -> None:
    judged(paths, "model00", required=False)
    judged(paths, "model02")
    judged(paths, "model02", say=said(paths, "rejected", "ada", "too slow"))
    decision = judged(paths, "model01", "model02")  # another one joins, which validation prefers less
    assert decision.reasons[0] == "model02: keep: rejected by ada: too slow"
    assert state(paths) == ("model00", ["promote", "pending", "keep", "pending"], "model01")
    judged(paths, "model01", "model02", say=said(paths, "rejected", "ada"))
    judged(paths, "model01", "model02", "model03")
    assert state(paths)[2] == "model03", "one that validation prefers is asked about"
    judged(paths, "model01", "model02", "model03", say=said(paths, "rejected", "ada"))
    before = Registry(paths).history(TASK)
    for models in (["model01"], ["model02", "model03"], ["model01", "model02", "model03"]):
        judged(paths, *models)
    assert Registry(paths).history(TASK) == before, "nobody is asked about any of them again"


@pytest.mark.parametrize("other", ["champion", "gate", "test set"])
def test_a_no_is_about_this_champion_this_gate_and_this_test_set(paths: Paths, other: str) -> None:
    judged(paths, "model00", required=False)
    judged(paths, "model03")
    judged(paths, "model03", say=said(paths, "rejected", "ada"))
    if other == "champion":
        judged(paths, "model01", required=False)
    elif other == "test set":
        for model in ("model00", "model03"):
            path = paths.evaluate(model) / "report.json"
            path.write_text(json.dumps(json.loads(path.read_text()) | {"test_digest": "u" * 64}))
    judged(paths, "model00", "model03", **({"margin": 0.01} if other == "gate" else {}))
    assert state(paths)[2] == "model03"


def test_a_no_counts_though_a_better_one_was_trained_meanwhile(paths: Paths) -> None:
    judged(paths, "model00", required=False)
    judged(paths, "model02")
    judged(paths, "model02", "model03", say=said(paths, "rejected", "ada"))
    assert state(paths) == ("model00", ["promote", "pending", "keep", "pending"], "model03")
    judged(paths, "model02", "model03", say=said(paths, "rejected", "ada"))
    assert state(paths) == ("model00", ["promote", "pending", "keep", "pending", "keep"], None)


def test_what_was_rejected_can_be_approved_though_others_joined(paths: Paths) -> None:
    judged(paths, "model00", required=False)
    judged(paths, "model02")
    judged(paths, "model02", say=said(paths, "rejected", "ada"))
    judged(paths, "model01", "model02", say=said(paths, "approved", "bob"))
    assert state(paths) == ("model02", ["promote", "pending", "keep", "promote", "keep"], None)


def test_what_would_not_be_promoted_any_more_waits_no_longer(paths: Paths) -> None:
    judged(paths, "model00", required=False)
    judged(paths, "model02")
    yes = said(paths, "approved", "ada")
    assert judged(paths, "model02", say=yes, margin=0.9).verdict == "keep"
    assert state(paths) == ("model00", ["promote", "pending", "keep", "void"], None)
    assert Registry(paths).history(TASK)[-1]["reasons"] == ["version 3 (model02) would not be promoted now: it waits no longer"]


def test_a_proposal_goes_on_waiting_while_others_alone_are_judged(paths: Paths) -> None:
    judged(paths, "model01", required=False)
    judged(paths, "model02")
    judged(paths, "model00")
    assert state(paths) == ("model01", ["promote", "pending", "keep"], "model02")


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
