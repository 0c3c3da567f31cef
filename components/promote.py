"""Should this candidate replace the champion? A pure decision over measured evidence; it knows no registry.

A round judges every candidate against the champion, all on the same frozen test set, by a paired difference whose interval
allows for their number (components/evaluate/compare.py). A candidate passes when the interval lies wholly above the
margin and no guard is broken or suspected (components/guards.py). What cannot be measured is never taken as passed.

Which of those that pass becomes champion is chosen by validation, not by the test set: they are taken in the order of their
validation metric, and the first that passes is promoted. The others are then judged against the new champion, by the same rule, until
none surely beats it; each promotion raises the test metric, so this ends, and judging again changes nothing. Where
there is no champion yet, the first in the order of validation that clears the floor becomes one, and does not end the
round: a weak first champion is replaced in the same round by whoever surely beats it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from scipy import special

from components.errors import DataError
from components.gate import Gate
from components.guards import Fall, Guarded, guarded, more_needed, settle_words

Verdict = Literal["promote", "keep", "inconclusive", "refused"]

LATENCY = "cost/latency_ms"
SIZE = "cost/megabytes"
CALIBRATION = "test/ece"
PARAMETERS = "cost/parameters"
MOST_TOLD = 3  # guards in words; the decision has all of them


class Interval(Protocol):
    """A paired difference, candidate minus champion, with its 95 % interval; see components/evaluate/compare.py."""

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
    @property
    def error(self) -> float: ...  # noqa: D102
    @property
    def critical(self) -> float: ...  # noqa: D102
    @property
    def images(self) -> int: ...  # noqa: D102
    @property
    def earlier(self) -> int: ...  # noqa: D102
    @property
    def gained(self) -> int | None: ...  # noqa: D102
    @property
    def lost(self) -> int | None: ...  # noqa: D102
    @property
    def mcnemar(self) -> float | None: ...  # noqa: D102


@dataclass(frozen=True)
class Evidence:
    """What was measured of one trained model; `metrics` has flat names such as `test/accuracy`, `evaluation` is a hash of all."""

    model: str
    task: str
    sha256: str
    test_digest: str
    metrics: Mapping[str, float]
    evaluation: str = ""


@dataclass(frozen=True)
class Decision:
    """The verdict, its reasons in words with numbers, the hash of the gate it was measured by, and every guard's outcome."""

    verdict: Verdict
    reasons: list[str]
    comparison: Interval | None
    gate_hash: str
    guards: list[Guarded] = field(default_factory=list)


@dataclass(frozen=True)
class Falls:
    """What was measured of the parts that the gate guards, and in words what could not be, with its remedy."""

    measured: Sequence[Fall] = ()
    missing: Sequence[str] = ()


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
    """One decision of those that were made in turn: the last promotion, or else the first one's verdict; everybody's reasons."""
    decisive = next((decision for _, decision in reversed(decisions) if decision.verdict == "promote"), decisions[0][1])
    if len(decisions) == 1:
        return decisive
    reasons = [f"{evidence.model}: {decision.verdict}: {reason}" for evidence, decision in decisions for reason in decision.reasons]
    return Decision(decisive.verdict, reasons, decisive.comparison, decisive.gate_hash, decisive.guards)


def decide(
    candidate: Evidence, champion: Evidence | None, gate: Gate, comparison: Interval | None = None, falls: Falls | None = None
) -> Decision:
    """Judge one candidate.

    promote: make it champion. keep: it is surely not better, or a guard is broken, or it is the champion. inconclusive: the test
    set is too small to tell, of the whole or of a part, so the champion stays. refused: the evidence cannot be used, or a
    first champion is below the floor. `comparison` is the paired difference in the gate's metric on the test split, `falls`
    the parts it guards; both are needed where there is a champion and the gate guards any.
    """
    falls = falls or Falls(missing=_not_measured(gate))
    guards = guarded(falls.measured, gate.margins, gate.min_support) if champion is not None else []

    def answer(verdict: Verdict, reasons: list[str]) -> Decision:
        return Decision(verdict, reasons, comparison, gate.hash, guards)

    if champion is not None and champion.sha256 == candidate.sha256:
        return answer("keep", [f"{candidate.model} is already champion"])
    if unusable := list(_unusable(candidate, champion, gate, comparison)):
        return answer("refused", unusable)
    broken = list(_broken(candidate, champion, gate))
    if champion is None or comparison is None:
        return answer(*_first(candidate, gate, broken))
    if falls.missing:
        return answer("refused", list(falls.missing))
    verdict, reason = _difference(candidate, champion, gate, comparison)
    if verdict == "keep":
        return answer(verdict, [reason, *broken, *_in_short(guards)])
    broken += _told(guards, "breaks")
    suspected = _told(guards, "suspected")
    if broken:
        verdict = "keep"
    elif verdict == "promote" and suspected:
        verdict = "inconclusive"
    return answer(verdict, [reason, *broken, *suspected, *(_passed(guards) if verdict == "promote" else [])])


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
    elif comparison.units > 1 and not all(map(math.isfinite, (comparison.difference, comparison.low, comparison.high))):
        yield f"the paired difference is undefined (95 % interval {comparison.low} to {comparison.high})"


