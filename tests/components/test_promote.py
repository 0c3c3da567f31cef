"""Every verdict, from hand-made evidence."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import DataError
from components.evaluate.compare import Comparison
from components.promote import Decision, Evidence, Gate, Recall, decide, rank

METRICS = {
    "val/accuracy": 0.8,
    "test/accuracy": 0.8,
    "cost/latency_ms": 10.0,
    "cost/megabytes": 4.0,
    "cost/parameters": 100.0,
    "test/ece": 0.05,
}
CHAMPION = Evidence("old", "classification", "c" * 64, "t" * 64, METRICS, {"cat": Recall(0.9, 50), "dog": Recall(0.9, 5)})
CANDIDATE = replace(CHAMPION, model="new", sha256="n" * 64, metrics={**METRICS, "test/accuracy": 0.9})
GATE = Gate("accuracy", floor=0.5, margin=0.01, max_recall_drop=0.1, max_size_ratio=2.0, max_latency_ratio=2.0, max_ece_rise=0.05)
BETTER = Comparison(0.1, 0.02, 0.15, 2000, 100, "group")


def measured(**metrics: float) -> Evidence:
    return replace(CANDIDATE, metrics={**CANDIDATE.metrics, **{name.replace("__", "/"): value for name, value in metrics.items()}})


def judged(candidate: Evidence = CANDIDATE, comparison: Comparison | None = BETTER, gate: Gate = GATE) -> Decision:
    return decide(candidate, CHAMPION, gate, comparison)


def test_surely_better_is_promoted_with_its_numbers() -> None:
    decision = judged()
    assert decision.verdict == "promote"
    assert "0.9000 against 0.8000" in decision.reasons[0]
    assert "+0.0200 to +0.1500 over 100 groups" in decision.reasons[0]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.0101, 0.2, "promote"), (0.01, 0.2, "inconclusive"), (-0.1, 0.2, "inconclusive"), (-0.2, 0.01, "keep"), (-0.3, -0.2, "keep")],
)
def test_the_interval_decides(low: float, high: float, verdict: str) -> None:
    assert judged(comparison=Comparison((low + high) / 2, low, high, 10, 10, "image")).verdict == verdict


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (measured(cost__latency_ms=21.0), "2.1 times the champion's 10, at most 2 is allowed"),
        (measured(cost__megabytes=8.1), "cost/megabytes"),
        (measured(test__ece=0.11), "0.06 above the champion's 0.05"),
        (measured(test__ece=math.nan), "measure it for both"),
        (replace(CANDIDATE, per_class={"cat": Recall(0.7, 50)}), "recall of 'cat' falls from 0.900 to 0.700 on 50"),
        (replace(CANDIDATE, per_class={"cat": Recall(math.nan, 50)}), "recall of 'cat'"),
        (replace(CANDIDATE, per_class={}), "recall of 'cat' falls from 0.900 to 0.000"),
    ],
)
def test_a_broken_guardrail_keeps_the_champion(candidate: Evidence, said: str) -> None:
    decision = judged(candidate)
    assert decision.verdict == "keep"
    assert said in decision.reasons[1]


def test_exactly_at_the_limits_nothing_breaks() -> None:
    edge = measured(cost__latency_ms=20.0, cost__megabytes=8.0)
    assert judged(replace(edge, per_class={"cat": Recall(0.85, 50), "dog": Recall(0.0, 5)})).verdict == "promote"


def test_guardrails_not_asked_for_are_not_needed() -> None:
    bare = replace(CANDIDATE, metrics={"test/accuracy": 0.9}, per_class={})
    assert decide(bare, replace(CHAMPION, per_class={}), Gate("accuracy", 0.5, 0.01), BETTER).verdict == "promote"


def test_a_limit_on_recall_without_recalls_is_not_passed() -> None:
    decision = decide(replace(CANDIDATE, per_class={}), replace(CHAMPION, per_class={}), GATE, BETTER)
    assert decision.verdict == "keep"


@pytest.mark.parametrize(
    ("candidate", "comparison", "said"),
    [
        (replace(CANDIDATE, test_digest="u" * 64), BETTER, "different images"),
        (replace(CANDIDATE, task="detection"), BETTER, "task is detection"),
        (measured(test__accuracy=math.nan), BETTER, "test/accuracy = nan"),
        (replace(CANDIDATE, metrics={}), BETTER, "test/accuracy = None"),
        (CANDIDATE, None, "no paired comparison"),
        (CANDIDATE, Comparison(0.1, math.nan, math.nan, 10, 10, "image"), "undefined"),
    ],
)
def test_evidence_that_cannot_be_used_is_refused(candidate: Evidence, comparison: Comparison | None, said: str) -> None:
    decision = judged(candidate, comparison)
    assert decision.verdict == "refused"
    assert said in " ".join(decision.reasons)


@pytest.mark.parametrize(("accuracy", "verdict"), [(0.5, "promote"), (0.4999, "refused"), (math.nan, "refused"), (math.inf, "refused")])
def test_the_first_champion_must_clear_the_floor(accuracy: float, verdict: str) -> None:
    assert decide(measured(test__accuracy=accuracy), None, GATE).verdict == verdict


def test_the_latency_budget_holds_for_the_first_champion_too() -> None:
    decision = decide(CANDIDATE, None, replace(GATE, latency_ms=9.0))
    assert decision.verdict == "refused"
    assert "the budget is 9" in decision.reasons[1]


def test_the_champion_itself_is_kept() -> None:
    decision = decide(CHAMPION, CHAMPION, GATE)
    assert (decision.verdict, decision.reasons) == ("keep", ["old is already champion"])


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.5))
def test_nothing_is_promoted_whose_lower_bound_is_not_above_the_margin(a: float, b: float, margin: float) -> None:
    low, high = sorted((a, b))
    decision = judged(comparison=Comparison(low, low, high, 10, 10, "image"), gate=replace(GATE, margin=margin))
    assert (decision.verdict == "promote") == (low > margin)


def test_the_choice_is_by_validation_and_ignores_the_test() -> None:
    lucky = replace(CANDIDATE, sha256="l" * 64, model="lucky", metrics={"val/accuracy": 0.7, "test/accuracy": 0.99})
    assert rank([lucky, CANDIDATE], "accuracy")[0] is CANDIDATE


def test_ties_go_to_the_smaller_then_to_the_name_in_any_order() -> None:
    small = replace(CANDIDATE, model="small", metrics={**METRICS, "cost/parameters": 50.0})
    twin = replace(small, model="a small one")
    unknown = replace(CANDIDATE, model="unknown", metrics={"val/accuracy": 0.8})
    broken = replace(CANDIDATE, model="broken", metrics={"val/accuracy": math.nan})
    for order in ([CANDIDATE, small, twin, unknown, broken], [broken, unknown, twin, small, CANDIDATE]):
        assert rank(order, "accuracy")[0] is twin


def test_without_a_validation_value_there_is_no_choice() -> None:
    with pytest.raises(DataError, match="val/accuracy"):
        rank([replace(CANDIDATE, metrics={})], "accuracy")


def test_the_gate_hash_follows_every_threshold() -> None:
    changed = [replace(GATE, margin=0.02), replace(GATE, floor=0.6), replace(GATE, max_ece_rise=None), replace(GATE, metric="macro_f1")]
    assert len({GATE.hash, *(gate.hash for gate in changed)}) == 5
    assert GATE.hash == replace(GATE).hash
