"""The paired bootstrap, against scipy, closed forms and hand-worked cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from components.errors import DataError
from components.evaluate.compare import paired_bootstrap, paired_bootstrap_metric, weighted_mean


def answers(share: float, images: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(images) < share).astype(float)


def test_agrees_with_scipy_when_every_image_is_its_own_group() -> None:
    ours, theirs = answers(0.8, 400, 1), answers(0.7, 400, 2)
    found = paired_bootstrap(ours, theirs, np.arange(400), seed=3, rounds=4000)
    reference = stats.bootstrap(
        (ours - theirs,), np.mean, n_resamples=4000, method="percentile", random_state=np.random.default_rng(4)
    ).confidence_interval
    assert found.difference == pytest.approx((ours - theirs).mean())
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high), abs=0.006)
    assert (found.units, found.unit) == (400, "group")


def test_groups_of_equal_images_give_the_interval_of_the_groups() -> None:
    differences = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 60, p=[0.2, 0.5, 0.3])
    repeated = np.repeat(differences, 10)
    grouped = paired_bootstrap(repeated, np.zeros(600), np.repeat(np.arange(60), 10), seed=1, rounds=4000)
    naive = paired_bootstrap(repeated, np.zeros(600), np.arange(600), seed=1, rounds=4000)
    # Ten copies carry no more information than one: the width is that of 60 images, sqrt(10) times the naive one.
    assert (grouped.high - grouped.low) / (naive.high - naive.low) == pytest.approx(np.sqrt(10), rel=0.08)
    expected = 2 * 1.96 * differences.std() / np.sqrt(60)
    assert grouped.high - grouped.low == pytest.approx(expected, rel=0.08)


def test_few_groups_are_not_resampled_and_it_says_so() -> None:
    nine, ten = np.arange(90) % 9, np.arange(90) % 10
    few = paired_bootstrap(answers(0.8, 90, 1), answers(0.7, 90, 2), nine, seed=0, rounds=50)
    enough = paired_bootstrap(answers(0.8, 90, 1), answers(0.7, 90, 2), ten, seed=0, rounds=50)
    assert (few.unit, few.units) == ("image", 90)
    assert (enough.unit, enough.units) == ("group", 10)


def test_the_same_answers_differ_by_exactly_nothing() -> None:
    same = answers(0.6, 50, 1)
    found = paired_bootstrap(same, same, np.arange(50), seed=0)
    assert (found.difference, found.low, found.high) == (0.0, 0.0, 0.0)


def test_a_null_difference_is_rarely_called_real() -> None:
    surely = 0
    for seed in range(200):
        found = paired_bootstrap(answers(0.7, 200, 2 * seed), answers(0.7, 200, 2 * seed + 1), np.arange(200), seed, rounds=300)
        surely += found.low > 0
    # One-sided 2.5 %: of 200 null comparisons about 5; 14 or more happen with probability below 0.001.
    assert surely < 14


@given(st.integers(0, 2**32 - 1))
def test_swapping_the_two_mirrors_the_interval_and_a_seed_repeats_it(seed: int) -> None:
    ours, theirs, groups = answers(0.8, 40, 1), answers(0.6, 40, 2), np.arange(40) // 2
    one, again = (paired_bootstrap(ours, theirs, groups, seed, rounds=40) for _ in range(2))
    mirrored = paired_bootstrap(theirs, ours, groups, seed, rounds=40)
    assert one == again
    assert (mirrored.low, mirrored.high) == pytest.approx((-one.high, -one.low))
    assert one.low <= one.high


def test_a_metric_of_weights_is_the_metric_of_repeated_images() -> None:
    values, weights = np.array([1.0, 0.0, 1.0]), np.array([2, 0, 3])
    assert weighted_mean(values, weights) == np.repeat(values, weights).mean()


def test_a_metric_that_is_undefined_too_often_has_no_interval() -> None:
    def only_with_the_first(weights: np.ndarray) -> float:
        return float(weights[0]) if weights[0] else float("nan")

    found = paired_bootstrap_metric(only_with_the_first, lambda weights: 0.0, np.arange(20), seed=0, rounds=200)
    assert found.difference == 1.0
    assert np.isnan([found.low, found.high]).all()


@pytest.mark.parametrize(
    ("ours", "theirs", "groups", "said"),
    [
        (np.ones(3), np.ones(2), np.arange(3), "3 images, the champion on 2"),
        (np.ones(3), np.ones(3), np.arange(2), "2 group ids for 3 images"),
        (np.ones(0), np.ones(0), np.arange(0), "empty"),
    ],
)
def test_what_does_not_belong_together_is_refused(ours: np.ndarray, theirs: np.ndarray, groups: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=said):
        paired_bootstrap(ours, theirs, groups, seed=0)


def test_more_candidates_widen_the_interval() -> None:
    random = np.random.default_rng(0)
    ours, theirs = (random.random((2, 400)) < [[0.8], [0.75]]).astype(float)
    one = paired_bootstrap(ours, theirs, np.arange(400), seed=1)
    twenty = paired_bootstrap(ours, theirs, np.arange(400), seed=1, candidates=20)
    assert twenty.low < one.low < one.difference < one.high < twenty.high
    # A normal difference has its 0.125 % quantile 3.02 standard errors out, its 2.5 % quantile 1.96.
    assert (twenty.difference - twenty.low) / (one.difference - one.low) == pytest.approx(3.02 / 1.96, rel=0.15)
