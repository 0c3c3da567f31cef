"""Pictures of detections: the right things counted, drawn in the right place and color."""

import numpy as np
import pandas as pd
import pytest

from components.evaluate.detection_matches import Scene, scenes
from components.evaluate.detection_pictures import FALSE_ALARM, HIT, MISS, comparison_grid, worst_first

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
POINTS = {"cat": 0.5, "dog": 0.5}
CLASSES = ["cat", "dog"]


def seen(truth: pd.DataFrame = TRUTH, found: pd.DataFrame = FOUND, images: pd.DataFrame = IMAGES) -> list[Scene]:
    return scenes(truth, found, images, CLASSES)


def gray(image_id: str) -> np.ndarray:
    row = IMAGES.set_index("image_id").loc[image_id]
    return np.full((row["height"], row["width"], 3), 128, np.uint8)


def has_color(picture: np.ndarray, color: tuple[int, int, int]) -> bool:
    return bool((np.abs(picture.astype(int) - color).max(axis=-1) < 12).any())


def test_the_images_with_most_misses_and_false_alarms_come_first():
    """a: one box missed, for its detection is too unsure, and one false alarm. b: the right place, the wrong label. c: nothing."""
    assert [scene.image_id for scene in worst_first(seen(), CLASSES, POINTS)] == ["a", "b", "c"]
    assert [scene.image_id for scene in worst_first(seen(), CLASSES, {"cat": 0.2, "dog": 0.5})] == ["b", "a", "c"]


def test_cells_show_hits_misses_and_false_alarms_where_they_are():
    grid = comparison_grid(seen()[:1], CLASSES, POINTS, gray, cell=200)
    assert grid.dtype == np.uint8
    assert grid.shape == (222, 200, 3)
    photograph = grid[50:150]
    assert has_color(photograph[8:32, 18:62], HIT)
    assert has_color(photograph[8:32, 78:102], FALSE_ALARM)
    assert has_color(photograph[58:92, 118:182], MISS)
    assert not has_color(photograph[58:92, 118:182], HIT)


def test_a_grid_has_rows_and_columns():
    assert comparison_grid(seen(), CLASSES, POINTS, gray, columns=2, cell=100).shape == (2 * 122 + 6, 2 * 100 + 6, 3)


@pytest.mark.parametrize(
    ("truth", "found", "images"), [(TRUTH[:0], FOUND[:0], IMAGES), (TRUTH, FOUND, IMAGES[:0]), (TRUTH[:0], FOUND, IMAGES)]
)
def test_nothing_to_show_still_gives_a_picture(truth, found, images):
    picture = comparison_grid(worst_first(seen(truth, found, images), CLASSES, POINTS), CLASSES, POINTS, gray)
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
