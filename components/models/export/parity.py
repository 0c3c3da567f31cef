"""Whether an exported model answers what the model answers that it was made of, and how long each takes."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from components.models.detectors.assign import pairwise_iou
from components.models.export.formats import Run

TOLERANCE = 0.01  # of a probability, of a confidence, or of the photograph's side
ROUNDS = 5

Answers = NDArray[np.float32]


def unlike_probabilities(expected: Answers, found: Answers) -> tuple[int, float]:
    """How many rows of (N, C) differ by more than the tolerance in any probability, and the largest difference of all."""
    apart = np.abs(expected - found).max(axis=1)
    return int((apart > TOLERANCE).sum()), float(apart.max(initial=0.0))


def unlike_boxes(expected: Answers, found: Answers, least: Sequence[float], candidates: Answers, iou: float) -> tuple[int, float]:
    """How many detections of one photograph (K, 6), rows as `Detections` answers them, one has and the other has not.

    A box has its like when one of the same class differs in no corner (0..1 of the photograph) nor in confidence by
    more than the tolerance. A box that is as near to its class' value in `least`, where it begins to be answered, may be
    missing. Of two equally confident boxes that overlap by more than `iou`, suppression may leave either: found may have
    another one than expected has, if the model has it among its `candidates` (M, 6) before suppression. Also answers the
    largest difference between a box and its like.
    """
    ours, theirs = (rows[rows[:, 5] >= 0] for rows in (expected, found))
    apart = _apart(ours, theirs)
    left, largest = set(range(len(theirs))), 0.0
    lost = []
    for row, distances in zip(ours, apart, strict=True):
        near = min(left, key=lambda number: distances[number], default=None)
        if near is None or distances[near] > TOLERANCE:
            lost.append(row)
        else:
            left.remove(near)
            largest = max(largest, float(distances[near]))
    alone = _without_ties(lost, [theirs[number] for number in sorted(left)], candidates, iou)
    return sum(row[4] > least[int(row[5])] + TOLERANCE for row in alone), largest


def _apart(ours: Answers, theirs: Answers) -> Answers:
    """The largest difference of any two boxes (K, 6) and (L, 6) in corners and confidence, infinite between classes: (K, L)."""
    apart: Answers = np.abs(ours[:, None, :5] - theirs[None, :, :5]).max(axis=2)
    apart[ours[:, None, 5] != theirs[None, :, 5]] = np.inf
    return apart


def _without_ties(lost: list[Answers], gained: list[Answers], candidates: Answers, iou: float) -> list[Answers]:
    """Those boxes of both that are no two of which suppression may leave either."""
    alone, left = [], list(gained)
    for row in lost:
        tie = next((number for number, other in enumerate(left) if _are_tied(row, other, candidates, iou)), None)
        if tie is None:
            alone.append(row)
        else:
            left.pop(tie)
    return alone + left


def _are_tied(lost: Answers, gained: Answers, candidates: Answers, iou: float) -> bool:
    overlap = float(pairwise_iou(lost[None, :4], gained[None, :4])[0, 0])
    is_known = (_apart(gained[None], candidates) <= TOLERANCE).any()
    return bool(lost[5] == gained[5] and abs(lost[4] - gained[4]) <= TOLERANCE and overlap > iou and is_known)


def milliseconds(runs: Mapping[str, Run], photographs: Sequence[NDArray[np.uint8]]) -> dict[str, float]:
    """The median wall time of one photograph (H, W, 3), by name; all run in turn, each size once before it counts."""
    took: dict[str, list[float]] = {name: [] for name in runs}
    for photograph in photographs:
        for turn in range(ROUNDS + 1):
            for name, run in runs.items():
                start = time.perf_counter()
                run(photograph[None])
                if turn:
                    took[name].append(time.perf_counter() - start)
    return {name: float(np.median(seconds)) * 1000 for name, seconds in took.items()}
