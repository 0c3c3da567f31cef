"""A first convolution that is computed from the data instead of learnt: its outputs are uncorrelated."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

NOISE = 2.0  # variance, in squared pixel values, that is taken for noise: directions with less are not blown up
EVERY = 3  # pixels between the patches that are looked at


@keras.saving.register_keras_serializable(package="visionloop")
class Whitening(layers.Conv2D):  # type: ignore[misc]
    """A convolution along the principal axes of the pixels' patches, each of variance 1, and along their opposites.

    As in https://arxiv.org/abs/2404.00498: `filters` / 2 axes, those of the most variance first, and then the same with
    the other sign, so that a rectifier loses nothing. `adapt` sets the weights; before it they are random. It needs no
    gradient, which of all layers costs most at the first.
    """

    def call(self, inputs: Any) -> Any:
        """Axes (B, H', W', filters) of pixels (B, H, W, 3), 0..255."""
        return super().call(keras.ops.cast(inputs, self.compute_dtype))

    def adapt(self, pixels: NDArray[np.uint8]) -> None:
        """Set the weights from images (N, S, S, 3), 0..255."""
        height, width = self.kernel_size
        windows = np.lib.stride_tricks.sliding_window_view(pixels, (height, width), axis=(1, 2))[:, ::EVERY, ::EVERY]
        patches = windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, height * width * pixels.shape[-1]).astype(np.float32)
        axes = whitening_axes(patches, self.filters // 2)
        # Rounded as training sees them, so that the mean that is subtracted is that of the very same axes.
        axes = tf.cast(tf.cast(axes, tf.bfloat16), tf.float32).numpy()
        both = np.concatenate([axes, -axes], axis=1)
        self.kernel.assign(both.reshape(self.kernel.shape))
        self.bias.assign(-patches.mean(axis=0) @ both)


def whitening_axes(patches: NDArray[np.float32], count: int) -> NDArray[Any]:
    """Columns (D, count) that map patches (N, D) to `count` uncorrelated numbers of variance 1, less where there is only noise.

    Raises ValueError for more axes than a patch has numbers.
    """
    if count > patches.shape[1]:
        raise ValueError(f"{count} axes of patches with {patches.shape[1]} numbers: expected at most as many")
    variances, axes = np.linalg.eigh(np.cov(patches.T))
    return axes[:, ::-1][:, :count] / np.sqrt(variances[::-1][:count] + NOISE)
