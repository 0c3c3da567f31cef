"""Should this candidate replace the champion? A pure decision over measured evidence; it knows no registry.

Candidates are judged in the order of their validation metric, so that the test split chooses none of them; the first
that passes becomes champion. It passes when its paired difference to the champion on the same test set is surely above
the margin, the interval widened for the number of candidates judged, and no guardrail breaks. What cannot be measured
is never taken as passed.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal, Protocol

from components.errors import DataError

Verdict = Literal["promote", "keep", "inconclusive", "refused"]

LATENCY = "cost/latency_ms"
SIZE = "cost/megabytes"
CALIBRATION = "test/ece"
PARAMETERS = "cost/parameters"


class Interval(Protocol):
    """A paired difference, candidate minus champion, with its 95 % interval."""

    @property
    def difference(self) -> float: ...  # noqa: D102
    @property
    def low(self) -> float: ...  # noqa: D102
    @property
    def high(self) -> float: ...  # noqa: D102
    @property
    def units(self) -> int: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102


@dataclass(frozen=True)
class Recall:
    """Share 0..1 of a class found on the test split, and on how many test examples that was measured."""

    recall: float
    support: int


@dataclass(frozen=True)
class Evidence:
    """What was measured of one trained model; `metrics` has flat names such as `test/accuracy`."""

    model: str
    task: str
    sha256: str
    test_digest: str
    metrics: Mapping[str, float]
    per_class: Mapping[str, Recall]


@dataclass(frozen=True)
class Gate:
    """What a candidate must pass; a guardrail that is None is not asked for.

    `metric` is named without its split (`accuracy`, `map50`), larger is better. `floor`: the least test value of a
    first champion. `margin`: the lower bound of the difference must exceed it. Drops and rises are absolute, in 0..1;
    ratios are candidate over champion; `min_support` counts test examples of a class.
    """

    metric: str
    floor: float
    margin: float
    max_recall_drop: float | None = None
    min_support: int = 20
    max_size_ratio: float | None = None
    max_latency_ratio: float | None = None
    latency_ms: float | None = None
    max_ece_rise: float | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of every threshold: two gates are equal when their hashes are."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Decision:
    """The verdict, its reasons in words with numbers, and the hash of the gate it was measured by."""

    verdict: Verdict
    reasons: list[str]
    comparison: Interval | None
    gate_hash: str


def rank(candidates: Sequence[Evidence], metric: str) -> list[Evidence]:
    """The candidates by falling `val/<metric>`; ties go to fewer parameters, then to name, then to hash.

    One without a finite value is left out. Raises DataError when no candidate has a finite value.
    """
    name = f"val/{metric}"
    measured = [candidate for candidate in candidates if math.isfinite(candidate.metrics.get(name, math.nan))]
    if not measured:
        names = [candidate.model for candidate in candidates]
        raise DataError(f"none of {names} has {name}: expected a finite number in report.json; run the evaluate stage again")
    return sorted(measured, key=lambda c: (-c.metrics[name], c.metrics.get(PARAMETERS, math.inf), c.model, c.sha256))


def summed(decisions: Sequence[tuple[Evidence, Decision]]) -> Decision:
    """One decision of those that were made in turn: the promotion, or else the first one's verdict; everybody's reasons."""
    decisive = next((decision for _, decision in decisions if decision.verdict == "promote"), decisions[0][1])
    if len(decisions) == 1:
        return decisive
    reasons = [f"{evidence.model}: {decision.verdict}: {reason}" for evidence, decision in decisions for reason in decision.reasons]
    return Decision(decisive.verdict, reasons, decisive.comparison, decisive.gate_hash)


def decide(candidate: Evidence, champion: Evidence | None, gate: Gate, comparison: Interval | None = None) -> Decision:
    """Judge one candidate.

    promote: make it champion. keep: it is worse, or a guardrail breaks, or it is the champion. inconclusive: the test
    set is too small to tell, so the champion stays. refused: the evidence cannot be used, or a first champion is
    below the floor. `comparison` is the paired difference in the gate's metric on the test split.
    """

    def answer(verdict: Verdict, reasons: list[str]) -> Decision:
        return Decision(verdict, reasons, comparison, gate.hash)

    if champion is not None and champion.sha256 == candidate.sha256:
        return answer("keep", [f"{candidate.model} is already champion"])
    if unusable := list(_unusable(candidate, champion, gate, comparison)):
        return answer("refused", unusable)
    broken = list(_broken(candidate, champion, gate))
    if champion is None or comparison is None:
        return answer(*_first(candidate, gate, broken))
    verdict, reason = _difference(candidate, champion, gate, comparison)
    if verdict == "promote" and broken:
        verdict = "keep"
    return answer(verdict, [reason, *broken])


def _unusable(candidate: Evidence, champion: Evidence | None, gate: Gate, comparison: Interval | None) -> Iterator[str]:
    name = f"test/{gate.metric}"
    for who, evidence in (("candidate", candidate), ("champion", champion)):
        if evidence is not None and not math.isfinite(evidence.metrics.get(name, math.nan)):
            yield f"the {who} {evidence.model} has {name} = {evidence.metrics.get(name)}: expected a finite number"
    if champion is None:
        return
    if candidate.task != champion.task:
        yield f"the candidate's task is {candidate.task} and the champion's {champion.task}"
    if candidate.test_digest != champion.test_digest:
        yield (
            f"tested on different images: test set {candidate.test_digest[:12]} and {champion.test_digest[:12]}; "
            "evaluate the champion again on the current one"
        )
    elif comparison is None:
        yield "no paired comparison was given"
    elif not all(map(math.isfinite, (comparison.difference, comparison.low, comparison.high))):
        yield f"the paired difference is undefined (95 % interval {comparison.low} to {comparison.high})"


def _first(candidate: Evidence, gate: Gate, broken: list[str]) -> tuple[Verdict, list[str]]:
    value = candidate.metrics[f"test/{gate.metric}"]
    if value < gate.floor:
        return "refused", [f"no champion yet, and test {gate.metric} {value:.4f} is below the floor of {gate.floor:.4f}", *broken]
    reason = f"no champion yet, and test {gate.metric} {value:.4f} clears the floor of {gate.floor:.4f}"
    return ("refused" if broken else "promote"), [reason, *broken]


def _difference(candidate: Evidence, champion: Evidence, gate: Gate, comparison: Interval) -> tuple[Verdict, str]:
    name = f"test/{gate.metric}"
    words = (
        f"test {gate.metric} {candidate.metrics[name]:.4f} against {champion.metrics[name]:.4f} of the champion {champion.model}: "
        f"{comparison.difference:+.4f}, 95 % interval {comparison.low:+.4f} to {comparison.high:+.4f} "
        f"over {comparison.units} {comparison.unit}s"
    )
    if comparison.low > gate.margin:
        return "promote", f"{words}: surely better by more than {gate.margin:g}"
    if comparison.high <= gate.margin:
        return "keep", f"{words}: not better by more than {gate.margin:g}"
    return "inconclusive", f"{words}: too few {comparison.unit}s to be sure it is better by more than {gate.margin:g}"


def _broken(candidate: Evidence, champion: Evidence | None, gate: Gate) -> Iterator[str]:
    if gate.latency_ms is not None:
        latency = candidate.metrics.get(LATENCY, math.nan)
        if not latency <= gate.latency_ms:
            yield f"{LATENCY} is {latency:.1f}, the budget is {gate.latency_ms:g}"
    if champion is None:
        return
    yield from _limit(candidate, champion, SIZE, gate.max_size_ratio, "times the champion's", lambda ours, theirs: ours / theirs)
    yield from _limit(candidate, champion, LATENCY, gate.max_latency_ratio, "times the champion's", lambda ours, theirs: ours / theirs)
    yield from _limit(candidate, champion, CALIBRATION, gate.max_ece_rise, "above the champion's", lambda ours, theirs: ours - theirs)
    if gate.max_recall_drop is not None:
        yield from _recall_drops(candidate, champion, gate.max_recall_drop, gate.min_support)


def _limit(
    candidate: Evidence, champion: Evidence, name: str, limit: float | None, words: str, change: Callable[[float, float], float]
) -> Iterator[str]:
    if limit is None:
        return
    ours, theirs = candidate.metrics.get(name, math.nan), champion.metrics.get(name, math.nan)
    if not (math.isfinite(ours) and math.isfinite(theirs)):
        yield f"{name} is {ours:.4g} for the candidate and {theirs:.4g} for the champion: measure it for both, or remove its limit"
    elif theirs <= 0 and "times" in words:
        yield f"{name} of the champion is {theirs:.4g}: expected more than 0"
    elif change(ours, theirs) > limit:
        yield f"{name} {ours:.4g} is {change(ours, theirs):.3g} {words} {theirs:.4g}, at most {limit:g} is allowed"


def _recall_drops(candidate: Evidence, champion: Evidence, limit: float, min_support: int) -> Iterator[str]:
    if not champion.per_class:
        yield f"the champion {champion.model} has no recall of its classes: measure it, or remove the limit on its drop"
    for label, theirs in sorted(champion.per_class.items()):
        ours = candidate.per_class.get(label, Recall(0.0, theirs.support))
        if theirs.support < min_support or not math.isfinite(theirs.recall):
            continue
        if not theirs.recall - ours.recall <= limit:
            yield (
                f"recall of {label!r} falls from {theirs.recall:.3f} to {ours.recall:.3f} on {theirs.support} test examples, "
                f"at most {limit:g} is allowed"
            )
