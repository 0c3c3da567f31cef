"""Pictures that are copies of one another: re-encoded, resized, mirrored, turned, slightly cropped, brighter or darker.

A picture's low frequencies (the perceptual hash before it is cut to bits) propose pairs in all eight orientations,
a comparison of pixels decides.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.data.alignment import SIDE, compare

Rows = NDArray[np.float32]

ORIENTATIONS = (
    *("", "mirrored", "mirrored and turned by 180°", "turned by 180°"),
    *("mirrored and turned by 90°", "turned by 90°", "turned by 90°", "mirrored and turned by 90°"),
)
_LOW = 8  # frequencies a side
_NOISE = 60.0  # norm of what compression adds to a descriptor, in weighted grey levels
_ALIKE = 0.78  # cosine from which a pair is looked at
_SOMEWHAT_ALIKE = 0.5
_COPY = (0.93, 0.8, 8.0)  # least broad, fine agreement and evidence
_SIMILAR = (0.8, 0.5, 5.0)
_BLOCK = 2048
_MOST = 100_000  # pairs looked at in a block of 2048 x 2048: where all pictures are alike, the most alike
_CROPPED = 0.05  # of the sides
_LARGE = 50  # pictures
_STRICTER = (0.9, 0.95, 0.98)


def _transform(low: float, high: float) -> NDArray[np.float32]:
    """Samples a side from `low` to `high` (0..1 of it) at 32 points and takes its lowest cosine coefficients: (8, 32)."""
    at = np.clip(low * SIDE + (np.arange(SIDE) + 0.5) * (high - low) - 0.5, 0, SIDE - 1)
    samples = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(SIDE)))
    cosines = np.cos(np.pi * np.arange(_LOW)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE)) * np.sqrt(2 / SIDE)
    cosines[0] /= np.sqrt(2)
    return (cosines @ samples).astype(np.float32)


_WHOLE = _transform(0, 1)
_INNER = _transform(_CROPPED / 2, 1 - _CROPPED / 2)
_FREQUENCY = np.hypot(*np.indices((_LOW, _LOW))).astype(np.float32)
_ODD = np.arange(_LOW) % 2
_SIGNS = np.stack([(-1.0) ** (mirror * _ODD[None] + flip * _ODD[:, None]) for flip in (0, 1) for mirror in (0, 1)], -1)
_SIGNS = _SIGNS.reshape(-1, 4).astype(np.float32)
_HALF = np.float32(np.sqrt(0.5))
_DIAGONAL = np.where(np.eye(_LOW, dtype=bool), _HALF, np.float32(1)).ravel()
_INVERSE = np.array([0, 1, 2, 3, 4, 6, 5, 7])


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures, (P,) each: positions `first` < `second`, `orientation` (index of ORIENTATIONS) that takes
    the second to the first, and `agreement`, 0..1.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]
    agreement: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.first)


def copies(thumbnails: NDArray[np.uint8]) -> Pairs:
    """All pairs of near-copies among thumbnails, (N, 32, 32) luma of upright pictures squeezed to a square.

    The search multiplies every picture's 63 numbers with every other's: 60,000 pictures take about half a minute of
    one core. Pictures without structure (one colour, a clear sky) are copies of nothing.
    """
    first, second, turn = _candidates(thumbnails)
    return _verified(thumbnails, first, second, turn, _COPY)


def resembling(thumbnails: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]) -> Pairs:
    """Those of the given pairs (`first` < `second`) that show much the same, if not the same picture."""
    plain = _descriptors(thumbnails, _WHOLE)
    turned = _turned_cosines(plain[first], plain[second])
    alike = turned.max(axis=1, initial=-1) > _SOMEWHAT_ALIKE
    return _verified(thumbnails, first[alike], second[alike], turned[alike].argmax(axis=1), _SIMILAR)


def joined(parts: Sequence[Pairs]) -> Pairs:
    """Several lists of pairs as one."""
    columns = ((one.first, one.second, one.orientation, one.agreement) for one in parts)
    return Pairs(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _verified(thumbnails: NDArray[np.uint8], first: NDArray, second: NDArray, turn: NDArray, least: tuple[float, float, float]) -> Pairs:
    told = compare(thumbnails[first], oriented(thumbnails[second], turn))
    same = np.all([own >= demanded for own, demanded in zip(told, least, strict=True)], axis=0)
    first, second, turn, agreement = first[same], second[same], turn[same], told.fine[same]
    swapped = first > second
    turn = np.where(swapped, _INVERSE[turn], turn)
    first, second = np.where(swapped, second, first), np.where(swapped, first, second)
    order = np.lexsort((second, first))
    return Pairs(first[order], second[order], turn[order], agreement[order])


def oriented(thumbnails: NDArray[np.uint8], orientation: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Each of the (N, 32, 32) thumbnails in its own orientation: transposed from 4 on, then mirrored (1), upside down (2), both (3)."""
    turned = np.where((orientation >= 4)[:, None, None], thumbnails.transpose(0, 2, 1), thumbnails)
    turned = np.where((orientation % 2 == 1)[:, None, None], turned[:, :, ::-1], turned)
    return np.where((orientation % 4 >= 2)[:, None, None], turned[:, ::-1], turned)


