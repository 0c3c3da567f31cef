"""Is the difference between two models real? Paired bootstrap over groups of images, for several candidates at once.

All models saw the same test images, so each resample draws the same images for all and looks at the differences.
Images of one group (a burst, a source photograph) are not independent: whole groups are drawn, with replacement
(cluster bootstrap; Davison & Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). One group says
nothing of how models differ on others, however many images it has: the interval is then undefined.

The interval is difference ± critical value × standard error.

- The standard error is that of the resampled differences. The bootstrap's own is too small by sqrt((G - 1) / G) for G
  equal groups, and is 0 where no image that was drawn tells the models apart; so it is widened by that factor, and as if one
  more answer (an image; of detectors a box) had told them apart (Bonett & Price 2012, https://doi.org/10.3102/1076998611411915,
  add two). Unequal groups count as (sum of sizes)² / (sum of squared sizes) equal ones here.
- The critical value of the first candidate, the one that validation prefers, is that of a single 95 % interval. The others
  share theirs: the 97 % quantile of the largest of their standardised deviations in the same resample (single-step max
  statistic; Romano & Wolf 2005, https://doi.org/10.1198/016214504000000539), so that all their intervals hold together,
  and candidates that resemble one another cost less than by Bonferroni. The first lies wholly above the truth in 2.5 % of
  rounds, one of the others in 1.5 %: together 4, so that equal models are called better in at most 5 % also where the test
  set is small and its groups unequal, however many candidates there are.
- What was tried in vain before, against this champion on these test images, counts as well: after t such candidates both
  levels leave (1 + t)^-1.2 of their share of errors (alpha spending; Foster & Stine 2008,
  https://doi.org/10.1111/j.1467-9868.2007.00643.x). All differences share the champion's luck, which correlates those of equal
  models by one half; normal ones of that correlation, tried one after the other, come to 4.5 % after 20 and 5 % after 200.
- All is read on Student's t with one degree of freedom less than there are groups instead of the normal (Hesterberg
  2015, https://doi.org/10.1080/00031305.2015.1089789).

Percentile intervals, which this replaces, cover as little as 84 % at 60 images; benchmarks/promotion.py measures both.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from components.errors import DataError

FEWEST_FINITE = 0.9  # of the rounds, for an interval of a metric that some of them leave undefined
FIRST, OTHERS = 0.95, 0.97  # levels of the first candidate's interval, and of all others' together, where nothing was tried before
SPENDING = 1.2  # the power by which the share of errors falls with every candidate tried before
FEWEST_BEYOND = 10  # resamples beyond a critical value that is read from them; further out it is Bonferroni's
AT_ONCE = 250_000  # weights made at a time: more of them leave the processor's cache

Weights = NDArray[np.float64]
Scores = Callable[[Weights], NDArray[np.float64]]


@dataclass(frozen=True)
class Comparison:
    """Candidate minus champion on the whole test set, and the 95 % interval of that difference.

    `candidates` were compared at once; the intervals of all but the first hold together. `error` is the standard error and
    `critical` how many of it the interval reaches to either side; `units` of the kind `unit` were resampled, `images` in
    all. The interval is wider where `earlier` candidates were tried in vain before. `low`, `high` and `error` are NaN with
    fewer than two units, or where the metric is undefined on more than a tenth of the resamples. `gained` and `lost` count
    the images that only the candidate or only the champion got right, and `mcnemar` is the two-sided mid-p value of that;
    None unless every image is a group of its own and answers are right or wrong.
    """

    difference: float
    low: float
    high: float
    rounds: int
    units: int
    unit: Literal["group", "image"]
    error: float = math.nan
    critical: float = math.nan
    images: int = 0
    candidates: int = 1
    earlier: int = 0
    gained: int | None = None
    lost: int | None = None
    mcnemar: float | None = None


def share(values: NDArray[np.float64]) -> Scores:
    """The scores of models by the mean of one value an image, such as 1 for a right answer; `values` is (models, images)."""
    return lambda weights: (weights @ values.T) / weights.sum(axis=1, keepdims=True)


def paired_bootstrap(
    scores: Scores, groups: NDArray[Any], seed: int, rounds: int = 2000, examples: int | None = None, earlier: int = 0
) -> list[Comparison]:
    """Compare candidates with a champion by any metric of a resampled test set; one Comparison a candidate.

    scores: takes how often every image was drawn in some rounds, (rounds, images), and gives (rounds, models): the champion
    first, then the candidates, the one that validation prefers before the others; NaN where the metric is undefined.
    groups: any label of each image, (images,). examples: how many answers the metric is made of, one an image where not given.
    earlier: how many other candidates were compared with this champion on these images before, and did not replace it.
    Raises DataError when there is no image.
    """
    members, count = group_numbers(groups)
    effective = effective_groups(members, np.ones(len(members)))
    everything = scores(np.ones((1, len(members))))[0]
    estimates = everything[1:] - everything[0]
    resampled = np.concatenate([scores(weights) for weights in resamples(members, seed, rounds)])
    differences = resampled[:, 1:] - resampled[:, :1]
    errors = standard_errors(differences, effective, examples or len(members))
    deviations = _standardised(differences, estimates)
    parts = [
        (part, 1 - (1 - level) * (1 + earlier) ** -SPENDING) for part, level in ((deviations[:, :1], FIRST), (deviations[:, 1:], OTHERS))
    ]
    critical = np.repeat([_critical(part, count, level) for part, level in parts], [part.shape[1] for part, _ in parts])
    reach = critical * errors
    unit: Literal["group", "image"] = "image" if count == len(members) else "group"
    rows = np.stack([estimates, estimates - reach, estimates + reach, errors, critical], axis=1).tolist()
    return [
        Comparison(difference, low, high, rounds, count, unit, error, most, len(members), len(rows), earlier)
        for difference, low, high, error, most in rows
    ]


def group_numbers(groups: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Which of how many groups each image belongs to, (images,). Raises DataError when there is no image."""
    if len(groups) == 0:
        raise DataError("the test set is empty: nothing to compare on")
    labels, members = np.unique(np.asarray(groups), return_inverse=True)
    return members.astype(np.int64), len(labels)


