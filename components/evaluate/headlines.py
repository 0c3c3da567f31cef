"""The intervals of a model's headline numbers, name by name as in its metrics."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from components.evaluate.classification import Indices, Probabilities, bins_of
from components.evaluate.detection_draws import average_precisions, mean_of_known, rounds_for
from components.evaluate.detection_matches import Matches, Scene, gather
from components.evaluate.detection_points import outcome
from components.evaluate.intervals import Values, bootstrap, share, sums

Intervals = dict[str, tuple[float, float]]


def class_intervals(
    truth: Indices, probabilities: Probabilities, settings: tuple[int, int], groups: NDArray[np.generic], rounds: int, seed: int
) -> Intervals:
    """95 % intervals of accuracy, top-k accuracy, macro F1, log loss and ECE, as `class_metrics` defines them.

    truth (N,), probabilities (N, C), groups (N,); settings: k of top-k, and the bins of the calibration error.
    """
    top_k, bins = settings
    classes, rows = probabilities.shape[1], np.arange(len(truth))
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    correct = predicted == truth
    own = probabilities[rows, truth]
    among = (probabilities > own[:, None]).sum(axis=1) < top_k
    per_image = np.stack([correct, among, -np.log(np.clip(own, 1e-12, 1.0))], axis=1).astype(np.float64)
    gap, which = correct - confidence.astype(np.float64), bins_of(confidence, bins)

    def statistics(weights: Values) -> Values:
        count = weights.sum(axis=1)
        means = weights @ per_image / count[:, None]
        occurring = sums(weights, truth, classes) + sums(weights, predicted, classes)
        hits = sums(weights[:, correct], truth[correct], classes)
        f1 = np.divide(2 * hits, occurring, out=np.zeros_like(hits), where=occurring > 0).sum(axis=1) / (occurring > 0).sum(axis=1)
        ece = np.abs(sums(weights * gap, which, bins)).sum(axis=1) / count
        return np.column_stack([means[:, :2], f1, means[:, 2], ece])

    names = ("accuracy", f"top{top_k}_accuracy", "macro_f1", "log_loss", "ece")
    return _named(names, bootstrap(statistics, groups, rounds, seed))


def box_intervals(
    found: list[Scene], classes: list[str], points: Mapping[str, float], groups: NDArray[np.generic], rounds: int, seed: int
) -> Intervals:
    """95 % intervals of map, map50, map75, ar100, and of precision, recall and f1 at the operating points; groups (I,).

    Average precision is worked out anew in each round: in at most `rounds` of them, and fewer for many detections.
    """
    matched = gather(found, classes)
    counts = counts_at(found, classes, points)
    hits, boxes = _hits(matched)

    def shares(weights: Values) -> Values:
        true, false, missed = (weights @ counts).T
        found_boxes = (weights @ hits.reshape(len(hits), -1)).reshape(len(weights), *hits.shape[1:])
        recalls = share(found_boxes, (weights @ boxes)[:, :, None])
        ar = mean_of_known(recalls)
        ratios = share(true, true + false), share(true, true + missed), share(2 * true, 2 * true + false + missed)
        return np.column_stack([*ratios, ar])

    def precisions(weights: Values) -> Values:
        tables = average_precisions(matched, weights)
        return np.column_stack([mean_of_known(tables), mean_of_known(tables[:, :, 0]), mean_of_known(tables[:, :, 5])])

    fewer = rounds_for(rounds, matched)
    return {
        **_named(("map", "map50", "map75"), bootstrap(precisions, groups, fewer, seed)),
        **_named(("precision", "recall", "f1", "ar100"), bootstrap(shares, groups, rounds, seed)),
    }


def counts_at(found: list[Scene], classes: list[str], points: Mapping[str, float]) -> NDArray[np.float64]:
    """(I, 3): boxes found, false detections and boxes missed in each image, at the operating points and IoU 0.5."""
    rows = [[np.count_nonzero(sides) for sides in outcome(scene, classes, points)] for scene in found]
    return np.array(rows, np.float64).reshape(-1, 3)


def _hits(found: Matches) -> tuple[Values, Values]:
    """Boxes found (I, C, 10) at each IoU threshold, and to be found (I, C)."""
    hits = np.zeros((len(found.image_ids), len(found.classes), 10))
    for k, one in enumerate(found.classes.values()):
        np.add.at(hits[:, k], one.image, one.true)
    boxes = [one.truths for one in found.classes.values()]
    return hits, np.array(boxes, np.float64).reshape(len(found.classes), len(found.image_ids)).T


def _named(names: tuple[str, ...], limits: Values) -> Intervals:
    return {name: (float(low), float(high)) for name, (low, high) in zip(names, limits.T, strict=True)}
