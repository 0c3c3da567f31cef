"""Average precision of many resamples of the test images at once: `average_precision` of detection_matches, in one go."""

import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_matches import RECALLS, ClassMatches, Matches

AT_ONCE = 2_000_000  # counts in memory


def mean_average_precision(found: Matches, weights: NDArray[np.float64], thresholds: slice) -> NDArray[np.float64]:
    """COCO's mean average precision (R,) over classes with boxes and the IoU thresholds chosen; NaN where no class has one.

    weights (R, I): how many times each image counts in each of R resamples, whole numbers in the order of `found.image_ids`.
    """
    most = max(1, AT_ONCE // max([len(one.image) for one in found.classes.values()] + [1]))
    return np.concatenate([_some(found, weights[start : start + most], thresholds) for start in range(0, len(weights), most)])


def _some(found: Matches, weights: NDArray[np.float64], thresholds: slice) -> NDArray[np.float64]:
    values = np.concatenate([_of_class(one, weights, thresholds) for one in found.classes.values()])
    defined = np.isfinite(values)
    total = np.where(defined, values, 0.0).sum(axis=0)
    return np.divide(total, defined.sum(axis=0), out=np.full(len(weights), np.nan), where=defined.any(axis=0))


def _of_class(one: ClassMatches, weights: NDArray[np.float64], thresholds: slice) -> NDArray[np.float64]:
    """(thresholds, R)."""
    total = weights @ one.truths
    drawn = weights[:, one.image]
    columns = range(one.true.shape[1])[thresholds]
    values = np.stack([_interpolated(drawn, one.true[:, t], one.ignored[:, t], total) for t in columns])
    values[:, total == 0] = np.nan
    return values


def _interpolated(
    drawn: NDArray[np.float64], true: NDArray[np.bool_], ignored: NDArray[np.bool_], total: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The 101-point mean (R,) of detections by falling confidence, drawn (R, D) times each.

    Precision is highest where a box was found, so only there the curve is looked at; a recall point belongs to the first
    place that reaches it.
    """
    places = np.flatnonzero(true[~ignored])
    if not len(places):
        return np.zeros(len(drawn))
    seen = np.cumsum(drawn[:, ~ignored], axis=1)[:, places]
    hits = np.cumsum(drawn[:, true & ~ignored], axis=1)
    envelope = np.maximum.accumulate((hits / (seen + np.spacing(1)))[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, hits / np.maximum(total, 1)[:, None], side="right")
    return np.asarray((envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS))
