"""A human's say: what would be promoted waits as a proposal in the ledger until somebody approves or rejects it, or nobody answers."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from components.promote import Decision

PENDING = "pending"
Answer = Literal["approved", "rejected", "timed out"]


@dataclass(frozen=True)
class Say:
    """What was said, by whom and why; `key` names the decision it is about, None: whatever is decided now."""

    answer: Answer
    by: str
    why: str = ""
    key: str | None = None

    @property
    def is_yes(self) -> bool:
        """Whether the candidate may become champion."""
        return self.answer == "approved"

    def concerns(self, key: str) -> bool:
        """Whether it was said of this decision; a champion that changed meanwhile makes another one."""
        return self.key in (None, key)

    def told(self) -> dict[str, str]:
        """What the ledger says of it."""
        return {name: value for name, value in asdict(self).items() if name != "key"}


def refused(decision: Decision, say: Say) -> Decision:
    """The champion stays because of what was said."""
    why = f": {say.why}" if say.why else ""
    words = f"nobody approved it in time ({say.by})" if say.answer == "timed out" else f"{say.answer} by {say.by}"
    return replace(decision, verdict="keep", reasons=[f"{words}{why}", *decision.reasons])


def proposal(decision: Decision, task: str) -> Decision:
    """The champion stays for as long as nobody has said anything."""
    how = f"`visionloop promote {task} --approve` or `--reject`"
    return replace(decision, verdict="keep", reasons=[f"waits for a human's say ({how})", *decision.reasons])


def awaits(entries: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The proposal that nobody answered yet; a later decision about the task's champion answers or outdates it."""
    for entry in reversed(entries):
        if entry["event"] == "proposal":
            return entry
        if entry["event"] in ("rollback", "moved") or (entry["event"] == "decision" and _ends(entry)):
            return None
    return None


def _ends(entry: Mapping[str, Any]) -> bool:
    return entry["verdict"] == "promote" or bool(entry.get("approval"))
