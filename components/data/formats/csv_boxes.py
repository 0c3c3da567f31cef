"""The box of a CSV row: four numbers, as corners, as a corner and extents, or as a centre and extents."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from components.data.boxes import Corners
from components.data.formats.box_checks import looks_like_fractions
from components.data.formats.text import LabelError

_FORM = "a class, and numbers for the corners of its box"
_PIXELS = 2.0  # no fraction, however sloppy, is that large


class Box(NamedTuple):
    """Corners in the units they are written in; `code` says why they cannot be used, if they cannot."""

    corners: Corners
    code: str | None
    found: str
    oddities: tuple[str, ...]


def parse(texts: Sequence[str], kind: str, *, in_pixels: bool) -> Box:
    """Read four texts as "corners", "extents" or "centers". Raises LabelError where one is missing or no number."""
    shown = ", ".join(texts)[:80]
    if "" in texts:
        raise LabelError("corner-missing", f"received the corners {shown!r}", form=_FORM)
    numbers = [number(text) for text in texts]
    values = [value for value, _ in numbers if value is not None]
    if len(values) < 4:
        raise LabelError("not-a-number", f"received the corners {shown!r}")
    oddities = ("label-decimal-comma",) if any(odd for _, odd in numbers) else ()
    corners = _to_corners(values, kind)
    if kind != "corners" and min(values[2:]) < 0:
        return Box(corners, "box-negative", f"box is {values[2]:.4g} wide and {values[3]:.4g} high", oddities)
    if in_pixels and looks_like_fractions(corners):
        return Box(corners, "box-in-fractions", f"received the corners {shown}", oddities)
    if not in_pixels and _PIXELS <= max(corners) < math.inf:
        return Box(corners, "box-in-pixels", f"received the corners {shown}", oddities)
    return Box(corners, None, "", oddities)


def in_pixels(rows: Sequence[list[str]], places: Sequence[int]) -> bool:
    """Whether the corners of half of the rows or more, of those that have some, are too large for fractions."""
    largest = []
    for row in rows:
        values = [value for at in places if at < len(row) and (value := number(row[at])[0]) is not None and math.isfinite(value)]
        if len(values) == 4:
            largest.append(max(values))
    return bool(largest) and sum(value >= _PIXELS for value in largest) * 2 >= len(largest)


def number(text: str) -> tuple[float | None, bool]:
    """A number and whether it is written with a decimal comma."""
    text = text.strip()
    comma = text.count(",") == 1 and "." not in text
    try:
        return (None if "_" in text else float(text.replace(",", ".") if comma else text)), comma
    except ValueError:
        return None, False


def is_set(row: list[str], at: int | None) -> bool:
    """Whether a column that may not be there says yes."""
    return at is not None and row[at].strip().lower() in ("1", "1.0", "true", "yes")


def _to_corners(values: list[float], kind: str) -> Corners:
    a, b, c, d = values
    if kind == "extents":
        return a, b, a + c, b + d
    if kind == "centers":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d
