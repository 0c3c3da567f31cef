"""Images and what is true of them, ready to be batched."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import NO_BOXES, Example

Targets = NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """Images in memory or mapped from disk, and what is true of them.

    pixels (N, S, S, 3) uint8; keys (N,) non-negative int64, one name an image; targets: class indices (N,) int32,
    or boxes (N, M, 5) float32 rows [class, x_min, y_min, x_max, y_max], class -1 where there is no box.
    """

    pixels: NDArray[np.uint8]
    targets: Targets
    keys: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def has_boxes(self) -> bool:
        """Whether the targets are boxes."""
        return self.targets.ndim == 3

    def boxes(self, index: int) -> NDArray[np.float32]:
        """One image's boxes (N, 5), without padding."""
        rows: NDArray[np.float32] = self.targets[index]
        return rows[rows[:, 0] >= 0]

    def example(self, index: int) -> Example:
        """One image with its boxes, without padding."""
        return Example(np.asarray(self.pixels[index]), self.boxes(index) if self.has_boxes else NO_BOXES)


def image_key(image_id: str) -> int:
    """A number below 2**60 that names the image, from its SHA-256."""
    return int(image_id[:15], 16)


def pad_boxes(boxes: list[NDArray[np.float32]], most: int) -> NDArray[np.float32]:
    """Boxes (N_i, 5) of each image as one array (N, most, 5), padded by class -1; `most` is doubled until all have room.

    So a training's batches have few shapes, for each of which its step is traced anew.
    """
    most = max(most, 1)
    while most < max(map(len, boxes), default=0):
        most *= 2
    padded = np.full((len(boxes), most, 5), -1.0, np.float32)
    for row, found in zip(padded, boxes, strict=True):
        row[: len(found)] = found
    return padded
