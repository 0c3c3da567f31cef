"""Is a candidate surely too bad at a part of the test set, or perhaps, or not? Tests, since a point falls easily by chance.

A fall is champion minus candidate in a share 0..1.

- It breaks the guard when it is surely larger than the margin: one-sided t test at 5 %, corrected by Holm (1979,
  https://www.jstor.org/stable/4615733) over all guards of the decision.
- It is suspected when the point lies beyond the margin and there surely is a fall: the same test at 5 % against 0, not
  corrected, because a promotion that waits costs less than one that harms a class. Corrected, it would miss two of three
  falls by 0.2 in one class of 47 images; uncorrected, it misses one of eight, and stops 3 % of candidates that are better
  by 0.03 everywhere, with 34 guards and an accuracy of 0.85 (benchmarks/promotion.py), more at a lower one.
- Otherwise the guard passes.

The standard error comes from the bootstrap over groups, the tail from Student's t, because counted resamples end at one in
`rounds`, and Holm asks for less than that from a few dozen guards on.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from scipy import special

LEVEL = 0.05
POWER = 0.8
FEWEST_GROUPS = 2

Outcome = Literal["passes", "suspected", "breaks", "unmeasured"]


class Fall(Protocol):
    """How both models did at a part of the test set; see components/evaluate/falls.py."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def champion(self) -> float: ...  # noqa: D102
    @property
    def candidate(self) -> float: ...  # noqa: D102
    @property
    def error(self) -> float: ...  # noqa: D102
    @property
    def examples(self) -> int: ...  # noqa: D102
    @property
    def images(self) -> int: ...  # noqa: D102
    @property
    def groups(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Guarded:
    """The outcome of one guard, with what it follows from: shares, standard error, and Holm's adjusted p value.

    `more`: how many more images of the part would show, four times in five, whether a suspected fall exceeds the margin;
    None where no feasible number would.
    """

    kind: str
    name: str
    outcome: Outcome
    champion: float
    candidate: float
    margin: float
    error: float | None
    p: float | None
    examples: int
    images: int
    groups: int
    more: int | None = None

    def __str__(self) -> str:
        words = f"{self.kind} {self.name}: {self.champion:.3f} falls to {self.candidate:.3f} on {self.examples} test examples"
        if self.outcome == "breaks":
            return f"{words}, surely by more than the {self.margin:g} allowed (p = {self.p:.2g})"
        return f"{words}, more than the {self.margin:g} allowed, but too few to be sure: {settle_words(self.more, 'images of it')}"


def guarded(falls: Sequence[Fall], margins: Mapping[str, float | None], min_support: int) -> list[Guarded]:
    """The outcome of every guard that is asked for, in the order of `falls`; `margins` by kind, None where not asked.

    A part with fewer than `min_support` examples, or all of them from one group, is `unmeasured`.
    """
    asked = [(fall, margin) for fall in falls if (margin := margins.get(fall.kind)) is not None]
    known = [can_be_tested(fall, min_support) for fall, _ in asked]
    tested = [pair for pair, is_known in zip(asked, known, strict=True) if is_known]
    beyond = iter(holm([p_above(fall, margin) for fall, margin in tested]))
    return [
        _judged(fall, margin, next(beyond), len(tested)) if is_known else _row(fall, margin, "unmeasured")
        for (fall, margin), is_known in zip(asked, known, strict=True)
    ]


def can_be_tested(fall: Fall, min_support: int) -> bool:
    """Whether a part is large enough to say anything by a test."""
    return fall.examples >= min_support and fall.groups >= FEWEST_GROUPS and math.isfinite(fall.error)


def p_above(fall: Fall, limit: float) -> float:
    """One-sided p value of the fall against the hypothesis that it is at most `limit`."""
    return float(special.stdtr(fall.groups - 1, -(fall.champion - fall.candidate - limit) / fall.error))


def holm(p: Sequence[float]) -> list[float]:
    """Holm's adjusted p values in the given order: the k-th smallest of m times m - k + 1, never less than the one before."""
    answer, largest = [0.0] * len(p), 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, p[index] * (len(p) - place)))
        answer[index] = largest
    return answer


def more_needed(distance: float, error: float, critical: float, images: int, most: float = 100.0) -> int | None:
    """How many more images would show a true difference of `distance` with 80 % power, the standard error falling with their root.

    critical: the normal quantile that must be exceeded. None where that is more than `most` times the images there are.
    """
    if not (distance > 0 and math.isfinite(error)):
        return None
    times = ((critical + float(special.ndtri(POWER))) * error / distance) ** 2
    return max(1, math.ceil(images * (times - 1))) if times <= most else None


def settle_words(more: int | None, what: str) -> str:
    """The answer of `more_needed` in words."""
    return f"about {more:,} more {what} would settle it" if more is not None else f"no feasible number of {what} would settle it"


def _judged(fall: Fall, margin: float, beyond: float, tests: int) -> Guarded:
    drop = fall.champion - fall.candidate
    if beyond <= LEVEL:
        return _row(fall, margin, "breaks", beyond)
    if drop > margin and p_above(fall, 0.0) <= LEVEL:
        critical = float(special.ndtri(1 - LEVEL / tests))
        return _row(fall, margin, "suspected", beyond, more_needed(drop - margin, fall.error, critical, fall.images))
    return _row(fall, margin, "passes", beyond)


def _row(fall: Fall, margin: float, outcome: Outcome, p: float | None = None, more: int | None = None) -> Guarded:
    error = fall.error if math.isfinite(fall.error) else None
    return Guarded(
        fall.kind, fall.name, outcome, fall.champion, fall.candidate, margin, error, p, fall.examples, fall.images, fall.groups, more
    )
