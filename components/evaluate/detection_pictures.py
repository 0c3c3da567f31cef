"""Pictures of what a detector found at its operating points: truth beside predictions, the worst images.

All are RGB uint8 (H, W, 3) arrays. Truth is drawn white, hits green, misses orange, false alarms red.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_matches import Scene
from components.evaluate.detection_points import Outcome, outcome

Image = NDArray[np.uint8]
Load = Callable[[str], Image]
TRUTH, HIT, MISS, FALSE_ALARM = (255, 255, 255), (60, 200, 90), (255, 150, 30), (235, 50, 50)
CAPTION_HEIGHT = 22
GAP = 6


def worst_first(found: Sequence[Scene], classes: list[str], points: Mapping[str, float]) -> list[Scene]:
    """The scenes by falling number of misses and false alarms (IoU 0.5, label must agree), then by image_id."""

    def errors(scene: Scene) -> int:
        sides = outcome(scene, classes, points)
        return int(np.count_nonzero(sides.missed) + np.count_nonzero(sides.false))

    return sorted(found, key=lambda scene: (-errors(scene), scene.image_id))


def comparison_grid(
    found: Sequence[Scene], classes: list[str], points: Mapping[str, float], load: Load, columns: int = 3, cell: int = 360
) -> Image:
    """One cell a scene: truth and predictions drawn on its image, its counts below.

    `load(image_id)` gives RGB uint8 (H, W, 3) of any size; `cell` is the longer side in pixels an image is drawn at.
    """
    return _grid([_cell(load(scene.image_id), scene, outcome(scene, classes, points), cell) for scene in found], columns)


def _cell(pixels: Image, scene: Scene, sides: Outcome, cell: int) -> Image:
    scale = cell / max(pixels.shape[:2])
    drawn = cv2.resize(
        pixels, (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))), interpolation=cv2.INTER_AREA
    )
    marked = [(scene.boxes, ~sides.missed, TRUTH), (scene.boxes, sides.missed, MISS)]
    marked += [(scene.found, sides.true, HIT), (scene.found, sides.false, FALSE_ALARM)]
    for boxes, chosen, color in marked:
        for box in boxes[chosen] / np.tile(scene.size, 2):
            _rectangle(drawn, box, color)
    square = np.full((cell + CAPTION_HEIGHT, cell, 3), 32, np.uint8)
    top, left = (cell - drawn.shape[0]) // 2, (cell - drawn.shape[1]) // 2
    square[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    counts = ((sides.true, "found", HIT), (sides.missed, "missed", MISS), (sides.false, "false", FALSE_ALARM))
    for number, (chosen, word, color) in enumerate(counts):
        place = (6 + number * cell // 3, cell + CAPTION_HEIGHT - 7)
        cv2.putText(square, f"{np.count_nonzero(chosen)} {word}", place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
    return square


def _rectangle(image: NDArray[Any], box: NDArray[np.float64], color: tuple[int, int, int]) -> None:
    """Draw x, y, width, height, as fractions of the image."""
    height, width = image.shape[:2]
    corners = np.concatenate([box[:2], box[:2] + box[2:]]) * (width - 1, height - 1, width - 1, height - 1)
    x_min, y_min, x_max, y_max = np.round(corners).astype(int).tolist()
    cv2.rectangle(image, (x_min, y_min), (x_max, y_max), color, 1)


def _grid(cells: list[Image], columns: int) -> Image:
    """Cells of equal size side by side; one gray cell when there are none."""
    cells = cells or [np.full((60, 240, 3), 32, np.uint8)]
    height, width = cells[0].shape[:2]
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    grid = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for index, picture in enumerate(cells):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        grid[top : top + height, left : left + width] = picture
    return grid
