"""Pictures made of several, with the boxes of all: a mosaic of four, or two blended, before the policy sees them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import Example
from components.augment.clipping import Objects, clipped, together
from components.augment.numbers import uniforms

Pixels = NDArray[np.uint8]
Numbers = NDArray[np.float64]

CENTRE = (0.3, 0.7)  # of the side, between which the four pictures of a mosaic meet
SMALLEST = 0.5  # of its size, to which a picture of a mosaic is shrunk at most
OF_MOSAIC = 14  # numbers: the centre, then of each picture its size and its place
DRAWS = OF_MOSAIC + 6
FIRST = 1 << 20  # of an image's numbers: those before are the policy's


@dataclass(frozen=True)
class Composing:
    """Which share of the pictures, 0..1, is a mosaic of four (YOLOv4, arXiv:2004.10934), and which is blended half and half with
    another picture (MixUp, arXiv:1710.09412, as YOLOX has it for boxes, arXiv:2107.08430).

    The other pictures are any of the training's. All depends on (seed, epoch, image) alone.
    """  # fmt: skip

    mosaic: float
    mixup: float
    seed: int

    def __call__(
        self, example: Callable[[int], Example], count: int, picked: NDArray[np.int64], epoch: int, image_keys: NDArray[np.int64]
    ) -> tuple[Pixels, list[Objects]]:
        """Pictures `picked` (B,) of the `count` that `example` gives, (B, S, S, 3), and the boxes of each."""
        numbers = uniforms(self.seed, epoch, image_keys, DRAWS, FIRST)
        others = (numbers[:, OF_MOSAIC + 2 :] * count).astype(int)
        shown, after = np.empty((len(picked), *example(0).pixels.shape), np.uint8), []
        for place, (row, own, other) in enumerate(zip(picked.tolist(), numbers, others.tolist(), strict=True)):
            picture = _whole(example(row))
            if own[OF_MOSAIC] < self.mosaic:
                picture = mosaic([picture, *(_whole(example(one)) for one in other[:3])], own[:OF_MOSAIC])
            if own[OF_MOSAIC + 1] < self.mixup:
                picture = blended(picture, _whole(example(other[3])))
            shown[place], objects = picture
            after.append(objects)
        return shown, after


def mosaic(pictures: list[tuple[Pixels, Objects]], numbers: Numbers) -> tuple[Pixels, Objects]:
    """Four pictures (S, S, 3) as one of their size, each a window of its own in a corner; boxes are clipped to it, or dropped.

    `numbers` (14,) in 0..1: the point where they meet (x, y), between CENTRE of the side; of each picture the share of its
    size that it is shown at, from what just fills its corner, SMALLEST at least, to 1, and where (x, y) its window lies.
    """
    size = len(pictures[0][0])
    x, y = np.rint((CENTRE[0] + (CENTRE[1] - CENTRE[0]) * numbers[:2]) * size).astype(int).tolist()
    corners = ((0, 0, x, y), (x, 0, size, y), (0, y, x, size), (x, y, size, size))
    found, windows = np.empty_like(pictures[0][0]), []
    for (pixels, _), (left, top, right, bottom), drawn in zip(pictures, corners, numbers[2:].reshape(4, 3), strict=True):
        least = max(right - left, bottom - top, SMALLEST * size) / size
        share = least + (1 - least) * drawn[0]
        width, height = min(round((right - left) / share), size), min(round((bottom - top) / share), size)
        begin, above = round((size - width) * drawn[1]), round((size - height) * drawn[2])
        window = pixels[above : above + height, begin : begin + width]
        cv2.resize(window, (right - left, bottom - top), found[top:bottom, left:right], interpolation=cv2.INTER_LINEAR)
        windows.append((begin, above, begin + width, above + height))
    return found, _in_corners([objects for _, objects in pictures], np.array(windows) / size, np.array(corners) / size, size)


def blended(picture: tuple[Pixels, Objects], other: tuple[Pixels, Objects]) -> tuple[Pixels, Objects]:
    """The mean of two pictures, with the boxes of both."""
    pixels = cv2.addWeighted(picture[0], 0.5, other[0], 0.5, 0)
    return np.asarray(pixels, np.uint8), together([picture[1], other[1]])


def _whole(example: Example) -> tuple[Pixels, Objects]:
    return example.pixels, Objects.whole(example.boxes)


def _in_corners(several: list[Objects], windows: Numbers, corners: Numbers, size: int) -> Objects:
    """The boxes of four pictures whose windows (4, 4) are shown in corners (4, 4) of one, both in 0..1 of `size` pixels."""
    objects, picture = together(several), np.repeat(np.arange(4), [len(one.boxes) for one in several])
    window, corner = windows[picture].reshape(-1, 2, 2), corners[picture].reshape(-1, 2, 2)
    stretch = (corner[:, 1] - corner[:, 0]) / (window[:, 1] - window[:, 0])
    places = (objects.boxes[:, 1:].reshape(-1, 2, 2) - window[:, :1]) * stretch[:, None] + corner[:, :1]
    rows = np.concatenate([objects.boxes[:, :1], places.reshape(-1, 4)], axis=1)
    return clipped(objects._replace(boxes=rows), size, corner[:, 0], corner[:, 1])
