"""Flips, shifts, paddings and crops of a whole batch: what moves pixels and computes none.

Each is a map of rows and one of columns: where in the picture before a row or column of the picture after comes from.
Maps of several transforms are one map, so that pixels are copied once, however many transforms move them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment.maps import Maps, chosen, same
from components.augment.maps import moved as moved_by

Pixels = NDArray[np.uint8]
Index = NDArray[np.int32]
Numbers = NDArray[np.float64]
OUTSIDE = -1  # in a map: nothing of the picture, but the fill
MIRRORS = (cv2.BORDER_REFLECT, cv2.BORDER_REFLECT_101)


@dataclass(frozen=True)
class Move:
    """A transform that happens with probability `chance`: its maps (B, after) of rows and columns from `draws` numbers an image.

    `fill` is the colour of what comes from outside, one value for all channels; None where nothing can. Where it `alternates`
    an image's chances are spread over the epochs: one of a half happens every second time. `goes`: the affine maps (B, 3, 3)
    of its pixels, from the same numbers; None where a mirrored border shows things twice, which no map tells.
    """

    chance: float
    before: int
    after: int
    draws: int
    maps: Callable[[Numbers], tuple[Index, Index]]
    fill: int | None = None
    alternates: bool = False
    goes: Callable[[Numbers], Maps] | None = None


def flip(chance: float, size: int, horizontal: bool) -> Move:
    """Mirror left to right, or top to bottom, alternately (https://arxiv.org/abs/2404.00498): so each image is soon seen both ways."""
    straight = np.arange(size, dtype=np.int32)[None]
    maps = (straight, straight[:, ::-1]) if horizontal else (straight[:, ::-1], straight)
    mirror = np.diag([-1.0, 1.0, 1.0] if horizontal else [1.0, -1.0, 1.0])
    mirror[0 if horizontal else 1, 2] = size

    def goes(numbers: Numbers) -> Maps:
        return np.broadcast_to(mirror, (len(numbers), 3, 3))

    return Move(chance, size, size, 0, lambda numbers: (_for_each(maps[0], numbers), _for_each(maps[1], numbers)), None, True, goes)


def shift(chance: float, size: int, offset: Callable[[Numbers], tuple[Index, Index]], reach: int, border: int, fill: int) -> Move:
    """Move the picture down and right by the pixels that `offset` makes of two numbers an image, `reach` at most."""
    table = bordered(size, reach, border)

    def maps(numbers: Numbers) -> tuple[Index, Index]:
        down, right = offset(numbers)
        places = np.arange(size, dtype=np.int32)[None] + reach
        return table[places - down[:, None]], table[places - right[:, None]]

    def goes(numbers: Numbers) -> Maps:
        down, right = offset(numbers)
        return moved_by(right, down)

    given = fill if border == cv2.BORDER_CONSTANT else None
    return Move(chance, size, size, 2, maps, given, goes=None if border in MIRRORS else goes)


def pad(size: int, sides: tuple[int, int, int, int], border: int, fill: int) -> Move:
    """Add (top, bottom, left, right) pixels around the picture; both axes must end equally long."""
    top, bottom, left, right = sides
    after = size + top + bottom
    table, reach = bordered(size, max(sides), border), max(sides)
    rows, columns = table[None, reach - top : reach + size + bottom], table[None, reach - left : reach + size + right]
    given = fill if border == cv2.BORDER_CONSTANT else None

    def goes(numbers: Numbers) -> Maps:
        return moved_by(np.full(len(numbers), left), np.full(len(numbers), top))

    led = None if border in MIRRORS else goes
    return Move(1.0, size, after, 0, lambda numbers: (_for_each(rows, numbers), _for_each(columns, numbers)), given, goes=led)


def crop(size: int, after: int) -> Move:
    """Cut out a square of `after` pixels, every place as likely as any other."""

    def maps(numbers: Numbers) -> tuple[Index, Index]:
        start = (numbers * (size - after + 1)).astype(np.int32)
        places = np.arange(after, dtype=np.int32)[None]
        return start[:, :1] + places, start[:, 1:] + places

    def goes(numbers: Numbers) -> Maps:
        start = (numbers * (size - after + 1)).astype(np.int32)
        return moved_by(-start[:, 1], -start[:, 0])

    return Move(1.0, size, after, 2, maps, goes=goes)


def bordered(size: int, reach: int, border: int) -> Index:
    """Where index `place - reach` of an axis lies inside it by one of OpenCV's border modes, (size + 2 reach,)."""
    return np.array([cv2.borderInterpolate(place, size, border) for place in range(-reach, size + reach)], np.int32)


def moved(pixels: Pixels, moves: list[Move], numbers: Numbers) -> Pixels:
    """The pictures (B, S, S, 3) after all moves; `numbers` (B, sum of 1 + draws), of each move its chance, then its draws."""
    whole = _for_each(np.arange(moves[0].before, dtype=np.int32)[None], numbers)
    rows, columns, used, fill = whole, whole, 0, None
    for move in moves:
        happens = numbers[:, used, None] < move.chance
        below, right = move.maps(numbers[:, used + 1 : used + 1 + move.draws])
        used += 1 + move.draws
        rows, columns = (_through(first, then, happens) for first, then in ((rows, below), (columns, right)))
        fill = move.fill if move.fill is not None else fill
    return gathered(pixels, rows, columns, fill or 0)


def goes(moves: list[Move], numbers: Numbers) -> Maps:
    """Where all moves lead, (B, 3, 3), by the numbers of `moved`; each move must know."""
    led, used = same(len(numbers)), 0
    for move in moves:
        assert move.goes is not None
        led = chosen(numbers[:, used] < move.chance, move.goes(numbers[:, used + 1 : used + 1 + move.draws])) @ led
        used += 1 + move.draws
    return led


def gathered(pixels: Pixels, rows: Index, columns: Index, fill: int) -> Pixels:
    """Pictures (B, T, T, 3) of those rows and columns (B, T) of pixels (B, S, S, 3)."""
    groups: dict[bytes, list[int]] = {}
    for place, column in enumerate(columns):
        groups.setdefault(column.tobytes(), []).append(place)
    size, found = pixels.shape[1], np.empty((len(pixels), rows.shape[1], columns.shape[1], 3), np.uint8)
    lines = np.arange(len(pixels))[:, None] * size + np.maximum(rows, 0)
    for column, group in groups.items():
        slab = np.take(pixels.reshape(-1, size * 3), lines[group].ravel(), axis=0).reshape(len(group), -1, size, 3)
        found[group] = _columns(slab, runs(column), fill)
    if (rows < 0).any():
        found[rows < 0] = fill
    return found


@lru_cache(maxsize=4096)
def runs(column: bytes) -> list[tuple[int, int, int, int]]:
    """A map of columns as pieces (begin, end, first source, step) within which the source steps by 1, 0 or -1."""
    sources = np.frombuffer(column, np.int32)
    found, begin = [], 0
    while begin < len(sources):
        steps = np.diff(sources[begin:])
        step = int(steps[0]) if len(steps) and abs(int(steps[0])) <= 1 and OUTSIDE not in sources[begin : begin + 2] else 0
        if sources[begin] == OUTSIDE:
            other = np.flatnonzero(sources[begin:] != OUTSIDE)
        else:
            expected = sources[begin] + step * np.arange(len(sources) - begin)
            other = np.flatnonzero((sources[begin:] != expected) | (sources[begin:] == OUTSIDE))
        end = begin + int(other[0]) if len(other) else len(sources)
        found.append((begin, end, int(sources[begin]), step))
        begin = end
    return found


def _columns(slab: Pixels, pieces: list[tuple[int, int, int, int]], fill: int) -> Pixels:
    size = slab.shape[2]
    mirrored = slab
    if any(step < 0 for *_, step in pieces):  # NumPy reverses pixels one by one, OpenCV many at a time
        mirrored = np.asarray(cv2.flip(slab.reshape(-1, size, 3), 1), np.uint8).reshape(slab.shape)
    whole = [(0, size, 0, 1), (0, size, size - 1, -1)]
    if len(pieces) == 1 and pieces[0] in whole:
        return mirrored
    found = np.empty((*slab.shape[:2], pieces[-1][1], 3), np.uint8)
    for begin, end, source, step in pieces:
        if source == OUTSIDE:
            found[:, :, begin:end] = fill
        elif step == 0:
            found[:, :, begin:end] = slab[:, :, source : source + 1]
        else:
            first = source if step > 0 else size - 1 - source
            found[:, :, begin:end] = (slab if step > 0 else mirrored)[:, :, first : first + end - begin]
    return found


def _through(first: Index, then: Index, happens: NDArray[np.bool_]) -> Index:
    """The map that goes by `then` to the picture between, and on by `first`; by `first` alone where nothing happens."""
    led = np.where(then == OUTSIDE, OUTSIDE, np.take_along_axis(first, np.maximum(then, 0), axis=1))
    return led if happens.all() else np.where(happens, led, first)


def _for_each(one: Index, numbers: Numbers) -> Index:
    return np.broadcast_to(one, (len(numbers), one.shape[1]))
