"""From which confidence a box counts: one operating point a class, chosen on validation, and how well a detector does there.

Everything that shows, counts or serves boxes keeps those of `above`, so that all speak of the same detector.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.detection_matches import Matches, Scene

UNMEASURED = 0.25  # confidence from which a box counts where no evaluation chose one
FEWEST_BOXES = 10  # of a class on validation, for an operating point of its own: from fewer it would be a guess
DECIMALS = 10_000


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision, recall (D,) in 0..1 when every detection of at least `confidence` (D,) is kept, at one IoU threshold."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    confidence: NDArray[np.float64]

    @property
    def f1(self) -> NDArray[np.float64]:
        """Their harmonic mean (D,), 0 where both are 0."""
        total = self.precision + self.recall
        return np.divide(2 * self.precision * self.recall, total, out=np.zeros_like(total), where=total > 0)


class Tally(NamedTuple):
    """Boxes found, false detections and boxes missed, at IoU 0.5; the shares are nan where nothing is counted."""

    found: int
    false: int
    missed: int

    @property
    def precision(self) -> float:
        """Share of the detections that found a box."""
        return _share(self.found, self.found + self.false)

    @property
    def recall(self) -> float:
        """Share of the boxes that were found."""
        return _share(self.found, self.found + self.missed)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.found, 2 * self.found + self.false + self.missed)


class Outcome(NamedTuple):
    """One image at the operating points and IoU 0.5: detections true and false (D,), boxes missed (G,)."""

    true: NDArray[np.bool_]
    false: NDArray[np.bool_]
    missed: NDArray[np.bool_]


def precision_recall(found: Matches, label: str, threshold: int = 0) -> PrecisionRecall:
    """The curve of one class at `IOU_THRESHOLDS[threshold]`, by falling confidence; recall is 0 where there is no box."""
    one = found.classes[label]
    counted = ~one.ignored[:, threshold]
    return _curve(one.true[counted, threshold], one.confidence[counted], int(one.truths.sum()))


def pooled(found: Matches, threshold: int = 0) -> PrecisionRecall:
    """The curve of all classes' detections together, each still to be of the right class."""
    every = found.classes.values()
    counted = [~one.ignored[:, threshold] for one in every]
    true = np.concatenate([one.true[keep, threshold] for one, keep in zip(every, counted, strict=True)])
    confidence = np.concatenate([one.confidence[keep] for one, keep in zip(every, counted, strict=True)])
    order = np.argsort(-confidence, kind="stable")
    return _curve(true[order], confidence[order], sum(int(one.truths.sum()) for one in every))


def best_f1(curve: PrecisionRecall) -> tuple[float, float]:
    """The confidence from which keeping gives the highest F1, and that F1; (1, 0) when nothing was found."""
    if not len(curve.confidence):
        return 1.0, 0.0
    best = int(np.argmax(curve.f1))
    return float(curve.confidence[best]), float(curve.f1[best])


def operating_points(found: Matches) -> dict[str, float]:
    """For each class the confidence of its best F1 at IoU 0.5; `found` are the matches of validation images.

    A class of fewer than FEWEST_BOXES boxes, or of which none was found, takes the best of all classes together, and
    UNMEASURED when nothing at all was found. Rounded down to four decimals, so that the detection it was chosen by counts.
    """
    common = _best_or(pooled(found), UNMEASURED)
    return {
        label: _best_or(precision_recall(found, label), common) if one.truths.sum() >= FEWEST_BOXES else common
        for label, one in found.classes.items()
    }


def above(predictions: pd.DataFrame, points: Mapping[str, float]) -> pd.DataFrame:
    """The predictions (label, confidence) that reach their class's operating point, UNMEASURED for a class without one."""
    least = predictions["label"].map(dict(points)).astype(float).fillna(UNMEASURED)
    return predictions[predictions["confidence"] >= least]


def outcome(scene: Scene, classes: list[str], points: Mapping[str, float]) -> Outcome:
    """What is right and wrong of one image when the detections below their operating point are left out.

    They come after the kept ones, so the match of the kept ones is the same as without them.
    """
    least = np.array([points.get(label, UNMEASURED) for label in classes])
    kept = scene.confidence >= least[scene.found_class]
    true = kept & scene.match.true[:, 0]
    missed = ~scene.skip
    missed[scene.match.box[true, 0]] = False
    return Outcome(true, kept & ~true & ~scene.match.ignored[:, 0], missed)


def tallies(found: list[Scene], classes: list[str], points: Mapping[str, float]) -> dict[str, Tally]:
    """How each class does at the operating points."""
    counts = np.zeros((len(classes), 3), np.int64)
    for scene in found:
        sides = outcome(scene, classes, points)
        of_class = scene.found_class[sides.true], scene.found_class[sides.false], scene.box_class[sides.missed]
        counts += np.stack([np.bincount(numbers, minlength=len(classes)) for numbers in of_class], axis=1)
    return {label: Tally(*row) for label, row in zip(classes, counts.tolist(), strict=True)}


def total(tally: Mapping[str, Tally]) -> Tally:
    """All classes together."""
    return Tally(*(sum(column) for column in zip(*tally.values(), strict=True)))


def _curve(true: NDArray[np.bool_], confidence: NDArray[np.float64], boxes: int) -> PrecisionRecall:
    last = np.flatnonzero(np.append(np.diff(confidence) != 0, True))[: len(confidence)]  # equal confidences are kept together
    hits = np.cumsum(true)[last]
    return PrecisionRecall(hits / (last + 1), hits / max(boxes, 1), confidence[last])


def _best_or(curve: PrecisionRecall, otherwise: float) -> float:
    confidence, f1 = best_f1(curve)
    return math.floor(confidence * DECIMALS) / DECIMALS if f1 > 0 else otherwise


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