def effective_groups(members: NDArray[np.int64], sizes: NDArray[np.float64]) -> float:
    """How many equal groups tell as much as these; `sizes` (images,) is what each image counts."""
    return float(sizes.sum() ** 2 / np.square(np.bincount(members, sizes)).sum())


def resamples(members: NDArray[np.int64], seed: int, rounds: int) -> Iterator[Weights]:
    """How often each image was drawn, (some rounds, images), `rounds` in all; the same for the same groups and seed."""
    count, random = int(members.max()) + 1, np.random.default_rng(seed)
    most = max(1, AT_ONCE // len(members))
    for start in range(0, rounds, most):
        some = min(most, rounds - start)
        drawn = random.integers(count, size=(some, count), dtype=np.int32) + count * np.arange(some)[:, None]
        times = np.bincount(drawn.ravel(), minlength=some * count).reshape(some, count)
        yield np.take(times, members, axis=1).astype(np.float64)


def standard_errors(resampled: NDArray[np.float64], groups: float, examples: float | NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard errors (columns,) of what was resampled, (rounds, columns), from so many groups and `examples` in them.

    NaN with fewer than two groups, or where more than a tenth of the rounds is undefined.
    """
    defined = np.isfinite(resampled).mean(axis=0) >= FEWEST_FINITE
    variance = np.full(resampled.shape[1], np.nan)
    if groups > 1:
        variance[defined] = np.nanvar(resampled[:, defined], axis=0) * groups / (groups - 1)
    return np.asarray(np.sqrt(variance + 1 / np.square(examples)), np.float64)


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided mid-p value of gaining and losing so many images if both models were equally good.

    Exact binomial, half the probability of what was seen (Fagerland et al. 2013, https://doi.org/10.1186/1471-2288-13-91).
    It takes images as independent: where several belong to a group, one lucky photograph counts many times, and a
    difference looks surer than it is. Only the bootstrap over groups is right then.
    """
    total, least = gained + lost, min(gained, lost)
    terms = [math.comb(total, number) for number in range(least + 1)]
    return min(1.0, (2 * sum(terms) - terms[-1]) / 2**total)


def _standardised(differences: NDArray[np.float64], estimates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Absolute deviations (rounds, candidates) in their own spreads; 0 throughout where the metric is undefined too often."""
    deviations = np.abs(differences - estimates)
    deviations[:, np.isfinite(differences).mean(axis=0) < FEWEST_FINITE] = 0.0
    spread = np.sqrt(np.nanmean(deviations**2, axis=0))
    return np.divide(deviations, spread, out=np.zeros_like(deviations), where=spread > 0)


def _critical(standardised: NDArray[np.float64], groups: int, level: float) -> float:
    """How many standard errors the intervals of candidates (rounds, candidates) must reach so that they hold together."""
    if groups < 2:
        return math.nan
    rounds, candidates = standardised.shape
    if (1 - level) * rounds < FEWEST_BEYOND:
        normal = float(special.ndtri(1 - (1 - level) / (2 * max(candidates, 1))))
    else:
        largest = np.fmax.reduce(standardised, axis=1, initial=0.0)
        normal = max(float(np.quantile(largest, level)), float(special.ndtri((1 + level) / 2)))
    return float(special.stdtrit(groups - 1, special.ndtr(normal)))
