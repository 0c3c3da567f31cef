"""Quarter turns, mirrors and zooms of a whole batch, and where they lead boxes."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment.maps import Maps, chosen, scaled
from components.augment.moves import Index, Pixels
from components.augment.tones import Range, between

Numbers = NDArray[np.float64]
# Of each element of D4, in Albumentations' words: how OpenCV does it, and what becomes of a point (x, y) of the unit square.
ELEMENTS: dict[str, tuple[Callable[[Pixels], NDArray[np.uint8]], list[list[int]]]] = {
    "e": (lambda one: one, [[1, 0, 0], [0, 1, 0]]),
    "r90": (lambda one: cv2.rotate(one, cv2.ROTATE_90_COUNTERCLOCKWISE), [[0, 1, 0], [-1, 0, 1]]),  # type: ignore[dict-item,return-value]
    "r180": (lambda one: cv2.rotate(one, cv2.ROTATE_180), [[-1, 0, 1], [0, -1, 1]]),  # type: ignore[dict-item,return-value]
    "r270": (lambda one: cv2.rotate(one, cv2.ROTATE_90_CLOCKWISE), [[0, -1, 1], [1, 0, 0]]),  # type: ignore[dict-item,return-value]
    "v": (lambda one: cv2.flip(one, 0), [[1, 0, 0], [0, -1, 1]]),  # type: ignore[dict-item,return-value]
    "hvt": (lambda one: cv2.transpose(cv2.rotate(one, cv2.ROTATE_180)), [[0, -1, 1], [-1, 0, 1]]),  # type: ignore[dict-item,return-value]
    "h": (lambda one: cv2.flip(one, 1), [[-1, 0, 1], [0, 1, 0]]),  # type: ignore[dict-item,return-value]
    "t": (lambda one: cv2.transpose(one), [[0, 1, 0], [1, 0, 0]]),  # type: ignore[dict-item,return-value]
}


@dataclass(frozen=True)
class Turns:
    """One of some elements of D4, the symmetries of a square, each as likely, and by turns over the epochs, as flips are."""

    chance: float
    elements: tuple[str, ...]
    draws: int = 2

    def alternating(self) -> list[int]:
        """Which of its numbers are spread over the epochs."""
        return [1] if self.chance >= 1 else []

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3), turned."""
        return np.stack([ELEMENTS[name][0](one) for one, name in zip(pixels, self._names(numbers), strict=True)])

    def goes(self, numbers: Numbers, size: int) -> Maps:
        """Where they go, (B, 3, 3)."""
        found = np.array([[*ELEMENTS[name][1], [0, 0, 1]] for name in self._names(numbers)], np.float64).reshape(-1, 3, 3)
        found[:, :2, 2] *= size
        return found

    def _names(self, numbers: Numbers) -> list[str]:
        picked = (numbers[:, 1] * len(self.elements)).astype(int)
        return [self.elements[number] if happens else "e" for number, happens in zip(picked, numbers[:, 0] < self.chance, strict=True)]


@dataclass(frozen=True)
class Zoom:
    """Scaled about the middle, then moved by whole pixels: an affine map that neither turns nor shears, by whole pixels.

    What is seen is a rectangle of whole pixels, resized to one of whole pixels: four times as quick as a map to fractions
    of them. `limits` of x and y: the scale, and the move in pixels, as `moves` makes it of a number. Where `keeps_ratio`, y is
    scaled as x is. `fill` is the colour beside the picture.
    """

    chance: float
    scale: tuple[Range, Range]
    moves: tuple[Callable[[Numbers], Index], Callable[[Numbers], Index]]
    keeps_ratio: bool
    fill: int
    draws: int = 5

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3), zoomed."""
        size, found = pixels.shape[1], np.full_like(pixels, self.fill)
        across, along = (self._cuts(numbers, size, axis).tolist() for axis in (0, 1))
        for place, happens in enumerate(numbers[:, 0] < self.chance):
            (x, wide, left, width), (y, tall, top, height) = across[place], along[place]
            if not happens:
                found[place] = pixels[place]
            elif wide and tall:
                shown = found[place, top : top + height, left : left + width]
                cv2.resize(pixels[place, y : y + tall, x : x + wide], (width, height), shown, interpolation=cv2.INTER_LINEAR)
        return found

    def goes(self, numbers: Numbers, size: int) -> Maps:
        """Where they go, (B, 3, 3)."""
        stretches, shifts = [], []
        for axis in (0, 1):
            start, length, after, stretched = self._cuts(numbers, size, axis).T
            stretches.append(np.where(length > 0, stretched, 1.0) / np.maximum(length, 1))
            shifts.append(np.where(length > 0, after - start * stretches[-1], 2.0 * size))  # out of sight
        return chosen(numbers[:, 0] < self.chance, scaled(*stretches, *shifts))

    def _cuts(self, numbers: Numbers, size: int, axis: int) -> NDArray[np.int64]:
        """Of an axis, (B, 4): first pixel and length of what is seen, and of where it is shown; length 0 where nothing is."""
        scale = between(numbers[:, 1 if self.keeps_ratio else 1 + axis], self.scale[axis])
        start = size / 2 * (1 - scale) + self.moves[axis](numbers[:, 3 + axis])
        first, last = (np.clip(np.rint((edge - start) / scale), 0, size) for edge in (0, size))
        begin, end = (np.clip(np.rint(start + scale * edge), 0, size) for edge in (first, last))
        some = (last > first) & (end > begin)
        return np.where(some, [first, last - first, begin, end - begin], 0).astype(np.int64).T
