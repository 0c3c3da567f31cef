"""Which detections found a box, image by image, so that average precision can be had quickly on resampled images.

COCO's greedy matching and 101-point average precision (https://cocodataset.org/#detection-eval), written so that an
image can count several times or not at all: with every weight 1 the result equals COCO's.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.detection import is_ignored, pixel_boxes, refuse_unknown

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
MAX_DETECTIONS = 100
NO_ROWS = np.zeros(0, np.int64)


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


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision, recall (D,) in 0..1 when every detection of at least `confidence` (D,) is kept, at one IoU threshold."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    confidence: NDArray[np.float64]


def matches(truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> Matches:
    """Match detections to boxes as COCO does, at most 100 an image and class; the frames are those of `coco_metrics`.

    Raises ValueError for a label that is not in `classes`.
    """
    refuse_unknown(truth, predictions, classes)
    image_ids = list(dict.fromkeys(images["image_id"]))
    known = set(image_ids)
    keep_truth, keep_found = truth["image_id"].isin(known).to_numpy(), predictions["image_id"].isin(known).to_numpy()
    truth, rows = truth[keep_truth], np.flatnonzero(keep_found)
    found = predictions[keep_found]
    sides = _Side(truth, pixel_boxes(truth, images)), _Side(found, pixel_boxes(found, images))
    return Matches(image_ids, {label: _class_matches(label, image_ids, sides, rows) for label in classes})


def average_precision(found: Matches, weights: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """COCO's average precision (C, 10), one row a class and one column an IoU threshold; nan for classes without boxes.

    weights (I,): how many times each image counts, in the order of `found.image_ids`; all once by default.
    `np.nanmean` of all is COCO's AP, of the first column AP50.
    """
    weights = np.ones(len(found.image_ids), np.int64) if weights is None else weights
    return np.stack([_class_average_precision(one, weights) for one in found.classes.values()])


def precision_recall(found: Matches, label: str, threshold: int = 0) -> PrecisionRecall:
    """The curve of one class at `IOU_THRESHOLDS[threshold]`, by falling confidence; recall is 0 where there is no box."""
    one = found.classes[label]
    counted = ~one.ignored[:, threshold]
    true, confidence = one.true[counted, threshold], one.confidence[counted]
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True))[: len(confidence)]  # equal confidences are kept together
    hits = np.cumsum(true)[last]
    return PrecisionRecall(hits / (last + 1), hits / max(one.truths.sum(), 1), confidence[last])


def best_f1(curve: PrecisionRecall) -> tuple[float, float]:
    """The confidence from which keeping gives the highest F1, and that F1; (1, 0) when nothing was found."""
    if not len(curve.confidence):
        return 1.0, 0.0
    total = curve.precision + curve.recall
    f1 = np.divide(2 * curve.precision * curve.recall, total, out=np.zeros_like(total), where=total > 0)
    best = int(np.argmax(f1))
    return float(curve.confidence[best]), float(f1[best])


class ImageMatch(NamedTuple):
    """One image's outcome at each of IOU_THRESHOLDS: detections true and ignored (D, 10), boxes taken (10, G)."""

    true: NDArray[np.bool_]
    ignored: NDArray[np.bool_]
    taken: NDArray[np.bool_]


class _Side:
    """Rows of truth or predictions with their pixel boxes, looked up by class and image."""

    def __init__(self, rows: pd.DataFrame, boxes: NDArray[np.float64]) -> None:
        self.boxes = boxes
        self.ignored = is_ignored(rows)
        self.scores = rows["confidence"].to_numpy(np.float64) if "confidence" in rows else np.zeros(len(rows))
        self.places: dict[Any, Any] = rows.groupby(["label", "image_id"], sort=False).indices

    def of(self, label: str, image_id: str) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.places.get((label, image_id), NO_ROWS)
        return found


def _class_matches(label: str, image_ids: list[str], sides: tuple[_Side, _Side], rows: NDArray[np.int64]) -> ClassMatches:
    truth, found = sides
    places, true, ignored, image = [NO_ROWS], [np.zeros((0, 10), bool)], [np.zeros((0, 10), bool)], [NO_ROWS]
    truths = np.zeros(len(image_ids), np.int64)
    for index, image_id in enumerate(image_ids):
        boxes, own = truth.of(label, image_id), found.of(label, image_id)
        own = own[np.argsort(-found.scores[own], kind="stable")][:MAX_DETECTIONS]
        skip = truth.ignored[boxes]
        truths[index] = np.count_nonzero(~skip)
        outcome = match_image(truth.boxes[boxes], skip, found.boxes[own])
        places.append(own)
        true.append(outcome.true)
        ignored.append(outcome.ignored)
        image.append(np.full(len(own), index))
    place = np.concatenate(places)
    order = np.argsort(-found.scores[place], kind="stable")
    place = place[order]
    return ClassMatches(
        np.concatenate(image)[order], found.scores[place], rows[place], np.concatenate(true)[order], np.concatenate(ignored)[order], truths
    )


def match_image(truth: NDArray[np.float64], skip: NDArray[np.bool_], found: NDArray[np.float64]) -> ImageMatch:
    """Match one image's detections, best first, each to the free box it overlaps most, at every IoU threshold.

    truth (G, 4) and found (D, 4) are x, y, width, height in pixels; skip (G,) marks boxes to be ignored, which may be
    matched any number of times.
    """
    true, ignored, taken = (np.zeros(shape, bool) for shape in ((len(found), 10), (len(found), 10), (10, len(truth))))
    wanted, overlap = np.flatnonzero(~skip), _overlaps(found, truth, skip)
    least = np.minimum(IOU_THRESHOLDS, 1 - 1e-10)
    for row, iou in enumerate(overlap):
        if len(wanted):
            candidates = np.where(taken[:, wanted], -1.0, iou[wanted])
            best = len(wanted) - 1 - np.argmax(candidates[:, ::-1], axis=1)  # the last of equals, as COCO
            hit = candidates[np.arange(10), best] >= least
            true[row] = hit
            taken[hit, wanted[best[hit]]] = True
        if skip.any():
            ignored[row] = ~true[row] & (iou[skip].max() >= least)
    return ImageMatch(true, ignored, taken)


def _overlaps(found: NDArray[np.float64], truth: NDArray[np.float64], skip: NDArray[np.bool_]) -> NDArray[np.float64]:
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


def _class_average_precision(one: ClassMatches, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    total = int(one.truths @ weights)
    if total == 0:
        return np.full(len(IOU_THRESHOLDS), np.nan)
    if not len(one.image):
        return np.zeros(len(IOU_THRESHOLDS))
    weight = weights[one.image][:, None] * ~one.ignored
    hits = np.cumsum(weight * one.true, axis=0)
    seen = np.cumsum(weight, axis=0)
    recall = hits / total
    precision = hits / (seen + np.spacing(1))
    envelope = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    padded = np.vstack([envelope, np.zeros(len(IOU_THRESHOLDS))])
    places = [np.searchsorted(recall[:, column], RECALLS) for column in range(len(IOU_THRESHOLDS))]
    return np.array([padded[place, column].mean() for column, place in enumerate(places)])
