"""Pictures made worse in six ways, each at five severities, always the same: what a camera, a network or weather does to them.

The severities are those of Hendrycks & Dietterich 2019 (https://arxiv.org/abs/1903.12261), whose sizes in pixels are for
pictures of 224; here they are shares of the picture's side. Fog is a veil of plasma noise, as theirs, by Albumentations.
"""

import random
from collections.abc import Callable

import albumentations as A
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SEVERITIES = (1, 2, 3, 4, 5)
SIDE = 224  # pixels, of the pictures that the blur's widths were chosen for
NOISE = (0.08, 0.12, 0.18, 0.26, 0.38)  # standard deviation, of the whole range
BLUR = (1.0, 2.0, 3.0, 4.0, 6.0)  # standard deviation in pixels
JPEG = (25, 18, 15, 10, 7)  # quality
BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)  # added, of the whole range
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)  # that is left
FOG = (0.25, 0.4, 0.55, 0.7, 0.85)  # light that the veil adds where it is densest, of the whole range, and contrast that it takes


def _noise(level: int, _side: int) -> A.BasicTransform:
    return A.GaussNoise(std_range=(NOISE[level], NOISE[level]), p=1.0)


def _blur(level: int, side: int) -> A.BasicTransform:
    width = BLUR[level] * side / SIDE
    return A.GaussianBlur(blur_limit=0, sigma_limit=(width, width), p=1.0)


def _jpeg(level: int, _side: int) -> A.BasicTransform:
    return A.ImageCompression(quality_range=(JPEG[level], JPEG[level]), compression_type="jpeg", p=1.0)


def _brightness(level: int, _side: int) -> A.BasicTransform:
    added = (BRIGHTNESS[level], BRIGHTNESS[level])
    return A.RandomBrightnessContrast(brightness_limit=added, contrast_limit=(0.0, 0.0), p=1.0)


def _contrast(level: int, _side: int) -> A.BasicTransform:
    left = (CONTRAST[level], CONTRAST[level])
    return A.ColorJitter(brightness=(1.0, 1.0), contrast=left, saturation=(1.0, 1.0), hue=(0.0, 0.0), p=1.0)


def _fog(level: int, _side: int) -> A.BasicTransform:
    dense = FOG[level]
    return A.PlasmaBrightnessContrast(brightness_range=(dense, dense), contrast_range=(-dense, -dense), roughness=0.6, p=1.0)


CORRUPTIONS: dict[str, Callable[[int, int], A.BasicTransform]] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "brightness": _brightness,
    "contrast": _contrast,
    "fog": _fog,
}


def corrupted(pixels: Pixels, name: str, severity: int, image_keys: NDArray[np.int64]) -> Pixels:
    """Pictures (N, S, S, 3) uint8 RGB under one of CORRUPTIONS at a severity of 1 to 5.

    `image_keys` (N,), any non-negative integers that name the images, decide what is random: the same at every severity.
    """
    pipeline = A.Compose([CORRUPTIONS[name](severity - 1, pixels.shape[1])])
    worse = np.empty(pixels.shape, np.uint8)
    for row, (picture, key) in enumerate(zip(pixels, image_keys.tolist(), strict=True)):
        numbers = np.random.SeedSequence([key, list(CORRUPTIONS).index(name)])
        pipeline.set_random_state(np.random.default_rng(numbers), random.Random(int(numbers.generate_state(1)[0])))
        worse[row] = pipeline(image=np.ascontiguousarray(picture))["image"]
    return worse
