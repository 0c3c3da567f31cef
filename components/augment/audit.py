"""What a policy does to real pictures and their boxes: counts for each transform and for the whole, and the worst cases."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import REDRAWS, Augmenter, Example
from components.augment.clipping import WHOLE, is_kept, visible
from components.augment.pipeline import Entry, alone, always, build, parts


@dataclass(frozen=True)
class Boxes:
    """What became of boxes: `whole`, `clipped` by the picture's edge, `lost` (less than 30 % of it, or less than 2 pixels,
    left, or hidden), `invalid` (no area, or not finite). `visible`: mean share of a kept box that is inside, 1 when none is kept.
    """  # fmt: skip

    whole: int
    clipped: int
    lost: int
    invalid: int
    visible: float


@dataclass(frozen=True)
class Case:
    """One picture before and after, and which of its boxes (N,) are still there; `score`: how bad it is, 0..1."""

    before: Example
    after: Example
    kept: NDArray[np.bool_]
    score: float
    key: int
    epoch: int


def of_transform(entry: Entry, examples: Sequence[Example], train_size: int, epochs: int, seed: int = 0) -> Boxes:
    """What one transform, always applied, does to the boxes of some pictures; nothing is clipped or filtered before it is counted."""
    pipeline = alone(build(always(entry), train_size))
    transform = pipeline.transforms[0]
    counted: list[NDArray[np.int64]] = []
    shares: list[NDArray[np.float64]] = []
    for key, example in enumerate(examples):
        for epoch in range(epochs if len(example.boxes) else 0):
            pipeline.set_random_seed(int(np.random.SeedSequence([seed, epoch, key]).generate_state(1)[0]))
            numbered = np.column_stack([example.boxes[:, 1:].astype(np.float64), np.arange(len(example.boxes))])
            result = transform(image=example.pixels, bboxes=numbered)
            counts, kept = _count(len(numbered), np.asarray(result["bboxes"], np.float64).reshape(-1, 5), result["image"].shape)
            counted.append(counts)
            shares.append(kept)
    every = np.concatenate([np.zeros(0), *shares])
    whole, clipped, lost, invalid = np.sum([np.zeros(4, np.int64), *counted], axis=0).tolist()
    return Boxes(whole, clipped, lost, invalid, float(every.mean()) if len(every) else 1.0)


def _count(before: int, boxes: NDArray[np.float64], shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Whole, clipped, lost and invalid boxes, and the visible share of each kept one."""
    corners = boxes[:, :4]
    valid = np.isfinite(corners).all(axis=1) & (corners[:, 2] > corners[:, 0]) & (corners[:, 3] > corners[:, 1])
    inside, share = visible(corners[valid])
    kept = is_kept(inside, share, shape[0])
    whole = int((share[kept] >= WHOLE).sum())
    counts = np.array([whole, kept.sum() - whole, before - len(boxes) + (~kept).sum(), (~valid).sum()], np.int64)
    return counts, share[kept]


def of_policy(examples: Sequence[Example], augmenter: Augmenter, epochs: int) -> tuple[dict[str, int], list[Case]]:
    """Over `epochs` passes: what training is shown, and every picture before and after its first draw, the worst first.

    `emptied`: pictures whose first draw lost all of their boxes; of these `redrawn` were shown by a later draw, and
    `unchanged` as they are, since every draw lost them all. For pictures with boxes the score is the share that the
    first draw lost, for others the share of their contrast that is gone.
    """
    counts = {"pictures": 0, "boxes": 0, "lost": 0, "emptied": 0, "redrawn": 0, "unchanged": 0}
    cases = []
    for key, example in enumerate(examples):
        for epoch in range(1, epochs + 1):
            case = _case(example, augmenter, epoch, key)
            emptied = bool(len(case.kept)) and not case.kept.any()
            rescued = emptied and any(len(augmenter.draw(example, epoch, key, attempt).boxes) for attempt in range(1, REDRAWS + 1))
            told = (1, len(case.kept), int((~case.kept).sum()), emptied, rescued, emptied and not rescued)
            counts = {name: counts[name] + int(more) for name, more in zip(counts, told, strict=True)}
            cases.append(case)
    return counts, sorted(cases, key=lambda case: -case.score)


def _case(example: Example, augmenter: Augmenter, epoch: int, key: int) -> Case:
    numbered = np.column_stack([np.arange(len(example.boxes)), example.boxes[:, 1:]]).astype(np.float32)
    after = augmenter.draw(Example(example.pixels, numbered), epoch, key)
    kept = np.isin(np.arange(len(numbered)), after.boxes[:, 0].astype(int))
    score = float((~kept).mean()) if len(kept) else max(0.0, 1 - _contrast(after.pixels) / max(_contrast(example.pixels), 1e-6))
    return Case(example, after, kept, score, key, epoch)


def _contrast(pixels: NDArray[np.uint8]) -> float:
    return float(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).std())


def told(entry: Entry, boxes: Boxes) -> dict[str, Any]:
    """A transform's name, arguments and boxes as plain values."""
    name, arguments = parts(entry)
    counts = {"whole": boxes.whole, "clipped": boxes.clipped, "lost": boxes.lost, "invalid": boxes.invalid}
    return {"transform": name, "arguments": arguments, "boxes": counts, "visible": round(boxes.visible, 4)}
