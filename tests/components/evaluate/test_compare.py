"""The paired bootstrap, against scipy, closed forms and hand-worked cases."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.errors import DataError
from components.evaluate.compare import (
    Comparison,
    effective_groups,
    group_numbers,
    mcnemar,
    paired_bootstrap,
    resamples,
    share,
    standard_errors,
)


def answers(chance: float, images: int, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(images) < chance).astype(float)


def one(ours: np.ndarray, theirs: np.ndarray, groups: np.ndarray, seed: int = 0, rounds: int = 2000) -> Comparison:
    return paired_bootstrap(share(np.stack([theirs, ours])), groups, seed, rounds)[0]


def test_agrees_with_scipy_when_every_image_is_its_own_group() -> None:
    ours, theirs = answers(0.8, 400, 1), answers(0.7, 400, 2)
    found = one(ours, theirs, np.arange(400), seed=3, rounds=4000)
    reference = stats.bootstrap((ours - theirs,), np.mean, n_resamples=4000, method="basic", rng=np.random.default_rng(4))
    assert found.difference == pytest.approx((ours - theirs).mean())
    assert (found.low, found.high) == pytest.approx(tuple(reference.confidence_interval), abs=0.006)
    assert found.error == pytest.approx(reference.standard_error, rel=0.05)
    assert (found.units, found.unit, found.images) == (400, "image", 400)


def test_of_few_groups_the_interval_is_students() -> None:
    """Twelve groups of one image each: mean ± t with 11 degrees of freedom × s / sqrt(12), but for the image that is added."""
    differences = np.random.default_rng(0).normal(0.1, 5.0, 12)
    found = one(differences, np.zeros(12), np.arange(12), rounds=20_000)
    reference = stats.t.interval(0.95, 11, differences.mean(), stats.sem(differences))
    assert (found.low, found.high) == pytest.approx(reference, rel=0.05)
    assert found.critical == pytest.approx(stats.t.ppf(0.975, 11), rel=0.03)


def test_groups_of_equal_images_give_the_interval_of_the_groups() -> None:
    differences = np.random.default_rng(0).choice([-1.0, 0.0, 1.0], 60, p=[0.2, 0.5, 0.3])
    repeated = np.repeat(differences, 10)
    grouped = one(repeated, np.zeros(600), np.repeat(np.arange(60), 10), seed=1, rounds=4000)
    naive = one(repeated, np.zeros(600), np.arange(600), seed=1, rounds=4000)
    # Ten copies carry no more information than one: the error is that of 60 images, sqrt(10) times the naive one.
    assert grouped.error / naive.error == pytest.approx(np.sqrt(10), rel=0.05)
    assert (grouped.units, grouped.unit, grouped.images) == (60, "group", 600)


def test_one_group_tells_nothing_however_many_images_it_has() -> None:
    found = one(answers(0.9, 500, 1), answers(0.6, 500, 2), np.zeros(500))
    assert found.difference > 0.2
    assert np.isnan([found.low, found.high, found.error]).all()
    assert (found.units, found.images) == (1, 500)


def test_the_same_answers_differ_by_nothing_but_one_image_may_yet_tell_them_apart() -> None:
    same = answers(0.6, 50, 1)
    found = one(same, same, np.arange(50))
    assert (found.difference, found.error) == (0.0, pytest.approx(1 / 50))
    assert found.low == -found.high < 0


def test_a_null_difference_is_rarely_called_real_by_any_of_twenty() -> None:
    surely = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        correct = (random.normal(size=200) + random.normal(size=(21, 200)) < 1).astype(float)
        surely += any(found.low > 0 for found in paired_bootstrap(share(correct), np.arange(200), seed, rounds=300))
    # At most 5 %: of 200 null rounds 10; 20 or more happen with probability below 0.002.
    assert surely < 20


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.permutations(range(40)))
def test_swapping_mirrors_a_seed_repeats_and_the_order_of_equal_images_is_nothing(seed: int, order: list[int]) -> None:
    ours, theirs, groups = answers(0.8, 40, 1), answers(0.6, 40, 2), np.arange(40) // 2
    first, again = (one(ours, theirs, groups, seed, rounds=40) for _ in range(2))
    mirrored, moved = one(theirs, ours, groups, seed, rounds=40), one(ours[order], theirs[order], groups[order], seed, rounds=40)
    assert first == again
    assert (mirrored.low, mirrored.high) == pytest.approx((-first.high, -first.low))
    assert (moved.difference, moved.low, moved.high) == pytest.approx((first.difference, first.low, first.high))


def test_resamples_draw_as_many_groups_as_there_are_each_equally_often() -> None:
    members, count = group_numbers(np.array(["b", "a", "b", "c"]))
    drawn = np.concatenate(list(resamples(members, 0, 6000)))
    assert (members.tolist(), count, drawn.shape) == ([1, 0, 1, 2], 3, (6000, 4))
    assert (drawn[:, 0] == drawn[:, 2]).all()
    assert (drawn[:, [0, 1, 3]].sum(axis=1) == 3).all()
    assert drawn.mean(axis=0) == pytest.approx([1, 1, 1, 1], abs=0.05)


def test_a_metric_that_is_undefined_too_often_has_no_interval_and_spoils_no_other() -> None:
    images = np.arange(20)
    values = np.stack([answers(0.5, 20, 1), answers(0.7, 20, 2)])

    def scores(weights: np.ndarray) -> np.ndarray:
        only_with_the_first = np.where(weights[:, :1] > 0, weights[:, :1], np.nan)
        return np.hstack([share(values)(weights), only_with_the_first])

    fine, undefined = paired_bootstrap(scores, images, seed=0, rounds=200)
    assert np.isnan([undefined.low, undefined.high]).all()
    assert np.isfinite([fine.low, fine.high]).all()


def test_an_empty_test_set_is_refused() -> None:
    with pytest.raises(DataError, match="empty"):
        one(np.ones(0), np.ones(0), np.ones(0))


def test_many_candidates_cost_less_than_bonferroni_and_the_preferred_one_nothing() -> None:
    random = np.random.default_rng(0)
    correct = (random.normal(size=1000) + 0.5 * random.normal(size=(21, 1000)) < 1).astype(float)
    alone = paired_bootstrap(share(correct[:2]), np.arange(1000), seed=1)
    preferred, *others = paired_bootstrap(share(correct), np.arange(1000), seed=1)
    assert (preferred.low, preferred.high) == pytest.approx((alone[0].low, alone[0].high))
    assert len({found.critical for found in others}) == 1
    assert 2.6 < others[0].critical < stats.norm.ppf(1 - 0.015 / 19)


def test_what_was_tried_before_widens_the_interval_by_its_share_of_the_errors() -> None:
    correct = np.stack([answers(0.7, 1000, 1), answers(0.75, 1000, 2), answers(0.75, 1000, 3)])
    for earlier in (0, 3, 24, 99):
        preferred, other = paired_bootstrap(share(correct), np.arange(1000), seed=1, rounds=4000, earlier=earlier)
        share_of_errors = {0: 1, 3: 0.1895, 24: 0.02101, 99: 0.003981}[earlier]  # 1 / (1 + earlier)^1.2
        assert preferred.earlier == other.earlier == earlier
        assert preferred.critical == pytest.approx(stats.t.ppf(1 - 0.025 * share_of_errors, 999), rel=0.06)
        assert other.critical == pytest.approx(stats.t.ppf(1 - 0.015 * share_of_errors, 999), rel=0.06)


def test_equal_models_tried_one_after_the_other_are_rarely_called_better() -> None:
    corrected = alone = 0
    for seed in range(150):
        random = np.random.default_rng(seed)
        correct = (random.normal(size=300) + random.normal(size=(21, 300)) < 1).astype(float)
        found = [[paired_bootstrap(share(correct[[0, 1 + tried]]), np.arange(300), seed, 300, earlier=earlier)[0].low > 0
                  for earlier in (tried, 0)] for tried in range(20)]  # fmt: skip
        corrected, alone = corrected + any(one for one, _ in found), alone + any(one for _, one in found)
    # At most 5 %: of 150 null rounds 7.5; 16 or more happen with probability below 0.005. Uncorrected: some 20 %.
    assert corrected < 16 < alone


def test_equal_candidates_cost_as_much_as_one() -> None:
    correct = np.stack([answers(0.7, 300, 1), *[answers(0.75, 300, 2)] * 6])
    found = paired_bootstrap(share(correct), np.arange(300), seed=1)
    assert found[1].critical == pytest.approx(stats.t.ppf(0.985, 299), rel=0.05)


def test_unequal_groups_count_as_fewer_equal_ones() -> None:
    # Ten groups of 1 and one of 10: 20² / (10 + 100) = 3.64 equal ones.
    assert effective_groups(np.array([*range(10), *[10] * 10]), np.ones(20)) == pytest.approx(400 / 110)
    assert effective_groups(np.arange(20) // 2, np.ones(20)) == 10


def test_the_error_is_widened_for_few_groups_and_as_by_one_more_image() -> None:
    resampled = np.random.default_rng(0).normal(size=(1000, 1))
    expected = math.sqrt(resampled.var() * 5 / 4 + 1 / 30**2)
    assert standard_errors(resampled, 5, 30) == pytest.approx([expected])


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (7, 7), (12, 3), (3, 12), (1, 0), (140, 95)])
def test_mcnemar_is_the_binomial_test_less_half_of_what_was_seen(gained: int, lost: int) -> None:
    exact = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    seen = stats.binom.pmf(gained, gained + lost, 0.5)
    assert mcnemar(gained, lost) == pytest.approx(exact if gained == lost else exact - seen)


def test_mcnemar_by_hand() -> None:
    # 1 lost, 4 gained: P(0) + P(1) of 5 is (1 + 5) / 32; both sides 12 / 32, less P(1) = 5 / 32.
    assert mcnemar(4, 1) == 7 / 32
