"""Boxes that are likely overlooked, badly located or of the wrong class, by a detector that was not trained on their images.

ObjectLab: Tkachenko, Thyagarajan and Mueller, 2023, https://arxiv.org/abs/2309.00832, as cleanlab has it. It takes
confidences for probabilities, which a detector's are not; so they are first calibrated on the same images.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from cleanlab.object_detection import rank as objectlab
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from components.data.boxes import SAME_BOX, Corners, iou
from components.data.formats.listing import CORNERS

LIKELY = 0.5  # probability above which a detection speaks about where a box lies
SURE = 0.8  # probability above which it speaks about a box that is missing or of another class
DOUBT = 0.5  # boxes with a lower score are named
NEAR = 0.2  # IoU from which a detection may mean a badly located box
_TINY = 1e-100

Kind = Literal["overlooked", "badly located", "wrong class"]


@dataclass(frozen=True)
class BoxSuspect:
    """A box in doubt. `box` and `label` are as labelled (None: overlooked), `found` and `likely` as detected.

    `image_score` says how much the image's labels are believed as a whole, `score` how much this box is, both 0..1;
    `probability` is the detection's, calibrated.
    """

    image_id: str
    image_score: float
    kind: Kind
    score: float
    box: Corners | None
    label: str | None
    found: Corners
    likely: str
    probability: float


@dataclass(frozen=True)
class _Image:
    """One image's boxes and the detections that are LIKELY, those in the order of classes; size is width, height in pixels."""

    image_id: str
    boxes: pd.DataFrame
    found: pd.DataFrame
    size: tuple[int, int]


def rank(truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: Sequence[str]) -> list[BoxSuspect]:
    """The boxes in doubt, those of the least believed image first.

    `truth` has image_id, label, x_min .. y_max (0..1), is_crowd, is_difficult; `predictions` likewise with confidence;
    `images` image_id, width and height in pixels. Crowds and difficult boxes are not doubted.
    """
    if images.empty or predictions.empty:
        return []
    predictions = predictions.assign(probability=calibrated(truth, predictions))
    likely = predictions[predictions["probability"] > LIKELY]
    shown = [_image(row, truth, likely, classes) for row in images.drop_duplicates("image_id").itertuples(index=False)]
    labels, guesses = [_labelled(one, classes) for one in shown], [_detected(one, classes) for one in shown]
    overlooked = objectlab.compute_overlooked_box_scores(labels=labels, predictions=guesses, high_probability_threshold=SURE)
    located = objectlab.compute_badloc_box_scores(labels=labels, predictions=guesses, low_probability_threshold=LIKELY)
    swapped = objectlab.compute_swap_box_scores(
        labels=labels, predictions=guesses, high_probability_threshold=SURE, overlapping_label_check=False
    )
    pooled = np.array([objectlab.pool_box_scores_per_image(scores) for scores in (overlooked, located, swapped)])
    believed = np.exp(np.log(np.maximum(pooled, _TINY)).mean(axis=0))
    found = []
    for number in np.argsort(believed, kind="stable"):
        kinds = (
            _overlooked(shown[number], overlooked[number]),
            _mended(shown[number], located[number], "badly located"),
            _mended(shown[number], swapped[number], "wrong class"),
        )
        own = [replace(one, image_score=float(believed[number])) for suspects in kinds for one in suspects]
        found += sorted(own, key=lambda one: one.score)
    return found


def _overlooked(image: _Image, scores: NDArray[np.float64]) -> Iterator[BoxSuspect]:
    for number, score in enumerate(scores):
        if score < DOUBT:  # never so for NaN, which stands for a detection that is not sure, or lies on a box
            yield _suspect(image, "overlooked", float(score), None, number)


def _mended(image: _Image, scores: NDArray[np.float64], kind: Kind) -> Iterator[BoxSuspect]:
    """The doubted boxes for which a detection says what would be right: one nearer to them than to any other box."""
    overlap = iou(_corners(image.boxes), _corners(image.found))
    same = image.boxes["label"].to_numpy()[:, None] == image.found["label"].to_numpy()[None]
    least, wanted = (NEAR, same) if kind == "badly located" else (SAME_BOX, ~same)
    speaks = wanted & (overlap >= least) & (overlap == overlap.max(axis=0, initial=0))
    doubted = (scores < DOUBT) & ~image.boxes["is_crowd"].to_numpy(bool) & ~image.boxes["is_difficult"].to_numpy(bool)
    for number in np.flatnonzero(doubted & speaks.any(axis=1)):
        yield _suspect(image, kind, float(scores[number]), int(number), int(np.where(speaks[number], overlap[number], 0).argmax()))


def _suspect(image: _Image, kind: Kind, score: float, box: int | None, detection: int) -> BoxSuspect:
    corners, label = None, None
    if box is not None:
        corners, label = _row(image.boxes, box), str(image.boxes["label"].iloc[box])
    found = image.found.iloc[detection]
    probability = float(found["probability"])
    return BoxSuspect(image.image_id, 1.0, kind, score, corners, label, _row(image.found, detection), str(found["label"]), probability)


def calibrated(truth: pd.DataFrame, predictions: pd.DataFrame) -> NDArray[np.float64]:
    """How often detections of each one's confidence find a box of their class (IoU at least SAME_BOX): isotonic, 0..1."""
    hits = np.zeros(len(predictions))
    places = predictions.groupby(["image_id", "label"], sort=False).indices
    boxes = truth.groupby(["image_id", "label"], sort=False).indices
    for key, rows in places.items():
        if key in boxes:
            overlap = iou(_corners(predictions)[rows], _corners(truth)[boxes[key]])
            hits[rows] = overlap.max(axis=1) >= SAME_BOX
    curve = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    return np.asarray(curve.fit_transform(predictions["confidence"].to_numpy(float), hits), np.float64)


def _image(row: Any, truth: pd.DataFrame, likely: pd.DataFrame, classes: Sequence[str]) -> _Image:
    boxes = truth[truth["image_id"] == row.image_id].reset_index(drop=True)
    found = likely[likely["image_id"] == row.image_id]
    order = np.argsort([classes.index(label) for label in found["label"]], kind="stable")
    return _Image(str(row.image_id), boxes, found.iloc[order].reset_index(drop=True), (int(row.width), int(row.height)))


def _corners(table: pd.DataFrame) -> NDArray[np.float64]:
    return table[list(CORNERS)].to_numpy(np.float64)


def _row(table: pd.DataFrame, number: int) -> Corners:
    x0, y0, x1, y1 = _corners(table)[number].tolist()
    return x0, y0, x1, y1


def _labelled(image: _Image, classes: Sequence[str]) -> dict[str, Any]:
    """As cleanlab wants labels: corners (L, 4) in pixels, on which its distances depend, and class numbers (L,)."""
    corners = _corners(image.boxes) * np.tile(image.size, 2)
    return {"bboxes": corners, "labels": np.array([classes.index(label) for label in image.boxes["label"]], int)}


def _detected(image: _Image, classes: Sequence[str]) -> NDArray[Any]:
    """As cleanlab wants predictions: an array of arrays (M, 5), one a class, of corners in pixels and probability."""
    rows = np.column_stack([_corners(image.found) * np.tile(image.size, 2), image.found["probability"].to_numpy(float)])
    guesses = np.empty(len(classes), dtype=object)
    for number, name in enumerate(classes):
        guesses[number] = rows[(image.found["label"] == name).to_numpy()]
    return guesses
