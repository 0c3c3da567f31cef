"""Average precision of many resampled test sets at once: what an interval of it is made of."""

import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_matches import RECALLS, ClassMatches, Matches

Values = NDArray[np.float64]
WORK = 20_000_000  # detections that all rounds together go through
FEWEST_ROUNDS = 100
CELLS = 4_000_000  # of rounds times detections held at once


def average_precisions(found: Matches, weights: Values) -> Values:
    """`average_precision` for each row of weights (R, I), how many times each image counts: (R, C, T), nan without boxes."""
    thresholds = next((one.true.shape[1] for one in found.classes.values()), 0)
    answers = np.empty((len(weights), len(found.classes), thresholds))
    for k, one in enumerate(found.classes.values()):
        block = max(1, CELLS // max(len(one.image), 1))
        for start in range(0, len(weights), block):
            answers[start : start + block, k] = _of_class(one, weights[start : start + block])
    return answers


def mean_of_known(values: Values) -> Values:
    """The mean (R,) of what is a number in each row of (R, ...); nan where nothing is."""
    rows = values.reshape(len(values), -1)
    known = np.isfinite(rows)
    count = known.sum(axis=1)
    return np.divide(np.where(known, rows, 0.0).sum(axis=1), count, out=np.full(len(rows), np.nan), where=count > 0)


def rounds_for(found: Matches, rounds: int) -> int:
    """How many rounds are drawn: all of them, or as many as WORK allows, FEWEST_ROUNDS at least."""
    detections = sum(len(one.confidence) for one in found.classes.values())
    return min(rounds, max(FEWEST_ROUNDS, WORK // max(detections, 1)))


def _of_class(one: ClassMatches, weights: Values) -> Values:
    total = weights @ one.truths.astype(np.float64)
    counted = weights[:, one.image]
    answers = np.full((len(weights), one.true.shape[1]), np.nan)
    some = total > 0
    for threshold in range(one.true.shape[1]):
        kept = ~one.ignored[:, threshold]
        answers[some, threshold] = _interpolated(counted[some][:, kept], one.true[kept, threshold], total[some])
    return answers


def _interpolated(counted: Values, true: NDArray[np.bool_], total: Values) -> Values:
    """COCO's 101-point average precision (R,) of detections by falling confidence, counted (R, D) times each."""
    hits = np.cumsum(counted * true, axis=1)
    precision = hits / (np.cumsum(counted, axis=1) + np.spacing(1))
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(envelope, ((0, 0), (0, 1)))
    # The fewest hits that make each recall, compared as the single draw compares them; whole numbers, which lifting leaves exact.
    wanted = np.floor(RECALLS * total[:, None]) - 1
    for _ in range(3):
        wanted += wanted / total[:, None] < RECALLS
    # All rows in one search: each is lifted above the one before it.
    lift = (total.max(initial=0) + 1) * np.arange(len(counted))[:, None]
    places = np.searchsorted((hits + lift).ravel(), (wanted + lift).ravel()).reshape(len(counted), len(RECALLS))
    places = places - hits.shape[1] * np.arange(len(counted))[:, None]
    return np.asarray(np.take_along_axis(padded, places, axis=1).mean(axis=1))
