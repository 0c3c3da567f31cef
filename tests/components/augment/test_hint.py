"""The hint, against hand-worked cases and SciPy's exact binomial test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from components.augment.hint import ALPHA, MARGIN, compare, most_confused


def scores(right_then_wrong: int, wrong_then_right: int, right: int, wrong: int) -> tuple[np.ndarray, np.ndarray]:
    before = [1] * right_then_wrong + [0] * wrong_then_right + [1] * right + [0] * wrong
    after = [0] * right_then_wrong + [1] * wrong_then_right + [1] * right + [0] * wrong
    return np.array(before, float), np.array(after, float)


@given(worse=st.integers(0, 60), better=st.integers(0, 60), right=st.integers(0, 60))
def test_the_p_value_is_that_of_mcnemars_exact_test(worse, better, right):
    found = compare(*scores(worse, better, right, 1))
    expected = binomtest(worse, worse + better, alternative="greater").pvalue if worse + better else 1.0
    assert found.p_value == pytest.approx(expected, rel=1e-9) and (found.worse, found.better) == (worse, better)


@pytest.mark.parametrize(
    ("case", "transforms", "confusing"),
    [
        ((40, 2, 60, 0), 5, True),
        ((0, 0, 100, 0), 5, False),
        ((0, 30, 60, 10), 5, False),  # better with it
        ((9, 0, 191, 0), 1, False),  # certain, but a drop of 4.5 % is what augmentation is for
        ((6, 0, 4, 0), 1, False),  # a drop of 60 %, but six images may all fall by chance once in 64 times
        ((7, 0, 3, 0), 1, True),  # 1 in 128
        ((7, 0, 3, 0), 2, False),  # of two transforms either may
        ((30, 25, 45, 0), 1, False),  # noise on both sides
    ],
)
def test_noise_and_small_drops_are_no_alarm(case, transforms, confusing):
    assert compare(*scores(*case), transforms).confusing is confusing


def test_shares_of_boxes_are_compared_image_by_image():
    before, after = np.full(20, 0.8), np.full(20, 0.5)
    found = compare(before, after, 4)
    assert found.confusing and (found.before, found.after) == (pytest.approx(0.8), pytest.approx(0.5)) and found.worse == 20


def test_no_image_tells_nothing():
    found = compare(np.zeros(0), np.zeros(0))
    assert not found.confusing and found.p_value == 1


def test_alarms_on_a_transform_that_changes_nothing_are_as_rare_as_said():
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(2000):
        before, after = (rng.random((2, 30)) < 0.5).astype(float)  # a model that guesses, twice
        alarms += compare(before, after, 4).confusing
    assert alarms / 2000 <= ALPHA and MARGIN > 0


def test_the_pair_most_often_confused_is_named():
    truth, before, after = list("669963"), list("669913"), list("996893")
    # two 6 were right and became 9; a 9 that was right became 6, another 8; the last 6 was wrong before
    assert most_confused(truth, before, after) == ("6", "9", 2)
    assert most_confused(["a"], ["a"], ["a"]) is None
