"""How long a training may take, and how much of it is done: in steps, or in seconds."""

import re
from dataclasses import dataclass

from components.errors import UsageError

UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}


def seconds(budget: str) -> float:
    """`90s`, `10min` or `2h` in seconds. Raises UsageError for anything else, zero included."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(s|min|h)\s*", str(budget))
    value = float(found[1]) * UNITS[found[2]] if found else 0.0
    if value <= 0:
        raise UsageError(f"budget is {budget!r}, expected a time such as 90s, 10min or 2h, or null")
    return value


@dataclass(frozen=True)
class Span:
    """A phase's share of a training: from `start` to `end`, in steps or in seconds, with its warm-up as a share 0..1."""

    start: float
    end: float
    warm: float

    def done(self, now: float) -> float:
        """Share of the phase that is done, 0..1."""
        return min(max((now - self.start) / (self.end - self.start), 0.0), 1.0) if self.end > self.start else 1.0
