"""How sure a number is: 95 % intervals of one model's metrics, by drawing the groups of its test images anew.

Images of one group (a burst, a source photograph) are not independent, so whole groups are drawn, with replacement
(cluster bootstrap; Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8), and the interval
lies between the 2.5 % and the 97.5 % percentile of what the metric then is (Efron & Tibshirani, 1993, chapter 13).
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

FEWEST_GROUPS = 10  # from fewer nothing can be drawn that tells: images are drawn then, and the interval is too narrow
FEWEST_UNITS = 5  # images or groups, for an interval by drawing from them
FEWEST_FINITE = 0.9  # of the rounds, for an interval of a metric that some of them leave undefined
TAILS = (2.5, 97.5)  # percent
Z = 1.959964  # of the normal distribution, 2.5 % on either side
CELLS = 4_000_000  # of weights held at once

Values = NDArray[np.float64]
Statistics = Callable[[Values], Values]


def units_of(groups: NDArray[np.generic]) -> NDArray[np.int64]:
    """The unit (N,) that each image is drawn with: its group, or the image alone where there are fewer than 10 groups."""
    labels, members = np.unique(np.asarray(groups, str), return_inverse=True)
    return np.asarray(members if len(labels) >= FEWEST_GROUPS else np.arange(len(groups)), np.int64)


def bootstrap(statistics: Statistics, groups: NDArray[np.generic], rounds: int, seed: int) -> Values:
    """The intervals (2, K), low and high, of K metrics.

    groups (N,): any label of each image's group. statistics: how often each image counts, (R, N) float64, one row a
    round -> the metrics (R, K), nan where one is undefined; an interval is nan where that is so in more than a tenth,
    and of fewer than 5 images.
    """
    members = units_of(groups)
    if not len(members):
        return np.full((2, statistics(np.zeros((1, 0))).shape[1]), math.nan)
    units = int(members.max()) + 1
    if units < FEWEST_UNITS:
        return np.full((2, statistics(np.ones((1, len(members)))).shape[1]), math.nan)
    random, found = np.random.default_rng(seed), []
    block = max(1, CELLS // len(members))
    for start in range(0, rounds, block):
        drawn = random.multinomial(units, np.full(units, 1 / units), min(block, rounds - start))
        found.append(statistics(drawn[:, members].astype(np.float64)))
    return _percentiles(np.concatenate(found))


def _percentiles(found: Values) -> Values:
    finite = np.isfinite(found)
    usable = finite.mean(axis=0) >= FEWEST_FINITE
    limits = np.full((2, found.shape[1]), math.nan)
    for column in np.flatnonzero(usable):
        limits[:, column] = np.percentile(found[finite[:, column], column], TAILS)
    return limits


def share_interval(values: NDArray[np.generic], groups: NDArray[np.generic]) -> tuple[float, float]:
    """The interval of the share of images (N,) that are 1 rather than 0; nan of no image.

    Wilson's, of as many independent images as tell as much as these groups (effective sample size; Korn & Graubard
    1998): unlike the bootstrap's it is honest about few images, and about those that are all right or all wrong.
    """
    count = len(values)
    if not count:
        return math.nan, math.nan
    share = float(np.asarray(values, np.float64).mean())
    members = units_of(groups)
    residuals = np.bincount(members, np.asarray(values, np.float64) - share)
    units = len(residuals)
    variance = units / max(units - 1, 1) * float(residuals @ residuals) / count**2
    effective = min(count, share * (1 - share) / variance) if variance > 0 else float(units)
    middle = (share + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    half = Z / (1 + Z**2 / effective) * math.sqrt(share * (1 - share) / effective + (Z / (2 * effective)) ** 2)
    return max(0.0, middle - half), min(1.0, middle + half)


def sums(weights: Values, labels: NDArray[np.integer], count: int) -> Values:
    """(R, count): the weights (R, N) added up by the images' labels (N,), 0 to count - 1."""
    order = np.argsort(labels, kind="stable")
    present, starts = np.unique(labels[order], return_index=True)
    added = np.zeros((len(weights), count))
    if len(present):
        added[:, present] = np.add.reduceat(weights[:, order], starts, axis=1)
    return added


def share(part: Values, whole: Values) -> Values:
    """Part / whole, nan where whole is 0."""
    return np.divide(part, whole, out=np.full(np.broadcast_shapes(part.shape, whole.shape), math.nan), where=whole > 0)
