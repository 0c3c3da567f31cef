"""One row of a YOLO label file: `class x_center y_center width height` in fractions, or `class` and a polygon."""

import math
import re
from typing import Any, NamedTuple

from components.data.boxes import Corners
from components.data.formats.text import LabelError

FORM = "`class x_center y_center width height` or `class` and three or more points"
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")
_SEPARATORS = re.compile(r"[\s,;]+")
_PIXELS = 2.0  # no fraction, however sloppy, is that large


class Row(NamedTuple):
    """A row's class number and box, in fractions of the image, and the codes of what is odd about its spelling."""

    number: int
    corners: Corners
    oddities: tuple[str, ...] = ()


class BoxError(LabelError):
    """A row whose class is known and whose box cannot be used."""

    def __init__(self, row: Row, code: str, found: str) -> None:
        """`row` holds the box as written."""
        super().__init__(code, found)
        self.row = row


def parse(line: str, names: list[str], *, keypoints: bool = False) -> Row:
    """Read a row that is not blank; with `keypoints` what follows the box are points within it.

    Raises LabelError for what is no row or names no class, BoxError for a box that cannot be meant.
    """
    tokens, oddities = _split(line)
    values = [_number(token) for token in tokens]
    if None in values[1:]:
        wrong = next(token for token, value in zip(tokens[1:], values[1:], strict=True) if value is None)
        raise LabelError("not-a-number", f"received {wrong[:40]!r} in {line.strip()[:80]!r}")
    if len(values) < 5:
        raise LabelError("row-short", f"received {len(values)} values: {line.strip()[:80]!r}", form=FORM)
    coordinates = [value for value in values[1:] if value is not None]
    number = _class(tokens[0], values[0], names)
    if len(coordinates) == 4 or keypoints:
        return _box(number, coordinates[:4], oddities)
    if len(coordinates) % 2 or len(coordinates) < 6:
        known = " (the last may be a prediction's confidence)" if len(coordinates) == 5 else ""
        raise LabelError("row-long", f"received {len(values)} values{known}: {line.strip()[:80]!r}", form=FORM)
    return _polygon(number, coordinates, oddities)


def _split(line: str) -> tuple[list[str], tuple[str, ...]]:
    tabs = ("label-tabs",) if "\t" in line.strip() else ()
    if "," not in line and ";" not in line:
        return line.split(), tabs
    tokens = line.split()
    if len(tokens) >= 5 and all(_DECIMAL_COMMA.fullmatch(token) for token in tokens if "," in token) and ";" not in line:
        return [token.replace(",", ".") for token in tokens], ("label-decimal-comma", *tabs)
    return [token for token in _SEPARATORS.split(line) if token], ("label-commas", *tabs)


def _number(token: str) -> float | None:
    try:
        return None if "_" in token else float(token)  # Python reads 1_0 as ten, no label does
    except ValueError:
        return None


def _class(token: str, value: float | None, names: list[str]) -> int:
    known: dict[str, Any] = {"last": len(names) - 1, "names": ", ".join(names[:8])}
    if value is None or not math.isfinite(value) or not value.is_integer():
        raise LabelError("class-not-whole", f"class {token[:40]!r} is no whole number", **known)
    if not 0 <= value < len(names):
        raise LabelError("class-unknown", f"class {token[:40]} is unknown", **known)
    return int(value)


def _box(number: int, values: list[float], oddities: tuple[str, ...]) -> Row:
    x, y, width, height = values
    row = Row(number, (x - width / 2, y - height / 2, x + width / 2, y + height / 2), oddities)
    if all(map(math.isfinite, values)):
        _refuse_pixels(row, values)
        if width < 0 or height < 0:
            raise BoxError(row, "box-negative", f"box is {width:.4g} wide and {height:.4g} high")
    return row


def _polygon(number: int, values: list[float], oddities: tuple[str, ...]) -> Row:
    xs, ys = values[::2], values[1::2]
    if not all(map(math.isfinite, values)):
        return Row(number, (math.nan,) * 4, oddities)
    row = Row(number, (min(xs), min(ys), max(xs), max(ys)), oddities)
    _refuse_pixels(row, values)
    return row


def _refuse_pixels(row: Row, values: list[float]) -> None:
    if max(values) >= _PIXELS:
        raise BoxError(row, "box-in-pixels", f"received the coordinate {max(values):.6g}")
