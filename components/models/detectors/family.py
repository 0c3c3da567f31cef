"""What tells one kind of detector from another."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras

from components.models.detectors.decode import STRIDES

PRIOR = 0.01  # the score every anchor starts with (RetinaNet, https://arxiv.org/abs/1708.02002): most are background
PRIOR_LOGIT = -math.log(1 / PRIOR - 1)
MOMENTUM = 0.9  # of batch-norm statistics: small sets have few steps an epoch


class Family(NamedTuple):
    """A kind of detector; image_size is in pixels, a multiple of 32.

    `build` (num_classes, image_size): squares (B, S, S, 3) uint8 -> raw rows (B, A, W) float32, A anchors, finest map first.
    `decoding` (image_size): a layer that Keras can save, raw rows -> boxes (B, A, 4), corners 0..1 of the square, and scores
    (B, A, C) in 0..1. `loss` (num_classes, image_size): its `call` maps labels (B, M, 5) float32, rows class, x_min, y_min,
    x_max, y_max in 0..1 and class -1 for padding, and raw rows to one loss an image (B,).
    """

    build: Callable[[int, int], keras.Model]
    decoding: Callable[[int], keras.layers.Layer]
    loss: Callable[[int, int], keras.losses.Loss]


def squares(image_size: int) -> Any:
    """What a detector looks at, (B, S, S, 3) uint8. Raises ValueError when `image_size` is no multiple of 32."""
    if image_size % STRIDES[-1]:
        raise ValueError(f"image_size is {image_size} pixels, expected a multiple of {STRIDES[-1]}")
    return keras.Input((image_size, image_size, 3), dtype="uint8", name="image")
