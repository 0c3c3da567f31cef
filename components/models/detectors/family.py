"""What tells one kind of detector from another."""

from collections.abc import Callable
from typing import NamedTuple

import keras


class Family(NamedTuple):
    """A kind of detector for (num_classes, image_size); image_size is in pixels, a multiple of 32.

    `build`: squares (B, S, S, 3) uint8 -> raw rows (B, A, W) float32, A anchors, finest map first. `decoding`: a layer that
    Keras can save, raw rows -> boxes (B, A, 4), corners 0..1 of the square, and scores (B, A, C) in 0..1. `loss`: its `call`
    maps labels (B, M, 5) float32, rows class, x_min, y_min, x_max, y_max in 0..1 and class -1 for padding, and raw rows to
    one loss an image (B,).
    """

    build: Callable[[int, int], keras.Model]
    decoding: Callable[[int, int], keras.layers.Layer]
    loss: Callable[[int, int], keras.losses.Loss]
