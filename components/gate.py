"""What a candidate of one task must pass to become champion: a block of `promote:` in params.yaml."""

import hashlib
import json
from dataclasses import asdict, dataclass

from components.errors import UsageError

SHARES = ("floor", "margin", "max_recall_drop", "max_slice_drop", "max_corruption_drop", "max_ece_rise")
POSITIVE = ("max_size_ratio", "max_latency_ratio", "latency_ms", "max_megabytes", "min_support")


@dataclass(frozen=True)
class Gate:
    """A guard that is None is not asked for.

    `metric` is named without its split (`accuracy`, `map50`), larger is better. `floor`: the least test value of a
    first champion. `margin`: the lower bound of the difference must exceed it. Drops and rises are absolute, in 0..1;
    ratios are candidate over champion; `latency_ms` and `max_megabytes` are budgets of the candidate alone; `min_support`
    counts test examples of a class, slice or corruption.
    """

    metric: str
    floor: float
    margin: float
    max_recall_drop: float | None
    max_slice_drop: float | None
    max_corruption_drop: float | None
    min_support: int
    max_size_ratio: float | None
    max_latency_ratio: float | None
    latency_ms: float | None
    max_megabytes: float | None
    max_ece_rise: float | None

    @property
    def hash(self) -> str:
        """SHA-256 of every threshold: two gates are equal when their hashes are."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()

    @property
    def margins(self) -> dict[str, float | None]:
        """How far the share of each kind of part may fall."""
        return {"class": self.max_recall_drop, "slice": self.max_slice_drop, "corruption": self.max_corruption_drop}


def refuse_impossible(gate: Gate, whose: str) -> None:
    """Raise UsageError for a threshold that nothing could pass or break."""
    for name in SHARES:
        value = getattr(gate, name)
        if value is not None and not 0 <= value <= 1:
            raise UsageError(f"{whose}.{name} is {value:g}, expected 0 to 1")
    for name in POSITIVE:
        value = getattr(gate, name)
        if value is not None and not value > 0:
            raise UsageError(f"{whose}.{name} is {value:g}, expected more than 0")
