"""Rare classes: weights against scikit-learn's, and orders that show every class equally often."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from components.train.balance import balanced, class_weights, shuffled

CLASSES = st.lists(st.integers(0, 5), min_size=1, max_size=80).map(lambda found: np.array(found, np.int32))


@given(classes=CLASSES)
def test_weights_are_scikit_learns_balanced_ones_with_a_mean_of_one(classes):
    weights, present = class_weights(classes, 7), np.unique(classes)
    assert weights[present] == pytest.approx(compute_class_weight("balanced", classes=present, y=classes))
    assert weights[classes].mean() == pytest.approx(1)
    assert not weights[np.setdiff1d(np.arange(7), present)].any() and weights.shape == (7,)


@settings(max_examples=60)
@given(classes=CLASSES, seed=st.integers(0, 99))
def test_every_class_is_shown_equally_often_and_each_image_before_any_again(classes, seed):
    order = balanced(classes, np.random.default_rng(seed))
    assert len(order) == len(classes)
    shown = np.bincount(classes[order], minlength=6)[np.unique(classes)]
    assert shown.max() - shown.min() <= 1
    times = np.bincount(order, minlength=len(classes))
    for one in np.unique(classes):
        assert np.ptp(times[classes == one]) <= 1


def test_of_a_frequent_class_other_images_are_shown_in_other_epochs():
    classes = np.array([0] * 30 + [1] * 2)
    seen = {index for epoch in range(12) for index in balanced(classes, np.random.default_rng([0, epoch])).tolist()}
    assert seen == set(range(32))


def test_the_classes_are_not_shown_one_after_the_other():
    classes = np.repeat([0, 1], 50)
    changes = np.diff(classes[balanced(classes, np.random.default_rng(0))]) != 0
    assert 35 < changes.sum() < 65


@given(classes=CLASSES, seed=st.integers(0, 99), draw=st.sampled_from([shuffled, balanced]))
def test_the_order_is_that_of_its_seed(classes, seed, draw):
    assert np.array_equal(draw(classes, np.random.default_rng(seed)), draw(classes, np.random.default_rng(seed)))
    assert draw is balanced or sorted(draw(classes, np.random.default_rng(seed))) == list(range(len(classes)))
