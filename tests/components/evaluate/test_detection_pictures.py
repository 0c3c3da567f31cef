"""Pictures of detections: the right things counted, drawn in the right place and color."""

import numpy as np
import pandas as pd
import pytest

from components.evaluate.detection_matches import PrecisionRecall
from components.evaluate.detection_pictures import (
    FALSE_ALARM,
    HIT,
    MISS,
    comparison_grid,
    count_errors,
    precision_recall_picture,
    worst_images,
)

IMAGES = pd.DataFrame({"image_id": ["a", "b", "c"], "width": [200, 100, 100], "height": [100, 100, 100]})
TRUTH = pd.DataFrame(
    [("a", "cat", 0.1, 0.1, 0.3, 0.3), ("a", "cat", 0.6, 0.6, 0.9, 0.9), ("b", "dog", 0.1, 0.1, 0.5, 0.5)],
    columns=["image_id", "label", "x_min", "y_min", "x_max", "y_max"],
)
FOUND = pd.DataFrame(
    [
        ("a", "cat", 0.1, 0.1, 0.3, 0.3, 0.9),
        ("a", "cat", 0.4, 0.1, 0.5, 0.3, 0.8),
        ("a", "cat", 0.6, 0.6, 0.9, 0.9, 0.3),
        ("b", "cat", 0.1, 0.1, 0.5, 0.5, 0.9),
    ],
    columns=[*TRUTH.columns, "confidence"],
)
THRESHOLDS = {"cat": 0.5, "dog": 0.5}


def gray(image_id: str) -> np.ndarray:
    row = IMAGES.set_index("image_id").loc[image_id]
    return np.full((row["height"], row["width"], 3), 128, np.uint8)


def has_color(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - color).max(axis=-1) < 12).any())


def test_errors_are_counted_at_the_operating_threshold_and_sorted():
    rows = [(row.image_id, row.hits, row.misses, row.false_alarms) for row in count_errors(TRUTH, FOUND, IMAGES, THRESHOLDS)]
    assert rows == [("a", 1, 1, 1), ("b", 0, 1, 1), ("c", 0, 0, 0)]  # b: the right place, the wrong label


def test_cells_show_hits_misses_and_false_alarms_where_they_are():
    grid = comparison_grid(TRUTH, FOUND, IMAGES.iloc[:1], THRESHOLDS, gray, cell=200)
    assert grid.dtype == np.uint8
    assert grid.shape == (222, 200, 3)
    photograph = grid[50:150]
    assert has_color(photograph[8:32, 18:62], HIT)
    assert has_color(photograph[8:32, 78:102], FALSE_ALARM)
    assert has_color(photograph[58:92, 118:182], MISS)
    assert not has_color(photograph[58:92, 118:182], HIT)


def test_a_grid_has_rows_and_columns():
    assert comparison_grid(TRUTH, FOUND, IMAGES, THRESHOLDS, gray, columns=2, cell=100).shape == (2 * 122 + 6, 2 * 100 + 6, 3)


@pytest.mark.parametrize(
    ("truth", "found", "images"), [(TRUTH[:0], FOUND[:0], IMAGES), (TRUTH, FOUND, IMAGES[:0]), (TRUTH[:0], FOUND, IMAGES)]
)
def test_nothing_to_show_still_gives_a_picture(truth, found, images):
    picture = worst_images(truth, found, images, THRESHOLDS, gray)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3


def test_the_worst_come_first():
    picture = worst_images(TRUTH, FOUND, IMAGES, THRESHOLDS, gray, count=1)
    expected = comparison_grid(TRUTH, FOUND, IMAGES[IMAGES["image_id"] == "a"], THRESHOLDS, gray)
    np.testing.assert_array_equal(picture, expected)


def test_curves_are_drawn_and_empty_ones_do_not_matter():
    falling = PrecisionRecall(np.array([1.0, 0.8, 0.5]), np.array([0.2, 0.6, 0.9]), np.array([0.9, 0.5, 0.1]))
    empty = PrecisionRecall(np.zeros(0), np.zeros(0), np.zeros(0))
    drawn, blank = precision_recall_picture({"cat": falling, "dog": empty}), precision_recall_picture({"dog": empty})
    assert drawn.shape == blank.shape
    assert drawn.dtype == np.uint8
    assert (drawn != blank).any()
    assert precision_recall_picture({}).shape == drawn.shape
