"""Is the difference between two models real? Paired bootstrap over groups of images.

Both models saw the same test images, so each resample draws the same images for both and looks at the difference.
Images of one group (a burst, a source photograph) are not independent: whole groups are drawn, with replacement
(cluster bootstrap; Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). The interval is
the 2.5 % and 97.5 % percentile of the resampled differences (Efron & Tibshirani, 1993, chapter 13).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.errors import DataError

FEWEST_GROUPS = 10
FEWEST_FINITE = 0.9
TAIL = 2.5  # percent on either side, for one candidate

Metric = Callable[[np.ndarray], float]
Statistic = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Comparison:
    """Candidate minus champion on the whole test set, and the 95 % interval of that difference.

    Where several candidates are judged, the interval is widened so that all of theirs hold together (Bonferroni).

    `units` of the kind `unit` were resampled; with fewer than 10 groups that is images, and the interval is then
    too narrow when images of one group resemble each other. `low` and `high` are NaN where the metric is undefined
    on more than a tenth of the resamples.
    """

    difference: float
    low: float
    high: float
    rounds: int
    units: int
    unit: Literal["group", "image"]


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> float:
    """The mean of `values` (images,), each counted `weights` (images,) times."""
    return float(values @ weights / weights.sum())


def paired_bootstrap(
    candidate: np.ndarray,
    champion: np.ndarray,
    groups: np.ndarray,
    seed: int,
    rounds: int = 2000,
    candidates: int = 1,
    statistic: Statistic = weighted_mean,
) -> Comparison:
    """Compare two models by one value an image, such as 1 for a right answer and 0 for a wrong one.

    `candidate`, `champion` (images,) float and `groups` (images,) any label stand in the same order of images.
    Raises DataError when their lengths differ or there is no image.
    """
    ours, theirs = np.asarray(candidate, np.float64), np.asarray(champion, np.float64)
    if len(ours) != len(theirs):
        raise DataError(f"the candidate was measured on {len(ours)} images, the champion on {len(theirs)}: evaluate both on the same ones")
    if len(ours) != len(groups):
        raise DataError(f"there are {len(groups)} group ids for {len(ours)} images: expected one an image")
    return paired_bootstrap_metric(
        lambda weights: statistic(ours, weights), lambda weights: statistic(theirs, weights), groups, seed, rounds, candidates
    )


def paired_bootstrap_metric(
    candidate: Metric, champion: Metric, groups: np.ndarray, seed: int, rounds: int = 2000, candidates: int = 1
) -> Comparison:
    """Compare two models by any metric of a resampled test set, such as average precision.

    Each metric takes how often every image was drawn, (images,) int64, and gives a float; NaN where it is undefined.
    Raises DataError when there is no image.
    """
    if len(groups) == 0:
        raise DataError("the test set is empty: nothing to compare on")
    members, unit = _units(np.asarray(groups))
    units = int(members.max()) + 1
    random = np.random.default_rng(seed)
    differences = np.empty(rounds)
    for index in range(rounds):
        drawn = np.bincount(random.integers(units, size=units), minlength=units)
        weights = drawn[members]
        differences[index] = candidate(weights) - champion(weights)
    everything = np.ones(len(members), np.int64)
    low, high = _interval(differences, candidates)
    return Comparison(candidate(everything) - champion(everything), low, high, rounds, units, unit)


def _units(groups: np.ndarray) -> tuple[np.ndarray, Literal["group", "image"]]:
    labels, members = np.unique(groups, return_inverse=True)
    if len(labels) >= FEWEST_GROUPS:
        return members, "group"
    return np.arange(len(groups)), "image"


def _interval(differences: np.ndarray, candidates: int) -> tuple[float, float]:
    finite = differences[np.isfinite(differences)]
    if len(finite) < FEWEST_FINITE * len(differences) or len(finite) == 0:
        return float("nan"), float("nan")
    tail = TAIL / max(candidates, 1)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return float(low), float(high)