def _not_measured(gate: Gate) -> list[str]:
    asked = [kind for kind, margin in gate.margins.items() if margin is not None]
    return [f"no {kind} was measured in both models: evaluate them again, or remove the limit on its drop" for kind in asked]


def _in_short(guards: Sequence[Guarded]) -> list[str]:
    """How many parts are surely worse, of a model that is no better as a whole."""
    worse = sum(guard.outcome == "breaks" for guard in guards)
    return [f"{worse} of its {len(guards)} guarded parts are surely worse by more than allowed; the ledger has all"] if worse else []


def _told(guards: Sequence[Guarded], outcome: str) -> list[str]:
    """The parts of one outcome in words: the surest first, and how many more there are beyond a few."""
    found = sorted((one for one in guards if one.outcome == outcome), key=lambda one: 0.0 if one.p is None else one.p)
    rest = len(found) - MOST_TOLD
    more = [f"{rest} more of the {len(guards)} guards: {outcome}; the ledger has all"] if rest > 0 else []
    return [*map(str, found[:MOST_TOLD]), *more]


def _passed(guards: Sequence[Guarded]) -> list[str]:
    small = sum(one.outcome == "unmeasured" for one in guards)
    told = f"guards of classes, slices and corruptions: {len(guards) - small} pass"
    return [told + (f", {small} have too few test examples to tell" if small else "")] if guards else []


def _first(candidate: Evidence, gate: Gate, broken: list[str]) -> tuple[Verdict, list[str]]:
    value = candidate.metrics[f"test/{gate.metric}"]
    if value < gate.floor:
        return "refused", [f"no champion yet, and test {gate.metric} {value:.4f} is below the floor of {gate.floor:.4f}", *broken]
    reason = f"no champion yet, and test {gate.metric} {value:.4f} clears the floor of {gate.floor:.4f}"
    return ("refused" if broken else "promote"), [reason, *broken]


def _difference(candidate: Evidence, champion: Evidence, gate: Gate, comparison: Interval) -> tuple[Verdict, str]:
    name, unit = f"test/{gate.metric}", comparison.unit
    values = f"test {gate.metric} {candidate.metrics[name]:.4f} against {champion.metrics[name]:.4f} of the champion {champion.model}"
    if comparison.units < 2:
        return "inconclusive", (
            f"{values}: all {comparison.images} test images are one group, which tells nothing of others: add test images of more groups"
        )
    level = "" if comparison.earlier else "95 % "
    words = (
        f"{values}: {comparison.difference:+.4f}, {level}interval {comparison.low:+.4f} to {comparison.high:+.4f} "
        f"over {comparison.units} {unit}s{_earlier_words(comparison)}{_mcnemar_words(comparison)}"
    )
    if comparison.low > gate.margin:
        return "promote", f"{words}: surely better by more than {gate.margin:g}"
    if comparison.high <= gate.margin:
        return "keep", f"{words}: not better by more than {gate.margin:g}"
    settled = settle_words(to_settle(comparison, gate.margin), _kind_of_images(comparison))
    return "inconclusive", f"{words}: too few {unit}s to be sure it is better by more than {gate.margin:g}; at this difference {settled}"


def _earlier_words(comparison: Interval) -> str:
    if not comparison.earlier:
        return ""
    models = "another model was" if comparison.earlier == 1 else f"{comparison.earlier} other models were"
    return f", wider than 95 % since {models} tried on them before (new test images start anew)"


def to_settle(comparison: Interval, margin: float) -> int | None:
    """How many more test images would show, four times in five, that the difference is on the side of the margin where it is seen.

    None where that is more than 100 times the images there are. They are taken to come in groups as large as the present ones.
    """
    normal = float(special.ndtri(special.stdtr(comparison.units - 1, comparison.critical)))
    return more_needed(abs(comparison.difference - margin), comparison.error, normal, comparison.images)


def _kind_of_images(comparison: Interval) -> str:
    if comparison.unit == "image":
        return "test images"
    return f"test images, in groups of {comparison.images / comparison.units:.1f},"


def _mcnemar_words(comparison: Interval) -> str:
    if comparison.mcnemar is None:
        return ""
    return f" ({comparison.gained} answers gained, {comparison.lost} lost, McNemar's mid-p {comparison.mcnemar:.2g})"


def _broken(candidate: Evidence, champion: Evidence | None, gate: Gate) -> Iterator[str]:
    for name, budget in ((LATENCY, gate.latency_ms), (SIZE, gate.max_megabytes)):
        value = candidate.metrics.get(name, math.nan)
        if budget is not None and not value <= budget:
            yield f"{name} is {value:.1f}, the budget is {budget:g}"
    if champion is None:
        return
    yield from _limit(candidate, champion, SIZE, gate.max_size_ratio, "times the champion's", lambda ours, theirs: ours / theirs)
    yield from _limit(candidate, champion, LATENCY, gate.max_latency_ratio, "times the champion's", lambda ours, theirs: ours / theirs)
    yield from _limit(candidate, champion, CALIBRATION, gate.max_ece_rise, "above the champion's", lambda ours, theirs: ours - theirs)


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
