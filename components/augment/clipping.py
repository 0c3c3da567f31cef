"""What becomes of boxes at the edge of a picture: kept, clipped, or dropped, and counted.

The rule, whatever moved a box: what lies outside is cut off; a box is dropped when less than MIN_VISIBLE of the area that it
had in its own picture is left, or less than MIN_SIDE pixels of a side.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.augment.maps import Maps, through

Rows = NDArray[np.float32]
Numbers = NDArray[np.float64]

MIN_VISIBLE = 0.3
MIN_SIDE = 2.0  # pixels
WHOLE = 0.999  # share of a box that must be inside the picture to count it as whole
EPSILON = 1e-3  # of a pixel, so that float32 does not make less than MIN_SIDE of it


class Objects(NamedTuple):
    """Boxes (N, 5) float32 rows [class, x_min, y_min, x_max, y_max] in 0..1 of a picture, and the share (N,) of each that it shows.

    `given`: how many there were, those included that were dropped.
    """

    boxes: Rows
    visible: Numbers
    given: int

    @classmethod
    def whole(cls, boxes: Rows) -> "Objects":
        """Boxes that nothing has happened to."""
        return cls(boxes, np.ones(len(boxes)), len(boxes))


@dataclass(frozen=True)
class BoxCounts:
    """How many boxes pictures had, and how many of these they show clipped, or not at all."""

    given: int = 0
    clipped: int = 0
    dropped: int = 0

    @classmethod
    def of(cls, shown: Iterable[Objects]) -> "BoxCounts":
        """Of the boxes of some pictures."""
        every = [(one.given, int((one.visible < WHOLE).sum()), max(one.given - len(one.boxes), 0)) for one in shown]
        return cls(*np.sum([(0, 0, 0), *every], axis=0).tolist())

    def __add__(self, other: "BoxCounts") -> "BoxCounts":
        return BoxCounts(self.given + other.given, self.clipped + other.clipped, self.dropped + other.dropped)


def visible(corners: NDArray[Any], least: Any = 0.0, most: Any = 1.0) -> tuple[Numbers, Numbers]:
    """Corners (N, 4) cut at `least` and `most`, a number or (N, 2), and the share (N,) of each box that is left.

    A box without area, or not finite, has none.
    """
    exact = corners.astype(np.float64).reshape(-1, 2, 2)
    inside = np.minimum(np.maximum(exact, _for_corners(least)), _for_corners(most))
    full = _area(exact)
    share = np.divide(_area(inside), full, out=np.zeros(len(full)), where=np.isfinite(full) & (full > 0))
    return inside.reshape(-1, 4), share


def is_kept(inside: Numbers, share: Numbers, side: int) -> NDArray[np.bool_]:
    """Which boxes stay, by their corners (N, 4) inside a picture of `side` pixels and the share (N,) of each that is left."""
    sides = (inside[:, 2:] - inside[:, :2]) * side
    return (share >= MIN_VISIBLE) & (sides >= MIN_SIDE - EPSILON).all(axis=1)


def clipped(objects: Objects, side: int, least: Any = 0.0, most: Any = 1.0) -> Objects:
    """Boxes that may reach beyond the picture, or beyond their part of it from `least` to `most` (N, 2), after the rule."""
    inside, share = visible(objects.boxes[:, 1:], least, most)
    total = share * objects.visible
    kept = is_kept(inside, total, side)
    rows = np.concatenate([objects.boxes[:, :1], inside], axis=1).astype(np.float32)
    return Objects(rows[kept], total[kept], objects.given)


def led(several: Sequence[Objects], maps: Maps, before: int, after: int) -> list[Objects]:
    """The boxes of pictures of `before` pixels where the maps (B, 3, 3) lead them in pictures of `after` pixels, after the rule."""
    counts = [len(one.boxes) for one in several]
    flat, picture = together(several), np.repeat(np.arange(len(several)), counts)
    inside, share = visible(through(flat.boxes[:, 1:], maps[picture], before, after))
    total = share * flat.visible
    kept = is_kept(inside, total, after)
    rows = np.concatenate([flat.boxes[:, :1], inside], axis=1).astype(np.float32)[kept]
    ends = np.cumsum(np.bincount(picture[kept], minlength=len(several)))[:-1]
    parts = zip(several, np.split(rows, ends), np.split(total[kept], ends), strict=True)
    return [Objects(own, shares, one.given) for one, own, shares in parts]


def together(several: Iterable[Objects]) -> Objects:
    """The boxes of several pictures as those of one."""
    boxes, shares, given = zip(*several, strict=True)
    return Objects(np.concatenate(boxes), np.concatenate(shares), sum(given))


def _for_corners(limit: Any) -> Any:
    return limit[:, None] if np.ndim(limit) else limit


def _area(corners: Numbers) -> Numbers:
    sides = np.maximum(corners[:, 1] - corners[:, 0], 0.0)
    found: Numbers = sides[:, 0] * sides[:, 1]
    return found
