"""Boxes at the edge: by hand, and as Albumentations' own filter has them."""

import numpy as np
import pytest
from albumentations.core.bbox_utils import filter_bboxes

from components.augment.clipping import BoxCounts, Objects, clipped, led
from components.augment.maps import moved, scaled

SIDE = 100  # pixels


def objects(*corners: tuple[float, float, float, float], visible: float = 1.0) -> Objects:
    rows = np.array([(number, *box) for number, box in enumerate(corners)], np.float32).reshape(-1, 5)
    return Objects(rows, np.full(len(rows), visible), len(rows))


@pytest.mark.parametrize(
    ("box", "expected", "share"),
    [
        ((0.2, 0.3, 0.4, 0.6), (0.2, 0.3, 0.4, 0.6), 1.0),
        ((0.0, 0.0, 1.0, 1.0), (0.0, 0.0, 1.0, 1.0), 1.0),  # touches the edge and is whole
        ((-0.1, 0.5, 0.1, 0.7), (0.0, 0.5, 0.1, 0.7), 0.5),
        ((0.9, 0.9, 1.1, 1.1), None, 0.25),  # less than 0.3 of it
        ((-0.5, -0.5, 1.5, 1.5), None, 0.25),
        ((-0.2, 0.2, 1.2, 0.4), (0.0, 0.2, 1.0, 0.4), 1 / 1.4),
        ((0.5, 0.5, 0.515, 0.9), None, 1.0),  # 1.5 pixels wide
        ((0.5, 0.5, 0.52, 0.52), (0.5, 0.5, 0.52, 0.52), 1.0),  # 2 pixels are enough
        ((0.5, 0.5, 0.5, 0.9), None, 0.0),
        ((1.2, 0.2, 1.4, 0.4), None, 0.0),
        ((float("nan"), 0.2, 1.4, 0.4), None, 0.0),
    ],
)
def test_a_box_is_kept_whole_clipped_or_dropped(box, expected, share):
    found = clipped(objects(box), SIDE)
    assert len(found.boxes) == (expected is not None)
    assert found.given == 1
    if expected:
        np.testing.assert_allclose(found.boxes[0, 1:], expected, atol=1e-6)
        np.testing.assert_allclose(found.visible, share, rtol=1e-5)


def test_what_was_cut_before_counts():
    """Half of the half that was left is a quarter: too little, though half of what came is still there."""
    half = objects((-0.1, 0.5, 0.1, 0.7), visible=0.5)
    assert len(clipped(half, SIDE).boxes) == 0 and clipped(half, SIDE).given == 1
    assert len(clipped(half._replace(visible=np.ones(1)), SIDE).boxes) == 1


def test_each_box_may_have_a_part_of_the_picture_of_its_own():
    least, most = np.array([[0.0, 0.0], [0.5, 0.5]]), np.array([[0.5, 0.5], [1.0, 1.0]])
    found = clipped(objects((0.2, 0.2, 0.6, 0.4), (0.4, 0.6, 0.8, 0.9)), SIDE, least, most)
    np.testing.assert_allclose(found.boxes[:, 1:], [[0.2, 0.2, 0.5, 0.4], [0.5, 0.6, 0.8, 0.9]], atol=1e-6)
    np.testing.assert_allclose(found.visible, [0.75, 0.75], rtol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_the_rule_is_albumentations_own(seed):
    rng = np.random.default_rng(seed)
    low = rng.uniform(-0.5, 1.2, (500, 2))
    corners = np.concatenate([low, low + rng.uniform(0, 0.6, (500, 2)) ** 2], axis=1).astype(np.float32)
    theirs = filter_bboxes(corners, {"height": SIDE, "width": SIDE}, min_visibility=0.3, min_width=2.0, min_height=2.0)
    ours = clipped(objects(*corners), SIDE)
    assert 50 < len(theirs) < 450
    np.testing.assert_allclose(ours.boxes[:, 1:], theirs, atol=1e-6)


def test_each_picture_has_its_own_map_and_keeps_its_own_boxes():
    several = [objects((0.1, 0.1, 0.3, 0.3)), objects(), objects((0.8, 0.1, 0.9, 0.3), (0.4, 0.4, 0.6, 0.6))]
    maps = np.concatenate(
        [moved(np.array([20]), np.array([-10])), moved(np.zeros(1), np.zeros(1)), scaled(*np.array([[2], [2], [-50], [-50]]))]
    )
    first, none, last = led(several, maps, SIDE, SIDE)
    np.testing.assert_allclose(first.boxes, [[0, 0.3, 0.0, 0.5, 0.2]], atol=1e-6)
    assert len(none.boxes) == 0 and none.given == 0
    np.testing.assert_allclose(last.boxes, [[1, 0.3, 0.3, 0.7, 0.7]], atol=1e-6)
    assert last.given == 2


def test_counts_by_hand():
    one = clipped(objects((0.2, 0.3, 0.4, 0.6), (-0.1, 0.5, 0.1, 0.7), (0.95, 0.1, 1.4, 0.3)), SIDE)
    other = clipped(objects((0.2, 0.3, 0.4, 0.6)), SIDE)
    assert BoxCounts.of([one, other]) == BoxCounts(given=4, clipped=1, dropped=1)
    assert BoxCounts.of([one]) + BoxCounts.of([other]) == BoxCounts.of([one, other])
    assert BoxCounts.of([]) == BoxCounts()
