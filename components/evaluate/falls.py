"""How much worse is a candidate on a part of the test set: a class, a slice, images made worse on purpose.

The same paired bootstrap over groups as `compare`, for many parts at once. A part's measure is a share: what was found of
what there was to find, summed over its images (right answers of images; boxes found, averaged over the IoU thresholds, of
boxes). Average precision is none, and is therefore not what parts are guarded by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from components.evaluate.compare import effective_groups, group_numbers, resamples, standard_errors
from components.evaluate.intervals import share

Kind = Literal["class", "slice", "corruption"]
CORRUPTED = ["image_id", "corruption", "severity", "found", "wanted"]  # columns of a table of corrupted images


@dataclass(frozen=True)
class Part:
    """What two models found in each test image, (images,) float each, and `wanted`, what there was to find: 0 outside of the part."""

    kind: Kind
    name: str
    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]
    wanted: NDArray[np.float64]


@dataclass(frozen=True)
class Fall:
    """Shares 0..1 of both models in a part, and the standard error of champion minus candidate.

    `examples` were to be found in `images` of `groups`; `error` is NaN with fewer than two groups.
    """

    kind: Kind
    name: str
    champion: float
    candidate: float
    error: float
    examples: int
    images: int
    groups: int


def falls(parts: Sequence[Part], groups: NDArray[Any], seed: int, rounds: int = 2000) -> list[Fall]:
    """One Fall a part with something to find; groups: any label of each image, (images,)."""
    parts = [part for part in parts if part.wanted.any()]
    if not parts:
        return []
    members, _ = group_numbers(groups)
    lost = np.stack([part.champion - part.candidate for part in parts], axis=1)
    wanted = np.stack([part.wanted for part in parts], axis=1)
    resampled = np.concatenate([share(weights @ lost, weights @ wanted) for weights in resamples(members, seed, rounds)])
    return [_fall(part, members, resampled[:, [k]]) for k, part in enumerate(parts)]


def _fall(part: Part, members: NDArray[np.int64], resampled: NDArray[np.float64]) -> Fall:
    total, own = float(part.wanted.sum()), part.wanted > 0
    groups, effective = len(np.unique(members[own])), effective_groups(members, part.wanted)
    error = float(standard_errors(resampled, effective, total)[0]) if groups > 1 else float("nan")
    shares = float(part.champion.sum() / total), float(part.candidate.sum() / total)
    return Fall(part.kind, part.name, *shares, error, round(total), int(own.sum()), groups)
