"""The cells that pictures of single images are made of: shrunk, with boxes on them, under a short caption."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.data.decode import PADDING, DecodeError, read_image

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]
Marked = tuple[Sequence[float], Color]
RED, GREEN = (235, 50, 50), (60, 200, 90)
SIDE = 240  # pixels, the longer side of a cell
_NAME = 26  # characters
_MARGIN = 0.15  # of the image, around the boxes that are marked


def read(path: Path) -> Pixels:
    """The image, RGB uint8 (H, W, 3), or a gray square for one that cannot be decoded."""
    try:
        return read_image(path)
    except DecodeError:
        return np.full((SIDE, SIDE, 3), PADDING, np.uint8)


def shrunk(pixels: Pixels) -> Pixels:
    """The image with its longer side at SIDE pixels."""
    scale = SIDE / max(pixels.shape[:2])
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    drawn: Any = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(drawn)


def marked(pixels: Pixels, boxes: Sequence[Marked]) -> Pixels:
    """The part of an image around boxes (corners 0..1 of the image), each drawn in its colour, the last on top."""
    corners = np.array([box for box, _ in boxes])
    low = np.clip(corners[:, :2].min(axis=0) - _MARGIN, 0, 1)
    high = np.clip(corners[:, 2:].max(axis=0) + _MARGIN, 0, 1)
    size = np.array(pixels.shape[1::-1])
    (left, top), (right, bottom) = np.floor(low * size).astype(int), np.ceil(high * size).astype(int)
    shown = shrunk(pixels[top:bottom, left:right])
    scale = shown.shape[1] / (right - left)
    for box, color in boxes:
        x0, y0, x1, y1 = np.round((np.array(box) * np.tile(size, 2) - [left, top, left, top]) * scale).astype(int).tolist()
        cv2.rectangle(shown, (x0, y0), (x1, y1), color, 2)
    return shown


def caption(text: str, path: str) -> str:
    """A text over the end of a path."""
    name = path if len(path) <= _NAME else f"…{path[1 - _NAME :]}"
    return plain(f"{text}\n{name}")


def plain(text: str) -> str:
    """Text without what the drawing library would take for a formula."""
    return text.replace("$", r"\$")
