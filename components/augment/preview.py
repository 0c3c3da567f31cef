"""What a policy does to real pictures: a sheet to look at, and counts of the boxes it keeps, clips and drops."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import Augmenter, Example

LIME = (60, 230, 60)
WHITE = 255
GAP = 4  # pixels between pictures


def draw(example: Example) -> NDArray[np.uint8]:
    """The picture with its boxes outlined, (S, S, 3) uint8."""
    canvas = example.pixels.copy()
    height, width = canvas.shape[:2]
    for x_min, y_min, x_max, y_max in example.boxes[:, 1:] * [width, height, width, height]:
        cv2.rectangle(canvas, (round(x_min), round(y_min)), (round(x_max), round(y_max)), LIME, 1)
    return canvas


def sheet(examples: Sequence[Example], augmenter: Augmenter, columns: int = 6) -> NDArray[np.uint8]:
    """One row an image: the original first, then `columns - 1` augmented versions, on white."""
    size = augmenter.image_size
    page = np.full((len(examples) * (size + GAP) - GAP, columns * (size + GAP) - GAP, 3), WHITE, np.uint8)
    for row, example in enumerate(examples):
        versions = [example, *(augmenter(example, epoch, row) for epoch in range(1, columns))]
        for column, version in enumerate(versions):
            top, left = row * (size + GAP), column * (size + GAP)
            height, width = version.pixels.shape[:2]
            page[top : top + height, left : left + width] = draw(version)
    return page


def audit(examples: Sequence[Example], augmenter: Augmenter, epochs: int = 4) -> dict[str, Any]:
    """Over `epochs` passes: boxes seen, kept and dropped, and pictures with boxes that lost them all."""
    seen = kept = emptied = 0
    for epoch in range(1, epochs + 1):
        for key, example in enumerate(examples):
            left = len(augmenter(example, epoch, key).boxes)
            seen, kept = seen + len(example.boxes), kept + left
            emptied += bool(len(example.boxes)) and left == 0
    return {"epochs": epochs, "images": len(examples), "boxes": seen, "kept": kept, "dropped": seen - kept, "pictures_emptied": emptied}
