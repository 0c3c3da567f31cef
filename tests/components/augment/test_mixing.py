"""MixUp and CutMix against the formulas of their papers, on pictures that tell which pixel is whose."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.augment.mixing import Mixing, cutmix, mixup

SIZE, COUNT = 16, 8
# Picture n is all of value 30 n and of class n, so that a pixel tells of which pictures it is made, and in which shares.
PIXELS = (np.arange(COUNT, dtype=np.uint8) * 30)[:, None, None, None] * np.ones((1, SIZE, SIZE, 3), np.uint8)
CLASSES = np.arange(COUNT)
ONE_HOT = np.eye(COUNT, dtype=np.float32)


@given(seed=st.integers(0, 10**6), alpha=st.floats(0.05, 5))
def test_labels_are_mixed_as_pixels_are_blended(seed, alpha):
    pixels, soft = mixup(PIXELS, ONE_HOT, alpha, np.random.default_rng(seed))
    assert soft.dtype == np.float32 and pixels.dtype == np.uint8
    assert soft.sum(axis=1) == pytest.approx(1)
    assert pixels[:, 0, 0, 0] == pytest.approx(soft @ (CLASSES * 30.0), abs=0.5001)
    assert (pixels == pixels[:, :1, :1, :1]).all()


@given(seed=st.integers(0, 10**6), alpha=st.floats(0.05, 5))
def test_labels_have_the_shares_of_the_pixels_that_are_seen(seed, alpha):
    pixels, soft = cutmix(PIXELS, ONE_HOT, alpha, np.random.default_rng(seed))
    for one, shares in zip(pixels, soft, strict=True):
        seen = np.bincount(one[..., 0].ravel() // 30, minlength=COUNT) / SIZE**2
        assert shares == pytest.approx(seen, abs=1e-6)


@given(seed=st.integers(0, 10**6))
def test_what_is_pasted_is_one_rectangle_in_its_own_place(seed):
    rng = np.random.default_rng(seed)
    given_pixels = rng.integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.uint8)
    pixels, _ = cutmix(given_pixels, np.eye(2, dtype=np.float32), 1.0, rng)
    for own, other, shown in ((given_pixels[0], given_pixels[1], pixels[0]), (given_pixels[1], given_pixels[0], pixels[1])):
        pasted = (shown != own).any(axis=-1)
        assert (shown[pasted] == other[pasted]).all()
        if pasted.any():
            rows, columns = np.flatnonzero(pasted.any(axis=1)), np.flatnonzero(pasted.any(axis=0))
            assert np.ptp(rows) + 1 == len(rows) and np.ptp(columns) + 1 == len(columns)


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_are_of_the_beta_distribution(alpha):
    shares = []
    for seed in range(2000):
        _, soft = mixup(PIXELS, ONE_HOT, alpha, np.random.default_rng(seed))
        shares += [max(soft[soft.max(axis=1) < 1].max(axis=1), default=1.0)]
    folded = np.maximum(*(lambda drawn: (drawn, 1 - drawn))(np.random.default_rng(0).beta(alpha, alpha, 100_000)))
    assert np.mean(shares) == pytest.approx(folded.mean(), abs=0.01)
    assert np.std(shares) == pytest.approx(folded.std(), abs=0.01)


def test_pasted_rectangles_have_the_area_of_the_paper_where_no_edge_cuts_them():
    """With the side sqrt(1 - share) the pasted share is 1 - share, less what the edge cuts off: the mean of 2,000 against the formula."""
    drawn = (cutmix(PIXELS, ONE_HOT, 1.0, np.random.default_rng(seed))[0] for seed in range(2000))
    pasted = [(pixels != PIXELS).mean(axis=(1, 2, 3)).max() for pixels in drawn]
    rng = np.random.default_rng(1)
    side, centre = np.sqrt(1 - rng.random(200_000)), rng.random((2, 200_000))
    area = (np.minimum(centre + side / 2, 1) - np.maximum(centre - side / 2, 0)).prod(axis=0)
    assert np.mean(pasted) == pytest.approx(area.mean(), abs=0.02)  # 2,000 draws have a standard deviation of 0.006
    assert np.std(pasted) == pytest.approx(area.std(), abs=0.02)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_equal_seeds_mix_equally_and_the_given_pixels_stay(seed):
    before = PIXELS.copy()
    mixing = Mixing(0.4, 1.0, COUNT)
    (left, left_soft), (right, right_soft) = (mixing(PIXELS, CLASSES, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(left, right) and np.array_equal(left_soft, right_soft) and np.array_equal(PIXELS, before)


def test_each_of_two_happens_in_half_of_the_batches_and_one_alone_always():
    def blended(mixing: Mixing) -> float:
        """The share of batches in which some pixel is of no single picture."""
        batches = [mixing(PIXELS, CLASSES, np.random.default_rng(seed))[0] for seed in range(400)]
        return np.mean([(one % 30 != 0).any() for one in batches])

    assert blended(Mixing(1.0, 0.0, COUNT)) > 0.9 and blended(Mixing(0.0, 1.0, COUNT)) == 0
    assert 0.4 < blended(Mixing(1.0, 1.0, COUNT)) < 0.58  # binomial(400, 0.5) has a standard deviation of 0.025
