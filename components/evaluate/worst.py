"""The worst slice, found rather than asked for: single slices and pairs of them, tested all together.

Among hundreds of slices some are bad by chance. So the answers are dealt to the images anew, many times, whole groups
at a time; a gap is real if the greatest gap of such a deal seldom is as great (the maximum over all slices: the
single-step procedure of Westfall & Young, Resampling-Based Multiple Testing, 1993, which knows how slices overlap).

A slice may divide groups: left and right of stereo pairs. Its gap then lies between groups and within them, and sums to
the gap of its images. The groups' means are dealt to the groups anew, and what a group says within itself changes sides or
not, by a coin a group: a group stays one witness, however many images it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.intervals import CELLS, units_of
from components.evaluate.slices import dimension

LEVEL = 0.05
DEALS = 2000
MOST_TESTED = 1000  # slices and pairs, the largest ones: more would hide behind their own number
MEMBERSHIPS = 20_000_000  # images times slices held at once, beyond which fewer slices are tested
AND = " and "

NOTHING = 1e-12  # of a gap, which is 1 at most: as much comes of rounding

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Worst:
    """A slice or two, its images, their mean quality 0..1 and that of the others; `p`: how often chance alone makes such a gap."""

    slice: str
    images: int
    value: float
    rest: float
    p: float


@dataclass(frozen=True)
class Search:
    """The largest significant gap, None where there is none, which images (N,) are in it, and how many slices and pairs were tested."""

    worst: Worst | None
    members: Bools
    tested: int


def memberships(rows: pd.DataFrame, images: Sequence[str]) -> tuple[list[str], Bools]:
    """The names of the slices and which of the images (N,) are in them (N, S), of a table of image_id and slice."""
    names = sorted(set(rows["slice"]))
    columns, places = {name: number for number, name in enumerate(names)}, {image: number for number, image in enumerate(images)}
    inside = np.zeros((len(images), len(names)), bool)
    inside[rows["image_id"].map(places).to_numpy(np.int64), rows["slice"].map(columns).to_numpy(np.int64)] = True
    return names, inside


def search(quality: NDArray[np.floating], groups: NDArray[np.generic], slices: tuple[list[str], Bools], least: int, seed: int) -> Search:
    """Look for the slice or pair of slices whose images are answered worst.

    quality (N,) 0..1, such as 1 for a right answer; groups (N,); slices: what `memberships` says; least: images of a slice
    and of its rest, below which nothing is tested.
    """
    names, inside = _candidates(*slices, least)
    nobody = np.zeros(len(quality), bool)
    if not names or not len(quality):
        return Search(None, nobody, 0)
    between, within = _gaps(quality, units_of(groups), inside)
    gaps = between.means @ between.contrast + within.sum(axis=0)
    spread = np.sqrt(between.variance + (within**2).sum(axis=0))
    # Where every group splits alike and answers both sides alike, nothing differs: its gap is 0, however the answers are dealt.
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > NOTHING)
    greatest = np.sort(_greatest(between.means, between.contrast * scale, within * scale, seed))
    p = (1 + DEALS - np.searchsorted(greatest, gaps * scale - 1e-12)) / (1 + DEALS)
    real = np.flatnonzero((p <= LEVEL) & (scale > 0))
    if not len(real):
        return Search(None, nobody, len(names))
    best = int(real[np.argmax(gaps[real])])
    own = inside[:, best]
    worst = Worst(names[best], int(own.sum()), float(quality[own].mean()), float(quality[~own].mean()), float(p[best]))
    return Search(worst, own, len(names))


class Between(NamedTuple):
    """What groups say of slices by their means (U,): the gap is means @ contrast (U, S), of this `variance` (S,) when dealt anew."""

    means: Floats
    contrast: Floats
    variance: Floats


def _gaps(quality: NDArray[np.floating], members: NDArray[np.integer], inside: Bools) -> tuple[Between, Floats]:
    """The gaps of slices (N, S) between the groups, and what each group adds to them within itself (D, S), of those that do."""
    counts = np.bincount(members).astype(np.float64)
    means = np.bincount(members, quality) / counts
    held = _sums(members, inside)
    sizes, whole = held.sum(axis=0), counts.sum()
    contrast = (counts[:, None] - held) / (whole - sizes) - held / sizes  # (U, S): adds up to 0
    variance = means.var(ddof=1) * (contrast**2).sum(axis=0) if len(means) > 1 else np.zeros(len(sizes))
    within = -_sums(members, inside, quality - means[members]) * (1 / sizes + 1 / (whole - sizes))
    return Between(means, contrast, variance), within[(np.abs(within) > NOTHING).any(axis=1)]


def _sums(members: NDArray[np.integer], inside: Bools, weights: NDArray[np.floating] | float = 1.0) -> Floats:
    """(U, S): of each group the sum of its images' weights (N,) in each slice (N, S)."""
    return np.stack([np.bincount(members, column * weights, members.max() + 1) for column in inside.T], axis=1)


def _greatest(means: Floats, contrast: Floats, within: Floats, seed: int) -> Floats:
    """(DEALS,): the greatest standardised gap of any slice when the groups' means are dealt anew and a coin turns each group round."""
    random, coins, block = np.random.default_rng(seed), np.random.default_rng([seed, 1]), max(1, CELLS // len(means))
    found = []
    for start in range(0, DEALS, block):
        part = np.tile(means, (min(block, DEALS - start), 1))
        turned = coins.choice((-1.0, 1.0), (len(part), len(within)))
        found.append((random.permuted(part, axis=1) @ contrast + turned @ within).max(axis=1))
    return np.concatenate(found)


def _candidates(names: list[str], inside: Bools, least: int) -> tuple[list[str], Bools]:
    """Slices and pairs of different kinds that are large enough, each set of images once, under its shortest name."""
    most = max(50, min(MOST_TESTED, MEMBERSHIPS // max(len(inside), 1)))
    shared = inside.T.astype(np.float64) @ inside.astype(np.float64)
    pairs = [(a, b) for a, b in combinations(range(len(names)), 2) if dimension(names[a]) != dimension(names[b]) and shared[a, b] >= least]
    pairs = sorted(pairs, key=lambda pair: -shared[pair])[:most]
    every = [(f"{names[a]}{AND}{names[b]}", inside[:, a] & inside[:, b]) for a, b in pairs]
    every += [(name, inside[:, place]) for place, name in enumerate(names)]
    large = {own.tobytes(): (name, own) for name, own in every if least <= own.sum() <= len(own) - least}
    kept = sorted(large.values(), key=lambda one: (-one[1].sum(), one[0]))[:most]
    return [name for name, _ in kept], np.stack([own for _, own in kept], axis=1) if kept else np.zeros((len(inside), 0), bool)
