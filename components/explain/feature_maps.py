"""What a network makes of a photograph, layer by layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.explain.trace import Step


def channels(step: Step) -> NDArray[np.float32]:
    """The map of the first image, (H, W, C) float32."""
    return np.asarray(step.output[0], np.float32)


def most_varied(maps: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """Which `count` channels of (H, W, C) vary most over the picture, in their own order: many others are blank."""
    ranked = np.argsort(-maps.std(axis=(0, 1), dtype=np.float64), kind="stable")
    return np.sort(ranked[:count])


def tiles(maps: NDArray[np.floating[Any]], count: int) -> NDArray[np.float32]:
    """The `count` most varied channels, (n, H, W) float32, each from 0 at its least to 1 at its most; 0 where it is even."""
    shown = np.moveaxis(maps[:, :, most_varied(maps, count)], -1, 0).astype(np.float32)
    least = shown.min(axis=(1, 2), keepdims=True)
    extent = shown.max(axis=(1, 2), keepdims=True) - least
    return np.divide(shown - least, extent, out=np.zeros_like(shown), where=extent > 0)
