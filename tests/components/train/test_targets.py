"""Targets from the tables, and their way back to the image."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data.decode import letterbox
from components.predict import from_square
from components.train.targets import box_targets, class_targets, to_square

SIDES = st.integers(1, 5000)
FRACTION = st.floats(0, 1, width=32)


def images(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image_id", "width", "height"])


def boxes(*rows: tuple) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image_id", "label", "x_min", "y_min", "x_max", "y_max", "is_crowd"])


def test_classes_are_numbered_in_their_order():
    assert class_targets(["pear", "apple", "pear"], ["apple", "fig", "pear"]).tolist() == [2, 0, 2]


def test_a_wide_image_lies_in_the_middle_of_its_square():
    # 200 x 100: the square is 200 high, the image takes its middle half, from 0.25 to 0.75
    found = box_targets(images(("a", 200, 100)), boxes(("a", "cat", 0.1, 0.2, 0.5, 1.0, False)), ["dog", "cat"])
    assert found == pytest.approx(np.array([[[1, 0.1, 0.35, 0.5, 0.75]]]), abs=1e-6)


def test_a_tall_image_lies_in_the_middle_of_its_square():
    # 300 x 400: three quarters wide, an eighth of padding on each side
    found = to_square(np.array([[0.0, 0.0, 1.0, 1.0], [0.5, 0.5, 1.0, 0.75]], np.float32), 300, 400)
    assert found == pytest.approx(np.array([[0.125, 0, 0.875, 1], [0.5, 0.5, 0.875, 0.75]]), abs=1e-6)


def test_a_target_lies_on_the_pixels_that_the_letterbox_shows():
    picture = np.zeros((60, 200, 3), np.uint8)
    picture[15:45, 50:150] = 255
    square, _, _ = letterbox(picture, 200)
    rows, columns = np.nonzero((square == 255).all(axis=2))
    shown = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 200
    assert to_square(np.array([[0.25, 0.25, 0.75, 0.75]], np.float32), 200, 60)[0] == pytest.approx(shown, abs=1e-6)


def test_every_image_gets_its_own_boxes_in_the_order_of_the_images():
    table = boxes(("b", "x", 0, 0, 1, 1, False), ("c", "y", 0, 0, 0.5, 1, False), ("b", "y", 0, 0, 1, 0.5, False))
    found = box_targets(images(("c", 10, 10), ("a", 10, 10), ("b", 10, 10)), table, ["x", "y"])
    assert found[:, :, 0].tolist() == [[1, -1], [-1, -1], [0, 1]]


def test_crowds_and_boxes_of_other_images_are_left_out():
    table = boxes(("a", "x", 0, 0, 1, 1, True), ("other", "x", 0, 0, 1, 1, False), ("other", "x", 0, 0, 1, 1, False))
    assert box_targets(images(("a", 10, 10)), table, ["x"]).tolist() == [[[-1] * 5]]


@given(width=SIDES, height=SIDES, corners=st.lists(st.tuples(FRACTION, FRACTION, FRACTION, FRACTION), max_size=5))
def test_from_square_undoes_to_square(width, height, corners):
    given_corners = np.array(corners, np.float32).reshape(-1, 4)
    square = to_square(given_corners, width, height)
    assert ((square >= -1e-6) & (square <= 1 + 1e-6)).all()
    # a float32 fraction of the longer side is known to 1e-7, so of the shorter side to that times their ratio
    precision = 4e-7 * max(width, height) / min(width, height)
    assert np.abs(from_square(square, width, height) - given_corners).max(initial=0) <= precision
