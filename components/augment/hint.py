"""Does a transform confuse a trained model? A hint that it may change labels, where no label safety is declared.

A model that has learned to tell b from d answers d for a mirrored b: if it is right clearly less often when a transform
is always applied, either the transform changes labels or it goes beyond what the model has seen. Both are worth a look.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import NDArray

MARGIN = 0.1  # a smaller drop is what augmentation is for
ALPHA = 0.01  # for all transforms of a policy together (Bonferroni)

Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Hint:
    """Mean score of the same images before and after, 0..1; `p_value` of the drop; `confusing`: whether it is worth a look."""

    before: float
    after: float
    worse: int
    better: int
    p_value: float
    confusing: bool


def compare(before: Scores, after: Scores, transforms: int = 1) -> Hint:
    """The hint of one of `transforms` transforms from the scores (N,) of each image, in the same order.

    A score is 1 or 0 for a right or wrong class, or the share of an image's boxes that was found. The test is the exact
    one-sided sign test on the images whose score changed, which for 0 and 1 is McNemar's exact test (Biometrika 1947).
    A transform is confusing when the mean drops by more than MARGIN and the test says so at ALPHA / transforms.
    """
    worse, better = int((after < before).sum()), int((after > before).sum())
    changed = worse + better
    p_value = sum(comb(changed, count) for count in range(worse, changed + 1)) / 2**changed
    means = (float(before.mean()), float(after.mean())) if len(before) else (0.0, 0.0)
    return Hint(*means, worse, better, p_value, means[0] - means[1] > MARGIN and p_value <= ALPHA / transforms)


def most_confused(truth: Sequence[str], before: Sequence[str], after: Sequence[str]) -> tuple[str, str, int] | None:
    """The label that turned most often from right to one and the same wrong label, that label, and how often."""
    pairs = Counter((label, now) for label, then, now in zip(truth, before, after, strict=True) if then == label != now)
    if not pairs:
        return None
    (label, wrong), count = min(pairs.items(), key=lambda item: (-item[1], item[0]))
    return label, wrong, count
