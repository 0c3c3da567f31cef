"""A human's say: what would be promoted waits as a proposal in the ledger until somebody approves or rejects it, or nobody answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from components.promote import Decision
from pipelines.ledger import voided

PENDING = "pending"
Answer = Literal["approved", "rejected", "timed out"]
Entry = Mapping[str, Any]
Matter = tuple[str, str | None, str | None, str]


@dataclass(frozen=True)
class Say:
    """What was said, by whom and why; `key` names the proposal that it was said of. Without one it was said of nothing."""

    answer: Answer
    by: str
    why: str = ""
    key: str = ""

    @property
    def is_yes(self) -> bool:
        """Whether the candidate may become champion."""
        return self.answer == "approved"

    def told(self) -> dict[str, str]:
        """What the ledger says of it."""
        return {name: value for name, value in asdict(self).items() if name != "key"}


def in_words(approval: Mapping[str, str]) -> str:
    """What the ledger's `approval` says."""
    answer, by, why = approval["answer"], approval["by"], approval["why"]
    told = f"nobody approved it in time ({by})" if answer == "timed out" else f"{answer} by {by}"
    return f"{told}: {why}" if why else told


def refused(waiting: Entry, say: Say) -> dict[str, Any]:
    """The ledger's entry by which the champion stays, because of what was said of a proposal."""
    kept = {name: value for name, value in waiting.items() if name not in ("at", "by", "number", "previous", "hash")}
    approval = say.told()
    reasons = [in_words(approval), *waiting["reasons"]]
    return {**kept, "event": "decision", "verdict": "keep", "reasons": reasons, "approval": approval}


def proposal(decision: Decision, task: str) -> Decision:
    """The champion stays for as long as nobody has said anything."""
    how = f"`visionloop promote {task} --approve` or `--reject`"
    return replace(decision, verdict="keep", reasons=[f"waits for a human's say ({how})", *decision.reasons])


def matter(seen: Entry) -> Matter:
    """What a human's word is about: hashes of candidate, champion (None for none), test set and gate; whoever else is judged with it."""
    champion = seen["champion"]
    return seen["candidate"]["sha256"], champion and champion["sha256"], seen.get("test_digest"), seen["gate_hash"]


def named(entries: Sequence[Entry], key: str) -> Matter | None:
    """What the proposal or decision of this key is about."""
    found = (entry for entry in reversed(entries) if entry["event"] in ("proposal", "decision") and entry.get("key") == key)
    return next(map(matter, found), None)


def last_word(entries: Sequence[Entry], about: Matter) -> Entry | None:
    """The last decision about this that a human, or nobody's answer, made."""
    return next((entry for entry in reversed(entries) if entry.get("approval") and matter(entry) == about), None)


def is_no(entry: Entry) -> bool:
    """Whether a human, or nobody's answer, made this decision, and the champion stayed."""
    return "approval" in entry and entry["approval"]["answer"] != "approved"


def awaits(entries: Sequence[Entry]) -> Entry | None:
    """The proposal that nobody answered yet; a later decision about the task's champion answers or outdates it."""
    gone = voided(entries)
    for entry in reversed(entries):
        if entry["event"] == "proposal":
            return None if entry.get("number") in gone else entry
        if _changes_champion(entry) or entry.get("approval"):
            return None
    return None


def is_answered(entries: Sequence[Entry], asked: Entry) -> bool:
    """Whether a human's word about the same is in the ledger behind this entry."""
    word = last_word(entries, matter(asked))
    return word is not None and word["number"] > asked["number"]


def overrulable(entries: Sequence[Entry]) -> Entry | None:
    """The last proposal that was rejected, or not answered in time, since the champion changed."""
    for entry in reversed(entries):
        if _changes_champion(entry):
            return None
        if entry.get("approval"):
            return entry
    return None


def _changes_champion(entry: Entry) -> bool:
    return entry["event"] in ("rollback", "moved") or (entry["event"] == "decision" and entry["verdict"] == "promote")
