"""Which row of a YOLOv3 learns which box.

One alone (YOLOv3, section 2.1): of the nine anchors the one shaped most like the box, in the cell of its map that holds the
box's centre.
"""

from typing import Any, NamedTuple

import numpy as np
from keras import ops

from components.models.detectors.decode import STRIDES
from components.models.detectors.yolov3.anchors import PER_MAP, Anchors, shape_iou


class Match(NamedTuple):
    """What each box's row is to answer.

    `rows` (B, M) int32 numbers the rows; `learns` (B, M) bool is False for padding, for boxes without area, and for a box
    whose row another one takes; `offset` (B, M, 2) in 0..1 is the centre within its cell, what sigmoid(t_x), sigmoid(t_y)
    should be; `growth` (B, M, 2) is log(size / anchor), what t_w, t_h should be.
    """

    rows: Any
    learns: Any
    offset: Any
    growth: Any


def match(truth: Any, is_box: Any, anchors: Anchors, image_size: int) -> Match:
    """The rows that learn boxes: corners `truth` (B, M, 4) in 0..1 of the square, `is_box` (B, M) False for padding.

    A row wanted by several boxes takes the one its anchor is shaped most like, the first of equals.
    """
    cells = np.array([image_size // stride for stride in STRIDES], np.int32)
    first_rows = PER_MAP * np.concatenate([[0], np.cumsum(cells**2)[:-1]]).astype(np.int32)
    shapes = ops.convert_to_tensor(np.asarray(anchors, np.float32))
    size, centre = truth[..., 2:] - truth[..., :2], (truth[..., :2] + truth[..., 2:]) / 2
    overlap = shape_iou(size, shapes)
    best = ops.cast(ops.argmax(overlap, axis=-1), "int32")
    side = ops.take(cells, best // PER_MAP)
    place = centre * ops.cast(side[..., None], centre.dtype)
    cell = ops.clip(ops.cast(ops.floor(place), "int32"), 0, side[..., None] - 1)  # a centre on the far border is in no cell
    rows = ops.take(first_rows, best // PER_MAP) + (cell[..., 1] * side + cell[..., 0]) * PER_MAP + best % PER_MAP
    has_area = ops.logical_and(is_box, ops.all(size > 0, axis=-1))
    return Match(
        rows=ops.where(has_area, rows, 0),
        learns=ops.logical_and(has_area, ops.logical_not(_displaced(rows, ops.max(overlap, axis=-1), has_area))),
        offset=place - ops.cast(cell, place.dtype),
        growth=ops.log(ops.where(has_area[..., None], size / ops.take(shapes, best, axis=0), 1.0)),
    )


def _displaced(rows: Any, overlap: Any, has_area: Any) -> Any:
    """Whether another box with the same row fits it better, or as well and comes before: bool (B, M)."""
    rival = ops.logical_and(rows[:, :, None] == rows[:, None, :], has_area[:, None, :])
    number = ops.arange(ops.shape(rows)[1])
    earlier = ops.logical_and(overlap[:, None, :] == overlap[:, :, None], number[None, None, :] < number[None, :, None])
    better = ops.logical_or(overlap[:, None, :] > overlap[:, :, None], earlier)
    return ops.any(ops.logical_and(rival, better), axis=-1)
