"""Falls at parts of the test set, against closed forms."""

import numpy as np
import pytest

from components.evaluate.falls import Fall, Part, falls

RANDOM = np.random.default_rng(0)
IMAGES = 300
THEIRS, OURS = (RANDOM.random((2, IMAGES)) < [[0.9], [0.7]]).astype(float)


def test_a_part_is_measured_on_its_own_images_alone() -> None:
    own = (np.arange(IMAGES) % 3 == 0).astype(float)
    (found,) = falls([Part("slice", "dark", THEIRS * own, OURS * own, own)], np.arange(IMAGES), seed=0, rounds=4000)
    differences = (THEIRS - OURS)[own > 0]
    assert (found.champion, found.candidate) == (pytest.approx(THEIRS[own > 0].mean()), pytest.approx(OURS[own > 0].mean()))
    # The linear approximation of a share of drawn images, and one more image that tells the models apart.
    assert found.error == pytest.approx(np.hypot(differences.std() / 10, 1 / 100), rel=0.05)
    assert (found.examples, found.images, found.groups) == (100, 100, 100)


def test_boxes_count_not_images() -> None:
    wanted = np.array([10.0, 0.0, 2.0] * 10)
    (found,) = falls([Part("class", "tree", wanted / 2, wanted / 4, wanted)], np.arange(30), seed=0)
    assert (found.champion, found.candidate, found.examples, found.images) == (0.5, 0.25, 120, 20)


def test_equal_images_of_a_group_are_one() -> None:
    few, groups = (THEIRS - OURS)[:30], np.repeat(np.arange(30), 10)
    many, zero, every = np.repeat(few, 10), np.zeros(IMAGES), np.ones(IMAGES)
    (found,) = falls([Part("slice", "all", many, zero, every)], groups, seed=0, rounds=4000)
    assert found.error == pytest.approx(few.std(ddof=1) / np.sqrt(30), rel=0.05)
    assert (found.images, found.groups) == (300, 30)


def test_a_part_of_one_group_has_no_error_and_an_empty_one_is_left_out() -> None:
    own = (np.arange(IMAGES) < 30).astype(float)
    parts = [Part("slice", "one", THEIRS * own, OURS * own, own), Part("slice", "none", *[np.zeros(IMAGES)] * 3)]
    (found,) = falls(parts, np.arange(IMAGES) // 30, seed=0, rounds=50)
    assert isinstance(found, Fall) and np.isnan(found.error)
    assert falls([], np.arange(3), seed=0) == []
