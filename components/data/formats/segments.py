"""COCO segmentations: polygons and run-length encoded masks, and the boxes around them.

Formats as in pycocotools' maskApi (T.-Y. Lin et al., "Microsoft COCO", 2014): runs go down columns, zeros first; the
compressed form holds differences to the run before last, six bits a character, least significant five first.
"""

import math
from itertools import accumulate
from typing import Any

from components.data.boxes import Corners

_EMPTY: Corners = (0.0, 0.0, 0.0, 0.0)


def bounds(segmentation: Any) -> Corners | None:
    """The box (x_min, y_min, x_max, y_max) in pixels around a segmentation.

    Polygons are bounded by their points, masks by their pixels; all zeros for an empty mask. None for what is no
    segmentation, an empty list among them.
    """
    if isinstance(segmentation, list):
        return _polygon_bounds(segmentation)
    counts = _counts(segmentation) if isinstance(segmentation, dict) else None
    return None if counts is None else _mask_bounds(counts, segmentation["size"][0])


def _polygon_bounds(polygons: list[Any]) -> Corners | None:
    values: list[float] = []
    for polygon in polygons:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            return None
        if not all(type(value) in (int, float) and math.isfinite(value) for value in polygon):
            return None
        values += polygon
    if not values:
        return None
    xs, ys = values[::2], values[1::2]
    return float(min(xs)), float(min(ys)), float(max(xs)), float(max(ys))


def _counts(mask: dict[str, Any]) -> list[int] | None:
    """The runs of a mask; None unless they are whole, not negative, and fill its `size` [height, width] exactly."""
    size, counts = mask.get("size"), mask.get("counts")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        return None
    if isinstance(counts, str):
        counts = _decompress(counts)
    if not isinstance(counts, list) or not all(type(count) is int and count >= 0 for count in counts):
        return None
    return counts if sum(counts) == size[0] * size[1] else None


def _decompress(text: str) -> list[int] | None:
    counts: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 60:
            return None
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    return None if shift else counts


def _mask_bounds(counts: list[int], height: int) -> Corners:
    ends = list(accumulate(counts))
    runs = [(start, end - 1) for start, end in zip(ends[::2], ends[1::2], strict=False) if end > start]
    if not runs:
        return _EMPTY
    left, right = runs[0][0] // height, runs[-1][1] // height
    spans = any(start // height != end // height for start, end in runs)
    top = 0 if spans else min(start % height for start, _ in runs)
    bottom = height - 1 if spans else max(end % height for _, end in runs)
    return float(left), float(top), float(right + 1), float(bottom + 1)
