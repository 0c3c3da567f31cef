"""Brightness, contrast, hue and saturation of a whole batch, by a table of 256 values an image, as Albumentations computes them."""

from dataclasses import dataclass

import cv2
import numpy as np
import stringzilla
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]
Range = tuple[float, float]
LEVELS = np.arange(256, dtype=np.float32)
HUES = 180  # of OpenCV's uint8 hue circle


@dataclass(frozen=True)
class BrightnessContrast:
    """Every level x becomes (1 + contrast) x + 255 brightness, clipped; the mean level in place of 255 unless `by_max`."""

    chance: float
    brightness: Range
    contrast: Range
    by_max: bool
    draws: int = 3

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3), changed in place."""
        chosen = np.flatnonzero(numbers[:, 0] < self.chance)
        scale = between(numbers[chosen, 1], self.contrast) + 1
        reach = np.full(len(chosen), 255.0) if self.by_max else pixels[chosen].mean(axis=(1, 2, 3))
        tables = levels(scale, between(numbers[chosen, 2], self.brightness) * reach)
        for place, table in zip(chosen, tables, strict=True):
            stringzilla.translate(memoryview(pixels[place]), memoryview(table), inplace=True)
        return pixels


@dataclass(frozen=True)
class HueSaturationValue:
    """Hue is turned, saturation and value are shifted, in OpenCV's uint8 HSV; what has no colour gets none."""

    chance: float
    hue: Range
    saturation: Range
    value: Range
    draws: int = 4

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3), changed in place."""
        chosen = np.flatnonzero(numbers[:, 0] < self.chance)
        shifts = [between(numbers[chosen, place], limits) for place, limits in ((1, self.hue), (2, self.saturation), (3, self.value))]
        for place, tables in zip(chosen, hsv_tables(*shifts), strict=True):
            planes = cv2.split(cv2.cvtColor(pixels[place], cv2.COLOR_RGB2HSV))
            for plane, table in zip(planes, tables, strict=True):  # a quarter of the time of cv2.LUT with three tables
                stringzilla.translate(memoryview(plane), memoryview(table), inplace=True)  # type: ignore[arg-type]
            cv2.cvtColor(cv2.merge(planes), cv2.COLOR_HSV2RGB, pixels[place])
        return pixels


def between(numbers: Numbers, limits: Range) -> Numbers:
    """Numbers of 0..1 as numbers of a range."""
    return limits[0] + (limits[1] - limits[0]) * numbers


def levels(scale: Numbers, offset: Numbers) -> Pixels:
    """Tables (B, 256) of scale * level + offset, clipped to 0..255, the fraction cut off."""
    exact = LEVELS * scale.astype(np.float32)[:, None] + offset.astype(np.float32)[:, None]
    return np.clip(exact, 0, 255).astype(np.uint8)


def hsv_tables(hue: Numbers, saturation: Numbers, value: Numbers) -> Pixels:
    """Tables (B, 3, 256) of the three channels; saturation 0 stays 0."""
    turned = np.mod(LEVELS + hue[:, None], HUES)
    shifted = [np.clip(LEVELS + np.trunc(by[:, None]), 0, 255) for by in (saturation, value)]
    shifted[0][:, 0] = 0
    return np.stack([turned, *shifted], axis=1).astype(np.uint8)
