"""Keras' batch normalisation, computed by TensorFlow's fused operation (Ioffe & Szegedy 2015, https://arxiv.org/abs/1502.03167).

Keras 3 casts its inputs to float32 and normalises by several passes over memory. The fused operation reads bfloat16
and float16 as they are, keeps its statistics in float32, and joins the convolution before it when it is frozen.
"""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="visionloop")
class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]
    """`keras.layers.BatchNormalization` with the same variables, configuration, name and results; images take less time.

    Feature maps (B, H, W, C) in float32, bfloat16 or float16 on the TensorFlow backend are fused; all else (another
    rank or axis, a mask, renorm, learning synchronized) is computed by Keras.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Feature maps (B, H, W, C), normalised, in the layer's compute dtype."""
        learns = training and self.trainable
        if (learns and self.synchronized) or not self._fusible(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        channels = inputs.shape[-1]
        gamma = keras.ops.cast(self.gamma, "float32") if self.scale else keras.ops.ones(channels)
        beta = keras.ops.cast(self.beta, "float32") if self.center else keras.ops.zeros(channels)
        if learns:
            return self._by_batch(inputs, gamma, beta)
        mean, variance = (keras.ops.cast(value, "float32") for value in (self.moving_mean, self.moving_variance))
        return _by_statistics(inputs, gamma, beta, mean, variance, self.epsilon)

    def _fusible(self, inputs: Any, mask: Any) -> bool:
        if keras.backend.backend() != "tensorflow" or mask is not None or self.renorm:
            return False
        dtype = keras.backend.standardize_dtype(inputs.dtype)
        return len(inputs.shape) == 4 and self.axis in (-1, 3) and dtype == self.compute_dtype != "float64"

    def _by_batch(self, inputs: Any, gamma: Any, beta: Any) -> Any:
        import tensorflow as tf

        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=gamma, offset=beta, mean=[], variance=[], epsilon=self.epsilon, is_training=True
        )
        count = tf.cast(tf.size(inputs) / tf.size(mean), tf.float32)
        variance *= (count - 1.0) / count  # the operation divides by count - 1, Keras by count
        for moving, batch in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(keras.ops.cast(moving, "float32") * self.momentum + batch * (1.0 - self.momentum))
        return outputs


def _by_statistics(inputs: Any, gamma: Any, beta: Any, mean: Any, variance: Any, epsilon: float) -> Any:
    """(inputs - mean) / sqrt(variance + epsilon) * gamma + beta, with gradients for the first three.

    The operation's own gradient computes all three whether wanted or not, and has no deterministic form on a GPU.
    """
    import tensorflow as tf

    def normalised(x: Any, scale: Any, offset: Any, centre: Any) -> Any:
        return tf.raw_ops.FusedBatchNormV3(
            x=x, scale=scale, offset=offset, mean=centre, variance=variance, epsilon=epsilon, is_training=False
        ).y

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def fused(x: Any, scale: Any, offset: Any) -> tuple[Any, Any]:
        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            zeros, wide = tf.zeros_like(mean), tf.cast(upstream, tf.float32)
            unscaled = normalised(tf.cast(x, tf.float32), tf.ones_like(mean), zeros, mean)
            by_scale = tf.reduce_sum(wide * unscaled, [0, 1, 2])
            return normalised(upstream, scale, zeros, zeros), by_scale, tf.reduce_sum(wide, [0, 1, 2])

        return normalised(x, scale, offset, mean), gradient

    return fused(inputs, gamma, beta)
