"""A picture of what a network is trained on: examples of a batch as they are fed, with the labels that they are fed with."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import NO_BOXES, Example
from components.augment.preview import MOST, sample_sheet
from components.train.examples import Targets

SHOWN = 12  # examples at most
COLUMNS = 4


def batch_sheet(pixels: NDArray[np.uint8], targets: Targets, classes: Sequence[str], title: str) -> NDArray[np.uint8]:
    """The first SHOWN examples, each over its label, under a title, RGB uint8.

    pixels (B, S, S, 3) uint8 and targets as `TrainingBatches.batch` gives them: class numbers (B,), shares of the classes
    (B, C), whose label names all that have one, or padded boxes (B, N, 5), which are drawn and counted.
    """
    pictures, own = pixels[:SHOWN], targets[:SHOWN]
    boxes = [rows[rows[:, 0] >= 0] for rows in own] if targets.ndim == 3 else [NO_BOXES] * len(own)
    examples = [Example(picture, found) for picture, found in zip(pictures, boxes, strict=True)]
    return sample_sheet(examples, [_label(target, classes) for target in own], title, COLUMNS, MOST)


def _label(target: NDArray[np.generic], classes: Sequence[str]) -> str:
    if target.ndim == 0:
        return classes[int(target)]
    if target.ndim == 1:
        shares = sorted(zip(target.tolist(), classes, strict=True), reverse=True)
        return ", ".join(f"{name} {share:.0%}" for share, name in shares if share > 0)
    counts = Counter(classes[int(number)] for number in target[:, 0] if number >= 0)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common()) or "no box"
