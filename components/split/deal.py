"""Dealing whole groups to splits so that each stratum comes closest to the wanted fractions."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from components.data.tables import SPLITS
from components.errors import DataError
from components.split.strata import Strata

_CLOSE = 0.01  # deviation, root of the weighted mean of squares, that no better deal is looked for
_MOVES = 200

Places = NDArray[np.int64]
UNPLACED = -1


def deal(strata: Strata, placed: Places, fractions: list[float], seed: int) -> Places:
    """Each group's split by number. `placed` says which groups have one already (-1: none); those keep it.

    A first deal orders the groups of each stratum by a hash of seed and group and cuts at the fractions, so that a
    dataset that grew is dealt much the same; then groups move while that lessens the deviation. Few, large groups that
    this serves badly are dealt the largest first, each to where it lessens the deviation most, and so is what joins
    groups already placed. Groups that alone show some class go to split 0. Raises DataError when a split would be empty.
    """
    targets, new = np.array(fractions), np.flatnonzero(placed == UNPLACED).tolist()
    hashes = [_hash(seed, group) for group in strata.groups]
    weight = (strata.shares * strata.weights).sum(axis=1)
    alone = strata.alone() & (placed == UNPLACED)
    order = sorted(new, key=lambda row: (not alone[row], -weight[row], hashes[row]))
    dealt = _greedy(strata, placed, order, alone, targets)
    if len(new) == len(placed):
        first = _moved(strata, _by_hash(strata, alone, hashes, targets), alone, targets)
        if _deviation(strata, first, targets) <= max(_CLOSE, _deviation(strata, dealt, targets)):
            dealt = first
    return _none_empty(dealt, [row for row in reversed(order) if not alone[row]], len(fractions))


def _greedy(strata: Strata, placed: Places, order: list[int], alone: NDArray[np.bool_], targets: NDArray[np.float64]) -> Places:
    shares, dealt = strata.shares, placed.copy()
    gaps = _gaps(strata, placed, targets)
    for row in order:
        columns = np.flatnonzero(shares[row])
        added = shares[row, columns]
        cost = (strata.weights[columns] * added * (2 * gaps[:, columns] + added)).sum(axis=1)
        dealt[row] = 0 if alone[row] else int(cost.argmin())
        gaps[dealt[row], columns] += added
    return dealt


def _by_hash(strata: Strata, alone: NDArray[np.bool_], hashes: list[str], targets: NDArray[np.float64]) -> Places:
    """Cut each stratum, its groups ordered by hash, where the groups' cumulated share crosses the fractions."""
    shares = strata.shares
    main = (shares * strata.weights).argmax(axis=1)
    dealt = np.zeros(len(shares), int)
    bounds = targets.cumsum()[:-1]
    for column in np.unique(main):
        rows = np.array(sorted(np.flatnonzero((main == column) & ~alone), key=lambda row: hashes[row]), int)
        own = shares[rows, column]
        if len(rows):
            dealt[rows] = np.searchsorted(bounds, (own.cumsum() - own / 2) / own.sum(), side="right")
    return dealt


def _moved(strata: Strata, dealt: Places, alone: NDArray[np.bool_], targets: NDArray[np.float64]) -> Places:
    """Move one group after another, always the one whose move lessens the deviation most."""
    shares, weights = strata.shares, strata.weights
    gaps = _gaps(strata, dealt, targets)
    squares = (shares**2 * weights).sum(axis=1)
    for _ in range(_MOVES):
        weighted = shares @ (weights * gaps).T
        change = 2 * (weighted - weighted[np.arange(len(dealt)), dealt][:, None] + squares[:, None])
        change[np.arange(len(dealt)), dealt] = 0
        change[alone] = 0
        row, place = np.unravel_index(change.argmin(), change.shape)
        if change[row, place] > -1e-12:
            break
        gaps[dealt[row]] -= shares[row]
        gaps[place] += shares[row]
        dealt[row] = place
    return dealt


def _gaps(strata: Strata, dealt: Places, targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each split's share of each stratum lies above its target, (splits, C)."""
    held = [strata.shares[dealt == place].sum(axis=0) for place in range(len(targets))]
    return np.array(held) - targets[:, None]


def _deviation(strata: Strata, dealt: Places, targets: NDArray[np.float64]) -> float:
    squares = (_gaps(strata, dealt, targets) ** 2).mean(axis=0)
    return float(np.sqrt((squares * strata.weights).sum() / strata.weights.sum()))


def _none_empty(dealt: Places, spare: list[int], splits: int) -> Places:
    """Give an empty split the smallest of the newly dealt groups that can be spared."""
    for place in range(splits):
        if (dealt == place).any():
            continue
        row = next((row for row in spare if (dealt == dealt[row]).sum() > 1), None)
        if row is None:
            raise DataError(
                f"{SPLITS[place]} would be empty: every other group of images was placed before, or is alone in showing some class and "
                "so belongs in train; add images, or change `seed` in params.yaml to deal all anew"
            )
        dealt[row] = place
    return dealt


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
