"""Whether two thumbnails show the same picture: one is laid on the other, then their fine structure is compared."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.float32]

SIDE = 32
_BLURS = (2, 1)
_STEPS = 3
_SHIFT, _ZOOM = 0.15, 0.18  # how far a crop may move and scale a picture, of half its side
_SURE = 0.95  # fine agreement that no moving is needed for
_MARGIN = 6  # pixels: frames and letterbox bars lie outside the inner field
_NOISE = 4.0  # grey levels of structure that compression may add or take
_INDEPENDENT = 9.0  # pixels of structure that smoothing makes one observation of
_CHUNK = 2000
_AXIS = ((np.arange(SIDE) + 0.5) * 2 / SIDE - 1).astype(np.float32)


class Agreement(NamedTuple):
    """How two thumbnails agree, (N,) each: `broad` correlation of luma; `fine` of structure with its contrast evened
    out, -1..1, of the whole field or the inner one, whichever is less; `evidence`, the fine agreement in standard
    errors of the structure there is (Fisher's z).
    """

    broad: Pixels
    fine: Pixels
    evidence: Pixels


def compare(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Agreement:
    """Compare thumbnails pair by pair, (N, 32, 32) luma each, the second turned as the first.

    Where it does not agree as it is, `second` is moved, stretched (as a slight crop does), brightened and faded onto
    `first` by Gauss-Newton (Lucas and Kanade 1981, in the inverse form of Baker and Matthews 2004). Pictures with
    little structure give little evidence, so that two clear skies are not one.
    """
    if not len(first):
        return Agreement(*(np.zeros(0, np.float32) for _ in Agreement._fields))
    parts = [_compare(first[start : start + _CHUNK], second[start : start + _CHUNK]) for start in range(0, len(first), _CHUNK)]
    return Agreement(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _compare(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> Agreement:
    fixed, moving = first.astype(np.float32), second.astype(np.float32)
    told = _agreement(fixed, moving, np.ones_like(fixed))
    unsure = np.flatnonzero(told.fine < _SURE)
    laid = _agreement(fixed[unsure], *_lay(fixed[unsure], moving[unsure]))
    better = laid.fine > told.fine[unsure]
    for known, found in zip(told, laid, strict=True):
        known[unsure[better]] = found[better]
    return told


def _agreement(fixed: Pixels, moved: Pixels, seen: Pixels) -> Agreement:
    inner = np.zeros_like(seen)
    inner[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN] = seen[:, _MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    (ours, our_share), (theirs, their_share) = _structure(fixed), _structure(moved)
    fine = np.minimum(_correlation(ours, theirs, seen), _correlation(ours, theirs, inner))
    textured = np.minimum((our_share * seen).sum((1, 2)), (their_share * seen).sum((1, 2)))
    broad = _correlation(_centred(_smooth(fixed), seen), _centred(_smooth(moved), seen), seen)
    return Agreement(broad, fine, np.arctanh(np.clip(fine, 0, 0.9999)) * np.sqrt(textured / _INDEPENDENT))


def _lay(fixed: Pixels, moving: Pixels) -> tuple[Pixels, Pixels]:
    """`moving` sampled where it shows what `fixed` shows, and where it does show that (1 or 0), (N, 32, 32) each."""
    place = np.tile(np.array([0, 1, 0, 1], np.float32), (len(fixed), 1))  # shift and zoom across, shift and zoom down
    for blurs in _BLURS:  # from coarse to fine: fine texture alone would settle a period away
        ours, theirs = fixed, moving
        for _ in range(blurs):
            ours, theirs = _smooth(ours), _smooth(theirs)
        place = _settled(ours, theirs, place)
    return _sample(moving, place)


def _settled(fixed: Pixels, moving: Pixels, place: Pixels) -> Pixels:
    down, across = (slope * (SIDE / 2) for slope in np.gradient(fixed, axis=(1, 2)))
    columns = (across, across * _AXIS, down, down * _AXIS[:, None], fixed, np.ones_like(fixed))
    jacobian = np.stack(columns, -1).reshape(-1, SIDE * SIDE, 6)
    for _ in range(_STEPS):
        moved, seen = _sample(moving, place)
        weighted = (jacobian * seen.reshape(-1, SIDE * SIDE, 1)).transpose(0, 2, 1)
        normal = weighted @ jacobian
        normal += 1e-3 / 6 * np.eye(6, dtype=np.float32) * np.trace(normal, axis1=1, axis2=2)[:, None, None]
        solved = np.linalg.solve(normal, weighted @ moved.reshape(-1, SIDE * SIDE, 1))[..., 0]
        gain = np.where(np.abs(solved[:, 4]) < 0.2, 0.2, solved[:, 4])
        place = _composed(place, np.clip(solved[:, :4] / gain[:, None], -0.1, 0.1))
    return place


def _composed(place: Pixels, step: Pixels) -> Pixels:
    """The placement after undoing a step that was measured on the fixed picture."""
    shift, zoom = place[:, 0::2], place[:, 1::2]
    by, stretch = step[:, 0::2], 1 + step[:, 1::2]
    moved = np.empty_like(place)
    moved[:, 0::2] = np.clip(shift - zoom * by / stretch, -_SHIFT, _SHIFT)
    moved[:, 1::2] = np.clip(zoom / stretch, 1 - _ZOOM, 1 + _ZOOM)
    return moved


def _sample(moving: Pixels, place: Pixels) -> tuple[Pixels, Pixels]:
    across, seen_across = _weights(place[:, 0], place[:, 1])
    down, seen_down = _weights(place[:, 2], place[:, 3])
    return np.asarray(down @ moving @ across.transpose(0, 2, 1)), seen_down[:, :, None] * seen_across[:, None, :]


def _weights(shift: Pixels, zoom: Pixels) -> tuple[Pixels, Pixels]:
    """Linear interpolation along one side as matrices (N, 32, 32), and which of the positions lie on the picture."""
    at = (zoom[:, None] * _AXIS + shift[:, None] + 1) * (SIDE / 2) - 0.5
    inside = (at > -0.75) & (at < SIDE - 0.25)
    distance = np.abs(np.clip(at, 0, SIDE - 1)[:, :, None] - np.arange(SIDE, dtype=np.float32))
    return np.maximum(0, 1 - distance).astype(np.float32), inside.astype(np.float32)


def _structure(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """What differs from the surroundings, in units of the local contrast; and how much of that rises above noise, 0..1."""
    smooth = _smooth(pixels)
    fine = smooth - _mean(smooth)
    energy: Pixels = np.maximum(_mean(fine * fine), 0)
    share: Pixels = energy / (energy + _NOISE**2)
    return fine / np.sqrt(energy + _NOISE**2), share


def _smooth(pixels: Pixels) -> Pixels:
    """Binomial 3 x 3 filter, borders repeated."""
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)), "edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    return (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16


def _mean(pixels: Pixels) -> Pixels:
    """Mean of the 7 x 7 neighbourhood, borders mirrored."""
    padded = np.pad(pixels, ((0, 0), (3, 3), (3, 3)), "reflect")
    rows = np.sum([padded[:, start : start + SIDE] for start in range(7)], axis=0)
    total: Pixels = np.sum([rows[:, :, start : start + SIDE] for start in range(7)], axis=0)
    return total / np.float32(49)


def _centred(pixels: Pixels, seen: Pixels) -> Pixels:
    return pixels - ((pixels * seen).sum((1, 2)) / seen.sum((1, 2)))[:, None, None]


def _correlation(first: Pixels, second: Pixels, seen: Pixels) -> Pixels:
    norm = (first * first * seen).sum((1, 2)) * (second * second * seen).sum((1, 2))
    return (first * second * seen).sum((1, 2)) / np.sqrt(norm + 1e-3)
