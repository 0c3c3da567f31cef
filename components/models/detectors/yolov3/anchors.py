"""Anchor boxes: the shapes of box that a YOLOv3 begins from, found in the training boxes.

k-means on widths and heights by the distance 1 - IoU, as if all boxes had one centre (YOLO9000, Redmon & Farhadi 2016,
https://arxiv.org/abs/1612.08242): by the Euclidean distance large boxes would decide alone.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

Anchors = tuple[tuple[float, float], ...]  # width and height as fractions of the square, by rising area

MAPS = 3
PER_MAP = 3
# As published with YOLOv3, found in the boxes of COCO: pixels of squares of 416.
COCO_PIXELS = ((10, 13), (16, 30), (33, 23), (30, 61), (62, 45), (59, 119), (116, 90), (156, 198), (373, 326))
COCO: Anchors = tuple((width / 416, height / 416) for width, height in COCO_PIXELS)
MOST_BOXES = 2_000  # that are looked at, evenly by area
STARTS = 10
MOST_ROUNDS = 100
TINY = 1e-9
DECIMALS = 6  # of the square: float32 makes one shape at two places two
NEXT_TO_NOTHING = 1e-6  # of a box: what a published anchor weighs against the boxes whose cluster it joins


def shape_iou(sizes: Any, anchors: Any) -> Any:
    """Intersection over union (..., K) of widths and heights (..., 2) and (K, 2) laid on one centre; anchors have an area."""
    sizes = sizes[..., None, :]
    shared = ops.prod(ops.minimum(sizes, anchors), axis=-1)
    return shared / (ops.prod(sizes, axis=-1) + ops.prod(anchors, axis=-1) - shared)


def sizes_of(targets: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Widths and heights (K, 2) of the boxes among labels (N, M, 5): class (-1 for padding), x_min, y_min, x_max, y_max."""
    rows = targets[targets[..., 0] >= 0]
    return np.asarray(rows[:, 3:] - rows[:, 1:3], np.float64)


def find_anchors(sizes: NDArray[np.floating[Any]], count: int = MAPS * PER_MAP) -> Anchors:
    """`count` anchors for boxes of these widths and heights (N, 2), fractions of the square; the same for the same boxes.

    Boxes without area do not count. Where the others have fewer than `count` different shapes, the published anchors join them.
    """
    rounded = np.asarray(np.round(sizes, DECIMALS), np.float64)
    ordered = _by_area(rounded[(rounded > 0).all(axis=1)])
    evenly = np.linspace(0, len(ordered) - 1, min(len(ordered), MOST_BOXES)).astype(int)
    shapes, counted = np.unique(ordered[evenly], axis=0, return_counts=True)
    numbers = counted.astype(np.float64)
    if len(shapes) < count:
        shapes, numbers = np.concatenate([shapes, COCO]), np.concatenate([numbers, np.full(len(COCO), NEXT_TO_NOTHING)])
    return tuple((float(width), float(height)) for width, height in _by_area(_k_means(shapes, numbers, count)))


def mean_iou(sizes: NDArray[np.floating[Any]], anchors: Anchors) -> float:
    """How well the anchors fit boxes (N, 2), the mean IoU of each with the anchor most like it, 0..1; 0 without a box."""
    overlaps = _overlaps(np.asarray(sizes, np.float64), np.asarray(anchors))
    return float(overlaps.max(axis=1).mean()) if len(sizes) else 0.0


def _overlaps(sizes: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(shape_iou(sizes, anchors))


def _by_area(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    return sizes[np.lexsort((sizes[:, 0], sizes.prod(axis=1)))]


def _k_means(shapes: NDArray[np.float64], numbers: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Means (count, 2) of clusters of different shapes (N, 2), N at least `count`, each seen so many times: the best of some starts."""
    rng = np.random.default_rng(0)
    found = [_settled(shapes, numbers, _start(shapes, numbers, count, rng)) for _ in range(STARTS)]
    return max(found, key=lambda means: np.average(_overlaps(shapes, means).max(axis=1), weights=numbers))


def _start(shapes: NDArray[np.float64], numbers: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """`count` of the shapes, unlike one another: k-means++ (Arthur & Vassilvitskii 2007), which draws by the squared distance."""
    picked = shapes[[rng.choice(len(shapes), p=numbers / numbers.sum())]]
    while len(picked) < count:
        weights = numbers * (1.0 - _overlaps(shapes, picked).max(axis=1) + TINY) ** 2
        picked = np.concatenate([picked, shapes[[rng.choice(len(shapes), p=weights / weights.sum())]]])
    return picked


def _settled(shapes: NDArray[np.float64], numbers: NDArray[np.float64], means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the means come to rest. One that loses all its boxes stays where it is."""
    nearest = np.full(len(shapes), -1)
    for _ in range(MOST_ROUNDS):
        before, nearest = nearest, _overlaps(shapes, means).argmax(axis=1)
        if (before == nearest).all():
            break
        means = np.array([_mean(shapes[nearest == k], numbers[nearest == k], mean) for k, mean in enumerate(means)])
    return means


def _mean(shapes: NDArray[np.float64], numbers: NDArray[np.float64], otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.average(shapes, axis=0, weights=numbers) if len(shapes) else otherwise
