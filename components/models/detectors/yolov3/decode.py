"""From what a YOLOv3's three maps put out to boxes and scores.

Every cell of every map holds three anchors. A raw row is one of them: t_x, t_y, t_w, t_h, the logit of the objectness, and
one logit a class. With (c_x, c_y) the cell's corner in cells and (p_w, p_h) the anchor's size (YOLOv3, section 2.1):

    b_x = sigmoid(t_x) + c_x    b_y = sigmoid(t_y) + c_y    b_w = p_w exp(t_w)    b_h = p_h exp(t_h)
"""

from functools import lru_cache
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from components.models.detectors.decode import LOG_SIZE_LIMIT, STRIDES
from components.models.detectors.yolov3.anchors import PER_MAP, Anchors

BOX = 4  # numbers of a row that say the box; the objectness follows
CLASSES = BOX + 1  # where the classes begin


class Grid(NamedTuple):
    """Where the rows of a square lie: `corners` (A, 2) and `cells` (A, 1) a side in cells of their map, `anchor` (A,) 0..8."""

    corners: NDArray[np.float32]
    cells: NDArray[np.float32]
    anchor: NDArray[np.int32]


@lru_cache(maxsize=32)
def grid(image_size: int) -> Grid:
    """The rows in order: finest map first, its cells row by row, a cell's three anchors by area."""
    parts = [_one_map(image_size // stride, number) for number, stride in enumerate(STRIDES)]
    return Grid(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _one_map(cells: int, number: int) -> Grid:
    y, x, anchor = np.meshgrid(np.arange(cells), np.arange(cells), np.arange(PER_MAP), indexing="ij")
    corners = np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)
    return Grid(corners, np.full((x.size, 1), cells, np.float32), (anchor.ravel() + number * PER_MAP).astype(np.int32))


def decode_boxes(raw: Any, anchors: Anchors, image_size: int) -> Any:
    """Corners x_min, y_min, x_max, y_max (B, A, 4), 0..1 of the square and unclipped, of raw rows (B, A, 5 + C)."""
    rows = grid(image_size)
    centre = (ops.sigmoid(raw[..., :2]) + rows.corners) / rows.cells
    grown = ops.exp(ops.clip(raw[..., 2:BOX], -LOG_SIZE_LIMIT, LOG_SIZE_LIMIT))
    half = np.asarray(anchors, np.float32)[rows.anchor] * grown / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def decode_scores(raw: Any) -> Any:
    """Confidence (B, A, C) in 0..1 that a row is an object of a class: objectness times the class' probability."""
    return ops.sigmoid(raw[..., BOX:CLASSES]) * ops.sigmoid(raw[..., CLASSES:])


@keras.saving.register_keras_serializable(package="visionloop")
class AnchorDecoding(keras.layers.Layer):  # type: ignore[misc]
    """Raw rows (B, A, 5 + C) for squares of `size` pixels -> boxes (B, A, 4) and scores (B, A, C).

    `anchors` are nine (width, height) as fractions of the square, three a map, and are saved with the layer.
    """

    def __init__(self, size: int, anchors: Anchors, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = size
        self.anchors = tuple((float(width), float(height)) for width, height in anchors)

    def call(self, raw: Any) -> tuple[Any, Any]:
        """Boxes as corners 0..1 of the square, unclipped, and scores 0..1."""
        return decode_boxes(raw, self.anchors, self.size), decode_scores(raw)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to build it again."""
        return {**super().get_config(), "size": self.size, "anchors": self.anchors}
