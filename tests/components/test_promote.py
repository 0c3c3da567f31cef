"""Every verdict, from hand-made evidence."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import DataError, UsageError
from components.evaluate.compare import Comparison
from components.evaluate.falls import Fall
from components.gate import Gate, refuse_impossible
from components.promote import Decision, Evidence, Falls, decide, rank, summed, to_settle

METRICS = {
    "val/accuracy": 0.8,
    "test/accuracy": 0.8,
    "cost/latency_ms": 10.0,
    "cost/megabytes": 4.0,
    "cost/parameters": 100.0,
    "test/ece": 0.05,
}
CHAMPION = Evidence("old", "classification", "c" * 64, "t" * 64, METRICS)
CANDIDATE = replace(CHAMPION, model="new", sha256="n" * 64, metrics={**METRICS, "test/accuracy": 0.9})
COSTS = {"max_size_ratio": 2.0, "max_latency_ratio": 2.0, "latency_ms": None, "max_megabytes": None}
GATE = Gate("accuracy", 0.5, 0.01, 0.1, None, None, 20, max_ece_rise=0.05, **COSTS)  # type: ignore[arg-type]
BARE = Gate("accuracy", 0.5, 0.01, None, None, None, 20, None, None, None, None, None)
BETTER = Comparison(0.1, 0.02, 0.15, 2000, 100, "group", error=0.03, critical=1.98, images=200)
FINE = Falls([Fall("class", "cat", 0.9, 0.9, 0.02, 50, 50, 50), Fall("class", "dog", 0.9, 0.0, 0.02, 5, 5, 5)])


def measured(**metrics: float) -> Evidence:
    return replace(CANDIDATE, metrics={**CANDIDATE.metrics, **{name.replace("__", "/"): value for name, value in metrics.items()}})


def judged(
    candidate: Evidence = CANDIDATE, comparison: Comparison | None = BETTER, gate: Gate = GATE, falls: Falls | None = FINE
) -> Decision:
    return decide(candidate, CHAMPION, gate, comparison, falls)


def between(low: float, high: float) -> Comparison:
    return Comparison((low + high) / 2, low, high, 10, 10, "image", (high - low) / 4, 2.0, 10)


def falling(drop: float, error: float, kind: str = "class") -> Falls:
    return Falls([Fall(kind, "cat", 0.9, 0.9 - drop, error, 50, 50, 50)])  # type: ignore[arg-type]


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
    assert judged(comparison=between(low, high)).verdict == verdict


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (measured(cost__latency_ms=21.0), "2.1 times the champion's 10, at most 2 is allowed"),
        (measured(cost__megabytes=8.1), "cost/megabytes"),
        (measured(test__ece=0.11), "0.06 above the champion's 0.05"),
        (measured(test__ece=math.nan), "measure it for both"),
    ],
)
def test_a_broken_guardrail_keeps_the_champion(candidate: Evidence, said: str) -> None:
    decision = judged(candidate)
    assert decision.verdict == "keep"
    assert said in decision.reasons[1]


@pytest.mark.parametrize("low", [0.02, -0.05])
def test_a_part_that_surely_falls_keeps_the_champion_whatever_the_whole_does(low: float) -> None:
    decision = judged(comparison=between(low, 0.2), falls=falling(0.3, 0.03))
    assert decision.verdict == "keep"
    assert "class cat: 0.900 falls to 0.600 on 50 test examples" in decision.reasons[1]
    assert [one.outcome for one in decision.guards] == ["breaks"]


def test_a_part_that_perhaps_falls_too_far_waits_for_more_images() -> None:
    decision = judged(falls=falling(0.15, 0.05))
    assert decision.verdict == "inconclusive"
    assert "more images of it would settle it" in decision.reasons[1]


def test_too_few_examples_of_a_part_are_told_and_block_nothing() -> None:
    decision = judged()
    assert decision.verdict == "promote"
    assert [one.outcome for one in decision.guards] == ["passes", "unmeasured"]
    assert decision.reasons[1] == "guards of classes, slices and corruptions: 1 pass, 1 have too few test examples to tell"


def test_only_the_surest_of_many_broken_parts_are_told() -> None:
    parts = [Fall("slice", str(k), 0.9, 0.5 - 0.01 * k, 0.03, 50, 50, 50) for k in range(6)]
    decision = judged(gate=replace(GATE, max_slice_drop=0.1), falls=Falls([*FINE.measured, *parts]))
    assert [reason.partition(":")[0] for reason in decision.reasons[1:4]] == ["slice 5", "slice 4", "slice 3"]
    assert decision.reasons[4].startswith("3 more of the 8 guards: breaks")


def test_exactly_at_the_limits_nothing_breaks() -> None:
    edge = measured(cost__latency_ms=20.0, cost__megabytes=8.0)
    assert judged(edge, falls=falling(0.1, 0.001)).verdict == "promote"


def test_guardrails_not_asked_for_are_not_needed() -> None:
    bare = replace(CANDIDATE, metrics={"test/accuracy": 0.9})
    assert decide(bare, CHAMPION, BARE, BETTER).verdict == "promote"


@pytest.mark.parametrize("kind", ["max_recall_drop", "max_slice_drop", "max_corruption_drop"])
def test_a_limit_on_what_was_not_measured_is_not_passed(kind: str) -> None:
    decision = judged(gate=replace(BARE, **{kind: 0.1}), falls=None)  # type: ignore[arg-type]
    assert decision.verdict == "refused"
    assert "evaluate them again" in decision.reasons[0]


def test_a_test_set_without_slices_has_none_to_guard() -> None:
    assert judged(gate=replace(GATE, max_slice_drop=0.1)).verdict == "promote"


def test_what_is_missing_is_refused_with_its_remedy() -> None:
    decision = judged(falls=Falls(FINE.measured, ["no slices: run the evaluate stage again"]))
    assert (decision.verdict, decision.reasons) == ("refused", ["no slices: run the evaluate stage again"])


def test_one_group_of_images_is_inconclusive() -> None:
    decision = judged(comparison=Comparison(0.3, math.nan, math.nan, 10, 1, "group", images=12))
    assert decision.verdict == "inconclusive"
    assert "all 12 test images are one group" in decision.reasons[0]


def test_an_inconclusive_verdict_says_how_many_images_would_settle_it() -> None:
    # 0.03 with an error of 0.02 on 1000 groups of 2 images: (0.02 × (1.96 + 0.84) / 0.03)² = 3.49 times the images there are.
    unsure = Comparison(0.04, 0.0, 0.08, 2000, 1000, "group", error=0.02, critical=1.9623, images=2000)
    assert to_settle(unsure, 0.01) == pytest.approx(2000 * 2.488, rel=0.002)
    assert f"about {to_settle(unsure, 0.01):,} more test images, in groups of 2.0, would settle it" in judged(comparison=unsure).reasons[0]
    even = replace(unsure, difference=0.01, low=-0.03, high=0.05)
    assert "no feasible number of test images" in judged(comparison=even).reasons[0]


def test_the_settling_number_is_symmetric_about_the_margin() -> None:
    up, down = (replace(BETTER, difference=0.01 + sign * 0.02) for sign in (1, -1))
    assert to_settle(up, 0.01) == to_settle(down, 0.01)


def test_mcnemar_is_told_where_images_are_alone() -> None:
    alone = replace(BETTER, unit="image", gained=37, lost=14, mcnemar=0.0014)
    assert "(37 answers gained, 14 lost, McNemar's mid-p 0.0014)" in judged(comparison=alone).reasons[0]


def test_the_sum_of_a_round_is_its_last_promotion() -> None:
    first, second, third = (replace(judged(), verdict=verdict, reasons=[verdict]) for verdict in ("promote", "promote", "keep"))
    found = summed([(CANDIDATE, first), (CHAMPION, replace(second, guards=[])), (CANDIDATE, third)])
    assert (found.verdict, found.guards) == ("promote", [])
    assert found.reasons == ["new: promote: promote", "old: promote: promote", "new: keep: keep"]


@pytest.mark.parametrize(("name", "value"), [("floor", 1.5), ("max_slice_drop", -0.1), ("min_support", 0), ("max_size_ratio", 0.0)])
def test_an_impossible_threshold_is_refused(name: str, value: float) -> None:
    with pytest.raises(UsageError, match=f"here.{name} is"):
        refuse_impossible(replace(GATE, **{name: value}), "here")  # type: ignore[arg-type]
    refuse_impossible(GATE, "here")


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


def test_budgets_hold_for_the_first_champion_too() -> None:
    decision = decide(CANDIDATE, None, replace(GATE, latency_ms=9.0, max_megabytes=3.0))
    assert decision.verdict == "refused"
    assert "the budget is 9" in decision.reasons[1] and "the budget is 3" in decision.reasons[2]


def test_the_champion_itself_is_kept() -> None:
    decision = decide(CHAMPION, CHAMPION, GATE)
    assert (decision.verdict, decision.reasons) == ("keep", ["old is already champion"])


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 0.5))
def test_nothing_is_promoted_whose_lower_bound_is_not_above_the_margin(a: float, b: float, margin: float) -> None:
    low, high = sorted((a, b))
    decision = judged(comparison=between(low, high), gate=replace(GATE, margin=margin))
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
