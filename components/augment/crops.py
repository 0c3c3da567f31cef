"""Crops of random size and shape, resized, of a whole batch, as Albumentations draws and computes them."""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment.maps import Maps, chosen, scaled
from components.augment.tones import Range, between

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]
TRIES = 10  # draws of area and shape, until one fits into the picture; then the whole picture is taken


@dataclass(frozen=True)
class ResizedCrop:
    """A rectangle of `scale` of the picture's area and width / height within `ratio`, resized to `after` pixels (arXiv:1409.4842)."""

    after: int
    scale: Range
    ratio: Range
    interpolation: int
    chance: float = 1.0
    draws: int = 3 + 2 * TRIES

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3) as (B, after, after, 3); those that chance leaves out must have that size already."""
        happens, found = numbers[:, 0] < self.chance, np.empty((len(pixels), self.after, self.after, 3), np.uint8)
        for place, (x, y, w, h) in enumerate(self._rectangles(pixels.shape[1], numbers).tolist()):
            if happens[place]:
                cv2.resize(pixels[place, y : y + h, x : x + w], (self.after, self.after), found[place], interpolation=self.interpolation)
            else:
                found[place] = pixels[place]
        return found

    def goes(self, numbers: Numbers, size: int) -> Maps:
        """Where pictures of `size` pixels go, (B, 3, 3)."""
        left, top, width, height = self._rectangles(size, numbers).T
        x, y = self.after / width, self.after / height
        return chosen(numbers[:, 0] < self.chance, scaled(x, y, -left * x, -top * y))

    def _rectangles(self, size: int, numbers: Numbers) -> NDArray[np.int64]:
        """Left, top, width and height (B, 4)."""
        width, height = self._sides(size, numbers[:, 3:])
        left, top = ((size - width + 1) * numbers[:, 2]).astype(int), ((size - height + 1) * numbers[:, 1]).astype(int)
        return np.stack([left, top, width, height], axis=1)

    def _sides(self, size: int, numbers: Numbers) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Width and height (B,) of the first draw that fits."""
        area = between(numbers[:, :TRIES], self.scale) * size * size
        shape = np.exp(between(numbers[:, TRIES:], (math.log(self.ratio[0]), math.log(self.ratio[1]))))
        width, height = np.rint(np.sqrt(area * shape)).astype(int), np.rint(np.sqrt(area / shape)).astype(int)
        fits = (width > 0) & (width <= size) & (height > 0) & (height <= size)
        first = fits.argmax(axis=1)[:, None]
        picked = (np.where(fits.any(axis=1), np.take_along_axis(side, first, axis=1)[:, 0], size) for side in (width, height))
        return next(picked), next(picked)


@dataclass(frozen=True)
class Resized:
    """The whole picture at another size, each pixel the mean of those that it stands for."""

    after: int
    draws: int = 0

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3) as (B, after, after, 3)."""
        return np.stack([cv2.resize(one, (self.after, self.after), interpolation=cv2.INTER_AREA) for one in pixels])

    def goes(self, numbers: Numbers, size: int) -> Maps:
        """Where pictures of `size` pixels go, (B, 3, 3)."""
        scale = np.full(len(numbers), self.after / size)
        return scaled(scale, scale, np.zeros(len(numbers)), np.zeros(len(numbers)))
