"""The filters with which a network begins."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from components.errors import UsageError
from components.explain.trace import CONVOLUTIONS, Trace


@dataclass(frozen=True)
class Kernels:
    """The first convolution's name and its filters (N, h, w, channels): as many channels as each filter reads."""

    layer: str
    values: NDArray[np.float32]


def first_filters(done: Trace) -> Kernels:
    """The filters of the first convolution. Raises UsageError for a network without one.

    A depthwise filter reads one channel: there is one for each channel and multiple.
    """
    step = next((step for step in done.steps.values() if isinstance(step.layer, CONVOLUTIONS)), None)
    if step is None:
        raise UsageError("the network has no convolution: there is no filter to look at")
    layer: Any = step.layer
    if isinstance(layer, keras.layers.Conv2D):
        return Kernels(step.name, np.moveaxis(np.asarray(layer.kernel, np.float32), -1, 0))
    kernel = np.asarray(layer.kernel if isinstance(layer, keras.layers.DepthwiseConv2D) else layer.depthwise_kernel, np.float32)
    return Kernels(step.name, kernel.reshape(*kernel.shape[:2], -1).transpose(2, 0, 1)[..., None])


def tiles(kernels: Kernels) -> NDArray[np.float32]:
    """The filters as tiles, 0.5 for a weight of 0, each filter's strongest weight at 0 or 1.

    Filters of three channels as (N, h, w, 3) colours; others as (N x channels, h, w), one tile a channel.
    """
    values = kernels.values
    most = np.abs(values).max(axis=(1, 2, 3), keepdims=True)
    shown = 0.5 + 0.5 * np.divide(values, most, out=np.zeros_like(values), where=most > 0)
    return shown if values.shape[-1] == 3 else np.concatenate(np.moveaxis(shown, -1, 1))
