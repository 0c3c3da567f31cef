"""Pictures made of two: blended, or one pasted into the other, and their labels in the same shares."""

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Soft = NDArray[np.float32]


@dataclass(frozen=True)
class Mixing:
    """What is done to each batch: MixUp or CutMix, each off at alpha 0; where both are on, either with probability a half.

    Both draw the share of the first picture from Beta(alpha, alpha), once a batch.
    """

    mixup: float
    cutmix: float
    num_classes: int

    def __call__(self, pixels: Pixels, classes: NDArray[Any], rng: np.random.Generator) -> tuple[Pixels, Soft]:
        """Pixels (B, S, S, 3) and class indices (B,) as mixed pixels and soft targets (B, num_classes), each row of sum 1."""
        soft = np.eye(self.num_classes, dtype=np.float32)[classes]
        if self.mixup > 0 and (self.cutmix <= 0 or rng.random() < 0.5):
            return mixup(pixels, soft, self.mixup, rng)
        return cutmix(pixels, soft, self.cutmix, rng)


def mixup(pixels: Pixels, soft: Soft, alpha: float, rng: np.random.Generator) -> tuple[Pixels, Soft]:
    """Each picture blended with another of the batch: share * own + (1 - share) * other, rounded (Zhang et al. 2018, arXiv:1710.09412)."""
    share, other = float(rng.beta(alpha, alpha)), rng.permutation(len(pixels))
    flat = pixels.reshape(len(pixels), -1)
    blended = cv2.addWeighted(flat, share, flat[other], 1 - share, 0)
    return np.asarray(blended, np.uint8).reshape(pixels.shape), blend(soft, other, share)


def cutmix(pixels: Pixels, soft: Soft, alpha: float, rng: np.random.Generator) -> tuple[Pixels, Soft]:
    """A rectangle of another picture of the batch in the same place of each (Yun et al. 2019, arXiv:1905.04899).

    Its sides are sqrt(1 - share) of the picture's and its centre lies anywhere, so that the edge may cut it off; the
    labels have the shares of the pixels that are seen.
    """
    share, other, size = float(rng.beta(alpha, alpha)), rng.permutation(len(pixels)), pixels.shape[1]
    half = math.sqrt(1 - share) * size / 2
    y, x = rng.random(2) * size
    top, bottom, left, right = (round(min(max(edge, 0), size)) for edge in (y - half, y + half, x - half, x + half))
    mixed = pixels.copy()
    mixed[:, top:bottom, left:right] = pixels[other, top:bottom, left:right]
    return mixed, blend(soft, other, 1 - (bottom - top) * (right - left) / size**2)


def blend(soft: Soft, other: NDArray[np.int64], share: float) -> Soft:
    """Targets (B, C): `share` of each row's own and the rest of the other's."""
    return np.float32(share) * soft + np.float32(1 - share) * soft[other]
