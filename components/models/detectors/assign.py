"""Which anchors learn which box: task-aligned assignment (TOOD, Feng et al. 2021, https://arxiv.org/abs/2108.07755).

An anchor may learn a box when its centre lies inside it. Of those, the `TOP` best by score^ALPHA * IoU^BETA learn it;
an anchor wanted by several boxes takes the one it overlaps most.
"""

from typing import Any, NamedTuple

import keras
from keras import ops

TOP = 10
ALPHA, BETA = 0.5, 6.0  # of the alignment score^ALPHA * IoU^BETA
TINY = 1e-9


class Assignment(NamedTuple):
    """What each anchor is to learn.

    `boxes` (B, A, 4) corners in pixels; `classes` (B, A) int32; `quality` (B, A) in 0..1, the score the anchor should
    give its class: 0 for anchors that learn no box, the box's best IoU for its best anchor.
    """

    boxes: Any
    classes: Any
    quality: Any


def pairwise_iou(truth: Any, boxes: Any) -> Any:
    """Intersection over union (B, M, A) of corners (B, M, 4) and (B, A, 4), in pixels; 0 for boxes without area."""
    return ops.clip(keras.utils.bounding_boxes.compute_iou(truth, boxes, "xyxy"), 0.0, 1.0)


def centre_inside(truth: Any, centres: Any, least: float) -> Any:
    """Whether each anchor centre (A, 2) lies inside each box (B, M, 4): bool (B, M, A).

    A side shorter than `least` pixels counts as that long, or the smallest boxes would hold no centre and teach nothing.
    """
    middle = (truth[..., :2] + truth[..., 2:]) / 2
    half = ops.maximum((truth[..., 2:] - truth[..., :2]) / 2, least / 2)
    return ops.all(ops.abs(centres[None, None] - middle[:, :, None]) < half[:, :, None], axis=-1)


def assign(scores: Any, boxes: Any, classes: Any, truth: Any, centres: Any, least: float) -> Assignment:
    """Assign anchors to boxes.

    scores (B, A, C) in 0..1 and boxes (B, A, 4) are the detector's present answer; classes (B, M) int32, -1 for padding,
    and truth (B, M, 4) are the labels; centres (A, 2) the anchors. All in pixels of the square; M is at least 1.
    """
    real = classes >= 0
    iou = pairwise_iou(truth, boxes)
    wanted = ops.one_hot(ops.maximum(classes, 0), scores.shape[-1])
    may = ops.logical_and(centre_inside(truth, centres, least), real[..., None])
    alignment = ops.where(may, _aligned(ops.matmul(wanted, ops.transpose(ops.sqrt(scores), (0, 2, 1))), iou) + TINY, 0.0)
    chosen = _best(alignment)
    taken = ops.argmax(ops.where(chosen, iou + TINY, 0.0), axis=1)
    chosen = ops.logical_and(chosen, taken[:, None] == ops.arange(ops.shape(truth)[1])[None, :, None])
    return Assignment(
        boxes=ops.take_along_axis(truth, taken[..., None], axis=1),
        classes=ops.take_along_axis(ops.maximum(classes, 0), taken, axis=1),
        quality=_quality(alignment, iou, chosen),
    )


def _aligned(root_of_score: Any, iou: Any) -> Any:
    """score^ALPHA * IoU^BETA by a root and products; powers take a CPU ten times as long."""
    cube = iou * iou * iou
    return root_of_score * cube * cube


def _best(alignment: Any) -> Any:
    """The TOP highest of each box's anchors that it may use at all: bool (B, M, A)."""
    count = min(TOP, alignment.shape[-1])
    least = ops.top_k(alignment, count)[0][..., -1:]
    return ops.logical_and(alignment >= least, alignment > 0)


def _quality(alignment: Any, iou: Any, chosen: Any) -> Any:
    """Alignment of the chosen pairs, scaled so that each box's best anchor gets the box's best IoU: (B, A)."""
    alignment = ops.where(chosen, alignment, 0.0)
    highest = ops.max(alignment, axis=-1, keepdims=True)
    best_iou = ops.max(ops.where(chosen, iou, 0.0), axis=-1, keepdims=True)
    return ops.max(alignment * best_iou / (highest + TINY), axis=1)
