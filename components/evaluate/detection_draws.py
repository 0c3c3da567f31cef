"""Average precision of many resampled test sets at once: what an interval of it is made of."""

import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_matches import RECALLS, ClassMatches, Matches

Values = NDArray[np.float64]
WORK = 20_000_000  # detections that all rounds together go through
FEWEST_ROUNDS = 100
CELLS = 4_000_000  # of rounds times detections held at once


def average_precisions(found: Matches, weights: Values, thresholds: slice = slice(None)) -> Values:
    """`average_precision` for each row of weights (R, I), how many times each image counts: (R, C, T), nan without boxes.

    Weights are whole numbers, in the order of `found.image_ids`; `thresholds` picks T of the IoU thresholds.
    """
    answers = [_blocks(one, weights, thresholds) for one in found.classes.values()]
    return np.stack(answers, axis=1) if answers else np.empty((len(weights), 0, 0))


def mean_average_precision(found: Matches, weights: Values, thresholds: slice = slice(None)) -> Values:
    """COCO's mean average precision (R,) over classes with boxes and the IoU thresholds picked; nan where no class has one."""
    return mean_of_known(average_precisions(found, weights, thresholds))


def mean_of_known(values: Values) -> Values:
    """The mean (R,) of what is a number in each row of (R, ...); nan where nothing is."""
    rows = values.reshape(len(values), -1)
    known = np.isfinite(rows)
    count = known.sum(axis=1)
    return np.divide(np.where(known, rows, 0.0).sum(axis=1), count, out=np.full(len(rows), np.nan), where=count > 0)


def rounds_for(rounds: int, *found: Matches) -> int:
    """How many rounds are drawn: all of them, or as many as WORK allows, FEWEST_ROUNDS at least."""
    detections = sum(len(one.confidence) for matched in found for one in matched.classes.values())
    return min(rounds, max(FEWEST_ROUNDS, WORK // max(detections, 1)))


def _blocks(one: ClassMatches, weights: Values, thresholds: slice) -> Values:
    """(R, T) of one class, some rows at a time."""
    block = max(1, CELLS // max(len(one.image), 1))
    return np.concatenate([_of_class(one, weights[start : start + block], thresholds) for start in range(0, len(weights), block)])


def _of_class(one: ClassMatches, weights: Values, thresholds: slice) -> Values:
    total = weights @ one.truths.astype(np.float64)
    some = total > 0
    counted, true, kept = weights[some][:, one.image], one.true[:, thresholds], ~one.ignored[:, thresholds]
    answers = np.full((len(weights), true.shape[1]), np.nan)
    for column in range(true.shape[1]):
        own = kept[:, column]
        answers[some, column] = _interpolated(counted[:, own], true[own, column], total[some])
    return answers


def _interpolated(counted: Values, true: NDArray[np.bool_], total: Values) -> Values:
    """COCO's 101-point average precision (R,) of detections by falling confidence, counted (R, D) times each.

    Precision is highest where a box was found, so only there the curve is looked at; a recall point belongs to the first
    place that reaches it.
    """
    seen, hits = np.cumsum(counted, axis=1)[:, true], np.cumsum(counted[:, true], axis=1)
    envelope = np.maximum.accumulate((hits / (seen + np.spacing(1)))[:, ::-1], axis=1)[:, ::-1]
    reached = np.searchsorted(RECALLS, hits / total[:, None], side="right")
    return np.asarray((envelope * np.diff(reached, axis=1, prepend=0)).sum(axis=1) / len(RECALLS))
