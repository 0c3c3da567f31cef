"""One picture of what a diff of two versions of a dataset changed."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.data.decode import PADDING, DecodeError, read_image
from components.data.diff import Box, BoxChange, Diff, ImageChange

Pixels = NDArray[np.uint8]
Cell = tuple[Pixels, tuple[str, bool]]
BEFORE, AFTER = (235, 50, 50), (60, 200, 90)
PER_KIND = 12
SIDE = 240  # pixels, the longer side of a cell
_NAME = 26  # characters
_MARGIN = 0.15  # of the image, around the boxes that changed


def draw(diff: Diff, before: Path, after: Path, title: str, path: Path) -> None:
    """Write a PNG of images added, removed, replaced and relabelled, and of boxes before (red) and after (green).

    `before` and `after` are the folders of both versions of the dataset; at most PER_KIND cells a kind are drawn.
    """
    from components.evaluate.pictures import gallery

    cells = [*_image_cells(diff, before, after), *_box_cells(diff, after)]
    gallery([pixels for pixels, _ in cells], [caption for _, caption in cells], _plain(title), path)


def _image_cells(diff: Diff, before: Path, after: Path) -> Iterator[Cell]:
    for kind in ("added", "removed", "replaced", "relabelled"):
        for change in [one for one in diff.images if kind in one.kinds][:PER_KIND]:
            image = change.after or change.before
            assert image is not None
            root = before if change.after is None else after
            yield _shrunk(_pixels(root / image.path)), (_caption(_what(kind, change), image.path), kind != "removed")


def _what(kind: str, change: ImageChange) -> str:
    if change.before is not None and change.after is not None and kind == "relabelled":
        return f"{change.before.label} → {change.after.label}"
    image = change.after or change.before
    return f"{kind} {image.label}" if image is not None and image.label else kind


def _box_cells(diff: Diff, after: Path) -> Iterator[Cell]:
    """The images that are in both versions and have other boxes, those with the most changes first."""
    changed: dict[str, list[BoxChange]] = defaultdict(list)
    for change in diff.boxes:
        if change.before_path is not None and change.after_path is not None:
            changed[change.after_path].append(change)
    for path, changes in sorted(changed.items(), key=lambda item: (-len(item[1]), item[0]))[:PER_KIND]:
        counted = Counter(kind for change in changes for kind in change.kinds)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items()))
        yield _with_boxes(_pixels(after / path), changes), (_caption(told, path), True)


def _with_boxes(pixels: Pixels, changes: list[BoxChange]) -> Pixels:
    """The part of the image around what changed, boxes before in red under boxes after in green."""
    boxes = [(box, color) for color in (BEFORE, AFTER) for change in changes if (box := _side(change, color)) is not None]
    corners = np.array([box.corners for box, _ in boxes])
    low = np.clip(corners[:, :2].min(axis=0) - _MARGIN, 0, 1)
    high = np.clip(corners[:, 2:].max(axis=0) + _MARGIN, 0, 1)
    size = np.array(pixels.shape[1::-1])
    (left, top), (right, bottom) = np.floor(low * size).astype(int), np.ceil(high * size).astype(int)
    shown = _shrunk(pixels[top:bottom, left:right])
    scale = shown.shape[1] / (right - left)
    for box, color in boxes:
        x0, y0, x1, y1 = np.round((np.array(box.corners) * np.tile(size, 2) - [left, top, left, top]) * scale).astype(int).tolist()
        cv2.rectangle(shown, (x0, y0), (x1, y1), color, 2)
    return shown


def _side(change: BoxChange, color: tuple[int, int, int]) -> Box | None:
    return change.before if color == BEFORE else change.after


def _shrunk(pixels: Pixels) -> Pixels:
    scale = SIDE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    drawn: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(drawn)


def _pixels(path: Path) -> Pixels:
    """The image, or a gray square for one that cannot be decoded."""
    try:
        return read_image(path)
    except DecodeError:
        return np.full((SIDE, SIDE, 3), PADDING, np.uint8)


def _caption(text: str, path: str) -> str:
    name = path if len(path) <= _NAME else f"…{path[1 - _NAME :]}"
    return _plain(f"{text}\n{name}")


def _plain(text: str) -> str:
    """Text without what the drawing library would take for a formula."""
    return text.replace("$", r"\$")
