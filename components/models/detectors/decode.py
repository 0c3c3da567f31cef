"""From what the detector's head puts out to boxes and scores.

An anchor is one cell of one feature map. Its raw row holds dx, dy, log w, log h (in cells, from the cell's centre;
the parametrisation of YOLOX, Ge et al. 2021, https://arxiv.org/abs/2107.08430) and then one logit a class.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

STRIDES = (8, 16, 32)
LOG_SIZE_LIMIT = 7.0  # e^7 cells is more than any image; beyond it float32 would overflow into infinite losses


@lru_cache(maxsize=32)
def anchor_grid(image_size: int, strides: tuple[int, ...] = STRIDES) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Centres (A, 2) as x, y and strides (A, 1) of all anchors, in pixels, row by row, finest map first."""
    centres, steps = [], []
    for stride in strides:
        cells = np.arange(-(-image_size // stride), dtype=np.float32)
        y, x = np.meshgrid(cells, cells, indexing="ij")
        centres.append((np.stack([x.ravel(), y.ravel()], axis=1) + 0.5) * stride)
        steps.append(np.full((x.size, 1), stride, np.float32))
    return np.concatenate(centres), np.concatenate(steps)


def decode_boxes(raw: Any, image_size: int, strides: Sequence[int] = STRIDES) -> Any:
    """Corners x_min, y_min, x_max, y_max (B, A, 4) in pixels of the square, of raw rows (B, A, 4 + C)."""
    centres, steps = anchor_grid(image_size, tuple(strides))
    middle = raw[..., :2] * steps + centres
    half = ops.exp(ops.clip(raw[..., 2:4], -LOG_SIZE_LIMIT, LOG_SIZE_LIMIT)) * steps / 2
    return ops.concatenate([middle - half, middle + half], axis=-1)


def decode(raw: Any, image_size: int, strides: Sequence[int] = STRIDES) -> tuple[Any, Any]:
    """Boxes (B, A, 4) as corners 0..1 of the letterboxed square, unclipped, and scores (B, A, C) in 0..1."""
    return decode_boxes(raw, image_size, strides) / image_size, ops.sigmoid(raw[..., 4:])


@keras.saving.register_keras_serializable(package="visionloop")
class Decoding(keras.layers.Layer):  # type: ignore[misc]
    """Raw rows (B, A, 4 + C) of a detector for squares of `size` pixels -> boxes and scores, as `decode` answers them."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = size

    def call(self, raw: Any) -> tuple[Any, Any]:
        """Boxes (B, A, 4) as corners 0..1 of the square, unclipped, and scores (B, A, C) in 0..1."""
        return decode(raw, self.size)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to build it again."""
        return {**super().get_config(), "size": self.size}
