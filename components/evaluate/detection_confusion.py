"""Which class is taken for which, and which for background, by a detector at its operating points."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_matches import Scene, overlaps
from components.evaluate.detection_points import outcome

BACKGROUND = "background"
IOU = 0.5


def confusion(found: list[Scene], classes: list[str], points: Mapping[str, float]) -> NDArray[np.int64]:
    """Counts (C + 1, C + 1) by true class (row) and predicted class (column), background last.

    The diagonal is what was found. A false detection that overlaps a missed box of another class by IoU 0.5 is taken for
    it, the surest first, each box once. What then is left of the detections stands in the background's row, what is left
    of the boxes in its column: rows sum to the boxes to be found, columns to the detections that count.
    """
    background = len(classes)
    counts = np.zeros((background + 1, background + 1), np.int64)
    for scene in found:
        sides = outcome(scene, classes, points)
        false, missed = np.flatnonzero(sides.false), np.flatnonzero(sides.missed)
        guessed, true = np.full(len(missed), background), np.full(len(false), background)
        for detection, box in _mistaken(overlaps(scene.found[false], scene.boxes[missed], scene.skip[missed])):
            guessed[box], true[detection] = scene.found_class[false[detection]], scene.box_class[missed[box]]
        right = scene.found_class[sides.true]
        np.add.at(counts, (right, right), 1)
        np.add.at(counts, (scene.box_class[missed], guessed), 1)
        alone = true == background
        np.add.at(counts, (true[alone], scene.found_class[false[alone]]), 1)
    return counts


def _mistaken(iou: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs of a detection and the free box that it overlaps most, of IoU (D, G) with the surest detection first."""
    pairs, free = [], np.ones(iou.shape[1], bool)
    for detection, row in enumerate(iou):
        left = np.where(free, row, 0.0)
        if left.size and left.max() >= IOU:
            box = int(left.argmax())
            free[box] = False
            pairs.append((detection, box))
    return pairs
