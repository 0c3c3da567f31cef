"""Muon for convolutions: every kernel moves equally far in all directions (https://kellerjordan.github.io/posts/muon)."""

from math import prod, sqrt
from typing import Any

import keras
import tensorflow as tf

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic whose iteration brings singular values near 1


class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras' Muon, applied to the kernels of convolutions and to nothing else.

    Keras' own applies it to matrices alone, so in a network of convolutions to the last layer, where it is out of place.
    A kernel (H, W, in, out) is the matrix (H * W * in, out); all other variables are updated by AdamW. Updates of both
    kinds have a root mean square of about `rms_rate` times the learning rate (https://arxiv.org/abs/2502.16982).
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4

    def lr_adjust(self, x: Any) -> Any:
        """An orthogonal update (H, W, in, out), scaled to its root mean square."""
        return x * (self.rms_rate * sqrt(max(prod(x.shape[:-1]), x.shape[-1])))

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """The update (H, W, in, out), orthogonal."""
        return orthogonal(x, steps)


def orthogonal(kernel: Any, steps: int) -> Any:
    """The orthogonal matrix nearest to a kernel (..., out) read as a matrix of `out` columns, roughly, in its own shape.

    `steps` Newton-Schulz iterations in bfloat16: from five on singular values lie between about 0.7 and 1.2.
    """
    a, b, c = COEFFICIENTS
    x = tf.reshape(kernel, (-1, kernel.shape[-1]))
    is_tall = x.shape[0] > x.shape[1]
    x = tf.cast(x / (tf.norm(x) + 1e-7), tf.bfloat16)
    x = tf.transpose(x) if is_tall else x
    for _ in range(steps):
        square = tf.matmul(x, x, transpose_b=True)
        x = a * x + tf.matmul(b * square + c * tf.matmul(square, square), x)
    return tf.cast(tf.reshape(tf.transpose(x) if is_tall else x, kernel.shape), kernel.dtype)
