"""What keeps a detector from a better average precision: TIDE (Bolya et al. 2020, https://arxiv.org/abs/2008.08115).

Every false detection and every missed box gets one cause, and every cause its price: how much AP50 would rise if only
that cause were mended. Prices do not add up to what is missing, for precision and recall depend on each other.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_matches import Scene, interpolated_precision, overlaps

FOREGROUND, BACKGROUND = 0.5, 0.1  # IoU from which a box is found, and up to which a detection has nothing to do with it
KINDS = ("classification", "localisation", "both", "duplicate", "background", "missed")
CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, NO_BOX, MISSED = range(len(KINDS))
NO_ERROR = -1


class Cause(NamedTuple):
    """How many errors have this cause, and how much higher AP50 (0..1) would be without them; nan without any box."""

    errors: int
    dap50: float


class _Judged(NamedTuple):
    """Detections that count, with what is wrong with them: all (D,).

    `kind` is an index of KINDS or NO_ERROR; `goal` the class after mending; `saved`: mended, it finds a box that nothing
    found before. `lost` (G,) are the classes of the boxes that no mended detection would find.
    """

    number: NDArray[np.int64]
    confidence: NDArray[np.float64]
    kind: NDArray[np.int64]
    goal: NDArray[np.int64]
    saved: NDArray[np.bool_]
    lost: NDArray[np.int64]


def decompose(found: list[Scene], classes: list[str]) -> dict[str, Cause]:
    """KINDS -> Cause, at IoU 0.5.

    classification: on a box of another class. localisation: on a box of its class, with an IoU of 0.1 to 0.5. both: of
    another class and ill placed. duplicate: on a box that a surer one has found. background: on no box. missed: a box
    that nothing found, not even a detection with one of the first two errors. Mending turns the surest detection of the
    first two kinds into a hit if its box is still to be found; all other false detections of a kind are taken away, and
    missed boxes are no longer to be found. A class of which then nothing is to be found has AP 1.
    """
    judged = _together([_judge(scene) for scene in found])
    boxes = sum((np.bincount(s.box_class[~s.skip], minlength=len(classes)) for s in found), np.zeros(len(classes), np.int64))
    now = _ap50(judged.number, judged.confidence, judged.kind == NO_ERROR, boxes, boxes)
    counts = [int(np.count_nonzero(judged.kind == kind)) for kind in range(MISSED)]
    rises = [max(_mended(judged, kind, boxes) - now, 0.0) if boxes.any() else np.nan for kind in range(len(KINDS))]
    return {name: Cause(count, float(rise)) for name, count, rise in zip(KINDS, [*counts, len(judged.lost)], rises, strict=True)}


def _judge(scene: Scene) -> _Judged:
    """One image. A box of no overlap and no class stands last, so that there always is one to point at."""
    real = np.flatnonzero(~scene.skip)
    iou = np.pad(overlaps(scene.found, scene.boxes[real], scene.skip[real]), ((0, 0), (0, 1)))
    box_class, taken = np.append(scene.box_class[real], -1), np.append(scene.match.taken[0, real], True)
    same_class = scene.found_class[:, None] == box_class
    same, other = np.where(same_class, iou, 0.0), np.where(same_class, 0.0, iou)
    nearest, strange = same.max(axis=1), other.max(axis=1)
    causes = {
        NO_ERROR: scene.match.true[:, 0],
        LOCALISATION: (nearest >= BACKGROUND) & (nearest < FOREGROUND),
        CLASSIFICATION: strange >= FOREGROUND,
        DUPLICATE: nearest >= FOREGROUND,
        NO_BOX: iou.max(axis=1) <= BACKGROUND,
    }
    kind = np.select(list(causes.values()), list(causes), BOTH)
    target = np.where(kind == LOCALISATION, same.argmax(axis=1), other.argmax(axis=1))
    counted = scene.match.true[:, 0] | ~scene.match.ignored[:, 0]
    may = np.flatnonzero(counted & np.isin(kind, (CLASSIFICATION, LOCALISATION)) & ~taken[target])
    reached, first = np.unique(target[may], return_index=True)  # detections are sorted: the first is the surest
    saved = np.zeros(len(kind), bool)
    saved[may[first]] = True
    goal = np.where(saved, box_class[target], scene.found_class)
    lost = box_class[np.setdiff1d(np.flatnonzero(~taken), reached)]
    return _Judged(scene.found_class[counted], scene.confidence[counted], kind[counted], goal[counted], saved[counted], lost)


def _together(parts: list[_Judged]) -> _Judged:
    nothing = np.zeros(0, np.int64)
    none = _Judged(nothing, np.zeros(0), nothing, nothing, np.zeros(0, bool), nothing)
    return _Judged(*(np.concatenate(columns) for columns in zip(none, *parts, strict=True)))


def _mended(judged: _Judged, kind: int, boxes: NDArray[np.int64]) -> float:
    """AP50 without the errors of one kind."""
    wrong = judged.kind == kind
    stay = ~wrong | judged.saved
    true = (judged.kind == NO_ERROR) | wrong
    left = boxes - np.bincount(judged.lost, minlength=len(boxes)) if kind == MISSED else boxes
    return _ap50(np.where(wrong, judged.goal, judged.number)[stay], judged.confidence[stay], true[stay], left, boxes)


def _ap50(
    number: NDArray[np.int64], confidence: NDArray[np.float64], true: NDArray[np.bool_], left: NDArray[np.int64], boxes: NDArray[np.int64]
) -> float:
    """Mean over the classes that have boxes; `left` (C,) of them are to be found."""
    if not boxes.any():
        return float("nan")
    order = np.argsort(-confidence, kind="stable")
    number, true = number[order], true[order]
    values = []
    for k in np.flatnonzero(boxes):
        hits = np.cumsum(true[number == k])[:, None]
        seen = np.arange(1, len(hits) + 1)[:, None]
        values.append(float(interpolated_precision(hits, seen, int(left[k]))[0]) if left[k] else 1.0)
    return float(np.mean(values))
