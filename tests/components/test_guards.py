"""Guards: hand-worked cases, and scipy for Holm's neighbours."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.evaluate.falls import Fall
from components.guards import guarded, holm, more_needed, p_above

MARGINS = {"class": 0.1, "slice": None, "corruption": 0.1}


def fall(drop: float, error: float, kind: str = "class", examples: int = 50, groups: int = 50) -> Fall:
    return Fall(kind, "apple", 0.9, 0.9 - drop, error, examples, examples, groups)  # type: ignore[arg-type]


def outcomes(*falls: Fall) -> list[str]:
    return [one.outcome for one in guarded(falls, MARGINS, 20)]


def test_holm_by_hand() -> None:
    # Sorted 0.005, 0.01, 0.03, 0.04, times 4, 3, 2, 1: 0.02, 0.03, 0.06, and 0.04 may not be below the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_holm_lies_between_the_plain_value_and_bonferroni(p: list[float]) -> None:
    found = np.array(holm(p))
    assert (found >= np.array(p)).all() and (found <= np.minimum(1, np.array(p) * len(p)) + 1e-12).all()
    assert (np.diff(found[np.argsort(p, kind="stable")]) >= 0).all()


def test_the_p_value_is_that_of_a_one_sided_t_test() -> None:
    differences = np.random.default_rng(0).normal(0.2, 1.0, 40)
    one = Fall("class", "apple", float(differences.mean()), 0.0, float(stats.sem(differences)), 40, 40, 40)
    expected = stats.ttest_1samp(differences, 0.1, alternative="greater").pvalue
    assert p_above(one, 0.1) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("drop", "error", "outcome"),
    [
        (0.30, 0.05, "breaks"),  # four errors beyond the margin
        (0.15, 0.05, "suspected"),  # one beyond it, and three beyond no fall
        (0.15, 0.12, "passes"),  # beyond it, but perhaps no fall at all
        (0.09, 0.001, "passes"),  # surely a fall, and surely within the margin
        (-0.30, 0.05, "passes"),
    ],
)
def test_three_outcomes(drop: float, error: float, outcome: str) -> None:
    assert outcomes(fall(drop, error)) == [outcome]


def test_what_breaks_alone_is_only_suspected_among_a_hundred() -> None:
    # Two errors beyond the margin: p = 0.025.
    assert outcomes(fall(0.2, 0.05)) == ["breaks"]
    assert outcomes(fall(0.2, 0.05), *[fall(0.0, 0.05)] * 99)[0] == "suspected"


def test_what_is_too_small_is_named_and_blocks_nothing() -> None:
    found = outcomes(fall(0.8, 0.05, examples=19), fall(0.8, math.nan, groups=1), fall(0.3, 0.05))
    assert found == ["unmeasured", "unmeasured", "breaks"]


def test_what_is_not_asked_for_is_left_out() -> None:
    assert outcomes(fall(0.8, 0.01, kind="slice")) == []


def test_the_words_have_the_numbers() -> None:
    breaks, suspected = guarded([fall(0.3, 0.04), fall(0.15, 0.05)], MARGINS, 20)
    assert "class apple: 0.900 falls to 0.600 on 50 test examples, surely by more than the 0.1 allowed" in str(breaks)
    assert f"about {suspected.more:,} more images of it would settle it" in str(suspected)


def test_more_images_are_what_a_z_test_needs_at_80_percent_power() -> None:
    # To find 0.1 with an error of 0.05 at 100 images: n = 100 × (0.05 × (1.96 + 0.84) / 0.1)² = 196.2.
    assert more_needed(0.1, 0.05, 1.96, 100) == 97
    assert more_needed(0.0, 0.05, 1.96, 100) is None
    assert more_needed(0.001, 0.05, 1.96, 100) is None
    assert more_needed(0.1, math.nan, 1.96, 100) is None
