"""Curves and bars are drawn, and empty ones do not matter."""

import numpy as np
import pytest

from components.evaluate.detection_curves import errors_picture, f1_picture, precision_recall_picture
from components.evaluate.detection_errors import KINDS, Cause
from components.evaluate.detection_points import PrecisionRecall

FALLING = PrecisionRecall(np.array([1.0, 0.8, 0.5]), np.array([0.2, 0.6, 0.9]), np.array([0.9, 0.5, 0.1]))
EMPTY = PrecisionRecall(np.zeros(0), np.zeros(0), np.zeros(0))


@pytest.mark.parametrize("draw", [precision_recall_picture, f1_picture])
def test_curves_are_drawn_and_empty_ones_do_not_matter(draw):
    points = {"cat": 0.5, "dog": 0.5}
    drawn, blank = draw({"cat": FALLING, "dog": EMPTY}, points), draw({"dog": EMPTY}, points)
    assert drawn.shape == blank.shape == draw({}, {}).shape
    assert drawn.dtype == np.uint8
    assert (drawn != blank).any()
    assert (drawn != draw({"cat": FALLING, "dog": EMPTY}, {"cat": 0.9, "dog": 0.5})).any()  # the operating point is marked


def test_the_dearest_cause_has_the_longest_bar():
    prices = dict(zip(KINDS, (0.1, 0.4, 0.0, 0.05, float("nan"), 0.2), strict=True))
    picture = errors_picture({kind: Cause(3, price) for kind, price in prices.items()}).astype(int)
    blue = np.abs(picture - (70, 130, 180)).max(axis=-1) < 8  # steelblue
    lengths = blue.sum(axis=1)
    rows = np.flatnonzero(lengths)
    bars = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    shown = [int(np.median(lengths[bar])) for bar in bars]
    assert len(shown) == 4 and int(np.argmax(shown)) == 1 and shown[1] == pytest.approx(4 * shown[0], rel=0.05)
