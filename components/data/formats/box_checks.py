"""What makes a box usable, the same for every layout."""

import math
from typing import NamedTuple

from components.data.boxes import Corners

CORNERS = ("x_min", "y_min", "x_max", "y_max")
Size = tuple[int, int]
OVERHANG = 0.005  # of the image: what rounding explains
_MOSTLY_INSIDE = 0.9  # of a box's area
_WHOLE = 0.999
_ROUNDING = 1e-6


class Verdict(NamedTuple):
    """A box's corners, clipped to the image where it is usable, and the code and words of what is odd about it, if anything."""

    corners: Corners
    code: str | None
    found: str


def judge(corners: Corners) -> Verdict:
    """Judge a box in fractions of the image.

    What overhangs by at most OVERHANG is clipped without a word, what overhangs by a tenth of its area with one; what
    is not finite, inverted, without area or further outside is named and left as it is.
    """
    x0, y0, x1, y1 = corners
    if not all(map(math.isfinite, corners)):
        return Verdict(corners, "box-not-finite", f"box ({shown(corners)}) is not finite")
    if x1 < x0 or y1 < y0:
        return Verdict(corners, "box-inverted", f"box ({shown(corners)}) ends before it begins")
    if x1 == x0 or y1 == y0:
        return Verdict(corners, "box-empty", f"box ({shown(corners)}) has no area")
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0))
    width, height = clipped[2] - clipped[0], clipped[3] - clipped[1]
    if width <= 0 or height <= 0:
        return Verdict(corners, "box-outside", f"box ({shown(corners)}) lies outside the image")
    if min(corners) < -OVERHANG or max(corners) > 1 + OVERHANG:
        if width / (x1 - x0) * (height / (y1 - y0)) < _MOSTLY_INSIDE:
            return Verdict(corners, "box-outside", f"box ({shown(corners)}) leaves the image")
        return Verdict(clipped, "box-overhang", f"box ({shown(corners)}) overhangs the image: clipped")
    if min(width, height) >= _WHOLE:
        return Verdict(clipped, "box-whole-image", f"box ({shown(corners)}) covers the whole image")
    return Verdict(clipped, None, "")


def sub_pixel(corners: Corners, size: Size) -> str | None:
    """In words, a box that is thinner than a pixel of an image of `size` (width, height) pixels; None when it is not."""
    width, height = (corners[2] - corners[0]) * size[0], (corners[3] - corners[1]) * size[1]
    return f"box is {width:.2g} x {height:.2g} pixels" if min(width, height) < 1 - _ROUNDING else None


def shown(corners: Corners) -> str:
    """Corners in words."""
    return ", ".join(f"{value:.4g}" for value in corners)


def looks_like_fractions(corners: Corners) -> bool:
    """Whether four numbers that should be pixels are fractions of the image: within 0..1 and not all whole."""
    return all(0 <= value <= 1 for value in corners) and not all(value.is_integer() for value in corners)
