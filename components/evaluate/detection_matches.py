"""Which detections found which box, image by image: what curves, confusion, errors and average precision are made of.

COCO's greedy matching and 101-point average precision (https://cocodataset.org/#detection-eval), written so that an
image can count several times or not at all: with every weight 1 the result equals COCO's.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.detection import is_ignored, pixel_boxes, refuse_unknown

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
NO_MATCH = np.zeros((0, len(IOU_THRESHOLDS)), bool)


class ImageMatch(NamedTuple):
    """One image's outcome at each of IOU_THRESHOLDS.

    `box` (D, 10) is the index of the box that a detection found, -1 for none; `ignored` (D, 10) are detections that count
    neither way; `taken` (10, G) the boxes that were found.
    """

    box: NDArray[np.int64]
    ignored: NDArray[np.bool_]
    taken: NDArray[np.bool_]

    @property
    def true(self) -> NDArray[np.bool_]:
        """Which detections found a box (D, 10)."""
        return self.box >= 0


@dataclass(frozen=True)
class Scene:
    """One image: its boxes, its detections by falling confidence, at most 100 a class, and which found which.

    size: width, height in pixels. boxes (G, 4) and found (D, 4): x, y, width, height in pixels; box_class (G,) and
    found_class (D,): index of the class; skip (G,): boxes that count neither way; confidence (D,); rows (D,): position
    in the predictions.
    """

    image_id: str
    size: tuple[int, int]
    boxes: NDArray[np.float64]
    box_class: NDArray[np.int64]
    skip: NDArray[np.bool_]
    found: NDArray[np.float64]
    found_class: NDArray[np.int64]
    confidence: NDArray[np.float64]
    rows: NDArray[np.int64]
    match: ImageMatch


@dataclass(frozen=True)
class ClassMatches:
    """One class's detections by falling confidence, and how many boxes each image has.

    image (D,) index of the image; confidence (D,); rows (D,) position in the predictions; true (D, 10) and ignored
    (D, 10) at each of IOU_THRESHOLDS; truths (I,) boxes to be found in each image.
    """

    image: NDArray[np.int64]
    confidence: NDArray[np.float64]
    rows: NDArray[np.int64]
    true: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    truths: NDArray[np.int64]


@dataclass(frozen=True)
class Matches:
    """The matches of a set of images: `image_ids` in the order weights are given, `classes` -> ClassMatches."""

    image_ids: list[str]
    classes: dict[str, ClassMatches]


def scenes(truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> list[Scene]:
    """Match detections to boxes as COCO does, image by image in their order; the frames are those of `coco_metrics`.

    Raises ValueError for a label that is not in `classes`.
    """
    refuse_unknown(truth, predictions, classes)
    sizes = images.drop_duplicates("image_id")[["image_id", "width", "height"]]
    known = sizes["image_id"]
    rows = np.flatnonzero(predictions["image_id"].isin(known).to_numpy())
    truth, found = truth[truth["image_id"].isin(known)], predictions.iloc[rows]
    boxes, skip = pixel_boxes(truth, images), is_ignored(truth)
    boxes_found, confidence = pixel_boxes(found, images), found["confidence"].to_numpy(np.float64)
    codes = {label: k for k, label in enumerate(classes)}
    box_class, found_class = (np.asarray(frame["label"].map(codes), np.int64) for frame in (truth, found))
    of_truth, of_found = (frame.groupby("image_id", sort=False).indices for frame in (truth, found))
    answer = []
    for image_id, width, height in sizes.itertuples(index=False):
        g = np.asarray(of_truth.get(image_id, ()), np.int64)
        d = _best(np.asarray(of_found.get(image_id, ()), np.int64), confidence, found_class)
        match = _match_classes((boxes[g], skip[g], box_class[g]), (boxes_found[d], found_class[d]))
        sides = boxes[g], box_class[g], skip[g], boxes_found[d], found_class[d], confidence[d], rows[d]
        answer.append(Scene(str(image_id), (int(width), int(height)), *sides, match))
    return answer


def gather(found: list[Scene], classes: list[str]) -> Matches:
    """The matches of scenes by class."""
    image = np.repeat(np.arange(len(found)), [len(scene.rows) for scene in found])
    number, rows = (np.concatenate([np.zeros(0, np.int64), *(getattr(scene, name) for scene in found)]) for name in ("found_class", "rows"))
    confidence = np.concatenate([np.zeros(0), *(scene.confidence for scene in found)])
    true, ignored = (np.concatenate([NO_MATCH, *(getattr(scene.match, name) for scene in found)]) for name in ("true", "ignored"))
    order = np.argsort(-confidence, kind="stable")
    truths = np.array([np.bincount(scene.box_class[~scene.skip], minlength=len(classes)) for scene in found], np.int64)
    truths = truths.reshape(len(found), len(classes))

    def of_class(k: int) -> ClassMatches:
        own = order[number[order] == k]
        return ClassMatches(image[own], confidence[own], rows[own], true[own], ignored[own], truths[:, k])

    return Matches([scene.image_id for scene in found], {label: of_class(k) for k, label in enumerate(classes)})


def matches(truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> Matches:
    """`scenes`, by class."""
    return gather(scenes(truth, predictions, images, classes), classes)


def only(found: Matches, own: NDArray[np.bool_]) -> Matches:
    """The matches at IoU 0.5 of the images (I,) that are `own`, without classes that they hold no box of: those have no AP."""
    place = np.cumsum(own) - 1

    def part(one: ClassMatches) -> ClassMatches:
        kept = own[one.image]
        sides = one.true[kept, :1], one.ignored[kept, :1], one.truths[own]
        return ClassMatches(place[one.image[kept]], one.confidence[kept], one.rows[kept], *sides)

    images = [image for image, inside in zip(found.image_ids, own, strict=True) if inside]
    return Matches(images, {label: part(one) for label, one in found.classes.items() if one.truths[own].any()})


def boxes_found(one: ClassMatches) -> NDArray[np.float64]:
    """Boxes (I,) of the class that were found in each image, averaged over IOU_THRESHOLDS."""
    return np.bincount(one.image, one.true.mean(axis=1), len(one.truths)).astype(np.float64)


def average_precision(found: Matches, weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """COCO's average precision (C, 10), one row a class and one column an IoU threshold; nan for classes without boxes.

    weights (I,): how many times each image counts, in the order of `found.image_ids`; all once by default.
    `np.nanmean` of all is COCO's AP, of the first column AP50.
    """
    weights = np.ones(len(found.image_ids), np.int64) if weights is None else weights
    return np.stack([_class_average_precision(one, weights) for one in found.classes.values()])


def interpolated_precision(hits: NDArray[np.int64], seen: NDArray[np.int64], total: int) -> NDArray[np.float64]:
    """COCO's 101-point average precision (T,) of counts (D, T) that grow with falling confidence.

    hits: boxes found so far; seen: detections so far; total, at least 1: boxes to be found.
    """
    recall = hits / total
    precision = hits / (seen + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    padded = np.vstack([envelope, np.zeros(hits.shape[1])])
    places = [np.searchsorted(column, RECALLS) for column in recall.T]
    return np.array([padded[place, column].mean() for column, place in enumerate(places)])


def match_image(truth: NDArray[np.float64], skip: NDArray[np.bool_], found: NDArray[np.float64]) -> ImageMatch:
    """Match one image's detections of one class, best first, each to the free box it overlaps most, at every IoU threshold.

    truth (G, 4) and found (D, 4) are x, y, width, height in pixels; skip (G,) marks boxes to be ignored, which may be
    matched any number of times.
    """
    box, ignored, taken = np.full((len(found), 10), -1), np.zeros((len(found), 10), bool), np.zeros((10, len(truth)), bool)
    wanted, overlap = np.flatnonzero(~skip), overlaps(found, truth, skip)
    least = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    for row, iou in enumerate(overlap):
        if len(wanted):
            candidates = np.where(taken[:, wanted], -1.0, iou[wanted])
            best = len(wanted) - 1 - np.argmax(candidates[:, ::-1], axis=1)  # the last of equals, as COCO
            hit = candidates[np.arange(10), best] >= least
            box[row] = np.where(hit, wanted[best], -1)
            taken[hit, wanted[best[hit]]] = True
        if skip.any():
            ignored[row] = (box[row] < 0) & (iou[skip].max() >= least)
    return ImageMatch(box, ignored, taken)


def overlaps(found: NDArray[np.float64], truth: NDArray[np.float64], skip: NDArray[np.bool_]) -> NDArray[np.float64]:
    """IoU (D, G); for boxes to be skipped the share of the detection that they cover, as COCO does for crowds."""
    if not len(truth) or not len(found):
        return np.zeros((len(found), len(truth)))
    a, b = found[:, None], truth[None]
    sides = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    area = a[..., 2] * a[..., 3]
    union = np.where(skip, area, area + b[..., 2] * b[..., 3] - shared)
    overlap: NDArray[np.float64] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlap


def _best(rows: NDArray[np.int64], confidence: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rows by falling confidence, the first 100 of each class."""
    rows = rows[np.argsort(-confidence[rows], kind="stable")]
    if len(rows) <= MAX_DETECTIONS:
        return rows
    rank = pd.Series(classes[rows]).groupby(classes[rows]).cumcount().to_numpy()
    return rows[rank < MAX_DETECTIONS]


def _match_classes(
    truth: tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]], found: tuple[NDArray[np.float64], NDArray[np.int64]]
) -> ImageMatch:
    """`match_image` for each class by itself: truth is boxes, skip, class; found is boxes, class."""
    (boxes, skip, box_class), (seen, found_class) = truth, found
    box, ignored, taken = np.full((len(seen), 10), -1), np.zeros((len(seen), 10), bool), np.zeros((10, len(boxes)), bool)
    for k in np.intersect1d(box_class, found_class):
        g, d = np.flatnonzero(box_class == k), np.flatnonzero(found_class == k)
        one = match_image(boxes[g], skip[g], seen[d])
        box[d], ignored[d], taken[:, g] = np.where(one.true, g[one.box], -1), one.ignored, one.taken
    return ImageMatch(box, ignored, taken)


def _class_average_precision(one: ClassMatches, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    total = int(one.truths @ weights)
    if total == 0:
        return np.full(one.true.shape[1], np.nan)
    weight = weights[one.image][:, None] * ~one.ignored
    return interpolated_precision(np.cumsum(weight * one.true, axis=0), np.cumsum(weight, axis=0), total)
