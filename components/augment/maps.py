"""Where a batch's transforms move what a picture shows: an affine map (3, 3) a picture, of its corners in pixels.

A picture's pixels are squares of side 1: its left edge is at 0, its right edge at S.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float64]
Numbers = NDArray[np.float64]
Pixels = NDArray[np.floating[Any] | np.integer[Any]]  # how many, whole or not


def scaled(x: Numbers, y: Numbers, right: Pixels, down: Pixels) -> Maps:
    """Maps (B, 3, 3) that stretch by x and y (B,), then move right and down by pixels (B,)."""
    found = np.zeros((len(right), 3, 3))
    found[:, 0, 0], found[:, 1, 1], found[:, 2, 2] = x, y, 1.0
    found[:, 0, 2], found[:, 1, 2] = right, down
    return found


def moved(right: Pixels, down: Pixels) -> Maps:
    """Maps that only move."""
    return scaled(np.ones(len(right)), np.ones(len(right)), right, down)


def same(count: int) -> Maps:
    """Maps that move nothing."""
    return np.broadcast_to(np.eye(3), (count, 3, 3))


def chosen(happens: NDArray[np.bool_], maps: Maps) -> Maps:
    """The maps where something happens, elsewhere those that move nothing."""
    return np.where(happens[:, None, None], maps, np.eye(3))


def through(corners: NDArray[np.float32], maps: Maps, before: int, after: int) -> Numbers:
    """Boxes' corners (T, 4) in 0..1 of a picture of `before` pixels, each by its own map (T, 3, 3), in 0..1 of `after`.

    A turned box becomes the upright one around it; nothing is clipped.
    """
    ends = corners.astype(np.float64)[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) * before
    places = np.einsum("tij,tkj->tki", maps[:, :2, :2], ends) + maps[:, None, :2, 2]
    found: Numbers = np.concatenate([places.min(axis=1), places.max(axis=1)], axis=1) / after
    return found