def _candidates(thumbnails: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Pairs whose low frequencies agree, each once: the picture that may be the crop, the other, its orientation."""
    plain, cropped = _descriptors(thumbnails, _WHOLE), _descriptors(thumbnails, _INNER)
    blurred, inner = _invariants(plain), _invariants(cropped)
    found = []
    for top in range(0, len(thumbnails), _BLOCK):
        for left in range(0, len(thumbnails), _BLOCK):
            if left >= top:
                found.append(_block(blurred, blurred, plain, plain, top, left))
            found.append(_block(blurred, inner, plain, cropped, top, left))
    if not found:
        none = np.zeros(0, np.int64)
        return none, none, none
    first, second, turn, cosine = (np.concatenate(column) for column in zip(*found, strict=True))
    pair = np.minimum(first, second) * len(thumbnails) + np.maximum(first, second)
    best = np.lexsort((turn, first, -cosine, pair))
    best = best[np.unique(pair[best], return_index=True)[1]]
    return first[best], second[best], turn[best]


def _block(ours: Rows, theirs: Rows, plain: Rows, other: Rows, top: int, left: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    cosines = (ours[top : top + _BLOCK] @ theirs[left : left + _BLOCK].T).ravel()
    hits = np.flatnonzero(cosines > _ALIKE)
    if len(hits) > _MOST:
        hits = hits[np.argpartition(cosines[hits], -_MOST)[-_MOST:]]
    first, second = np.divmod(hits, len(theirs[left : left + _BLOCK]))
    first, second = first + top, second + left
    kept = first < second if ours is theirs else first != second
    first, second = first[kept], second[kept]
    turned = _turned_cosines(plain[first], other[second])
    cosine = turned.max(axis=1, initial=-1)
    alike = cosine > _ALIKE
    return first[alike], second[alike], turned[alike].argmax(axis=1), cosine[alike]


def _descriptors(thumbnails: NDArray[np.uint8], transform: NDArray[np.float32]) -> Rows:
    """Low DCT coefficients without the mean, weighted by frequency (natural pictures fall off with it), norm below 1: (N, 8, 8)."""
    parts = [transform @ thumbnails[start : start + _BLOCK].astype(np.float32) @ transform.T for start in range(0, len(thumbnails), _BLOCK)]
    low = np.concatenate([np.zeros((0, _LOW, _LOW), np.float32), *parts]) * _FREQUENCY
    return low / np.sqrt((low**2).sum((1, 2), keepdims=True) + _NOISE**2)


def _turned_cosines(first: Rows, second: Rows) -> NDArray[np.float32]:
    """Cosines of first with second in its eight orientations, (P, 8).

    Mirroring a picture changes the sign of its odd frequencies across, transposing it swaps across and down.
    """
    upright = (first * second).reshape(-1, _LOW * _LOW) @ _SIGNS
    return np.concatenate([upright, (first * second.transpose(0, 2, 1)).reshape(-1, _LOW * _LOW) @ _SIGNS], axis=1)


def _invariants(low: Rows) -> NDArray[np.float32]:
    """What of the coefficients no mirroring or turning changes, (N, 64): cosines are at least those in the best orientation."""
    across, down = low, low.transpose(0, 2, 1)
    total, apart = (across + down) * _HALF, (across - down) * _HALF
    mixed = (np.abs(across) + np.abs(down)) * _HALF, np.abs(np.abs(across) - np.abs(down)) * _HALF
    odd = np.arange(_LOW) % 2 == 1
    differ = odd[:, None] != odd[None]
    total = np.where(differ, mixed[0], np.where(odd[:, None], np.abs(total), total))
    apart = np.where(differ, mixed[1], np.abs(apart))
    upper = np.triu(np.ones((_LOW, _LOW), bool))
    return np.where(upper, total, apart.transpose(0, 2, 1)).reshape(-1, _LOW * _LOW) * _DIAGONAL


def clusters(pairs: Pairs, count: int) -> NDArray[np.int64]:
    """Each of `count` pictures' cluster, numbered by its first member, from pairs of copies.

    What is linked stands together, but a chain of pictures each like the next may end far from where it began: a
    cluster of more than 50 and of more than a hundredth of all is taken apart into what agrees ever more closely, and
    where even that leaves more than a tenth of all together, they look alike by nature (one fixture, one instrument)
    and stay apart.
    """
    least = np.zeros(count, np.float32)
    for demanded in (*_STRICTER, np.inf):
        found = _linked(pairs, least, count)
        sizes = np.bincount(found, minlength=count)
        bound = max(_LARGE, count // (10 if demanded == np.inf else 100))
        crowded = sizes[found] > bound
        if not crowded.any():
            break
        least[crowded] = demanded
    return _linked(pairs, least, count)


def components(edges: Iterable[tuple[int, int]], count: int) -> NDArray[np.int64]:
    """The smallest member of each of `count` members' connected component."""
    leader = list(range(count))

    def root(member: int) -> int:
        while leader[member] != member:
            leader[member] = leader[leader[member]]
            member = leader[member]
        return member

    for first, second in edges:
        ours, theirs = root(first), root(second)
        leader[max(ours, theirs)] = min(ours, theirs)
    return np.array([root(member) for member in range(count)], np.int64)


def _linked(pairs: Pairs, least: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    held = pairs.agreement >= np.maximum(least[pairs.first], least[pairs.second])
    return components(zip(pairs.first[held].tolist(), pairs.second[held].tolist(), strict=True), count)
