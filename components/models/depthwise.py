"""Keras' depthwise convolution with gradients that take a CPU a tenth of the time.

TensorFlow's CPU library (oneDNN) has fast kernels for a depthwise convolution forward, and for the gradient of a 3x3
kernel; the gradient of a larger kernel, and in bfloat16 that of the inputs at stride 2, run as general convolutions of
one channel each. Both are restated here by the fast ones, and are the same sums.
"""

from typing import Any

import keras

CORE = 3  # the kernel size whose gradient is fast


@keras.saving.register_keras_serializable(package="visionloop")
class DepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """`keras.layers.DepthwiseConv2D` with the same variables, configuration, name and results; training takes less time.

    For maps (B, H, W, C) of known size in float32 or bfloat16 on a CPU, odd square kernels, strides 1 and 2, no
    dilation and one filter a channel; all else is computed by Keras.
    """

    def call(self, inputs: Any) -> Any:
        """Maps (B, H, W, C) in the layer's compute dtype."""
        if not self._restatable(inputs):
            return super().call(inputs)
        outputs = _depthwise(inputs, self.kernel, self.strides[0], self.padding.upper())
        outputs = keras.ops.add(outputs, self.bias) if self.use_bias else outputs
        return outputs if self.activation is None else self.activation(outputs)

    def _restatable(self, inputs: Any) -> bool:
        if keras.backend.backend() != "tensorflow" or self.data_format != "channels_last" or None in inputs.shape[1:]:
            return False
        kernel, strides = set(self.kernel_size), set(self.strides)
        shape = len(kernel) == 1 and min(kernel) % 2 == 1 and min(kernel) >= CORE and strides in ({1}, {2})
        plain = set(self.dilation_rate) == {1} and self.depth_multiplier == 1
        return shape and plain and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16") and not _has_gpu()


def _has_gpu() -> bool:
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _depthwise(inputs: Any, kernel: Any, stride: int, padding: str) -> Any:
    import tensorflow as tf

    strides = [1, stride, stride, 1]
    slow_inputs = stride == 2 and inputs.dtype == tf.bfloat16
    slow_kernel = kernel.shape[0] > CORE

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def convolve(x: Any, filters: Any) -> tuple[Any, Any]:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            geometry = [_padding(size, kernel.shape[0], stride, padding) for size in x.shape[1:3]]
            if slow_inputs:
                by_inputs = _inputs_gradient(x, filters, upstream, geometry)
            else:
                by_inputs = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                    input_sizes=tf.shape(x), filter=filters, out_backprop=upstream, strides=strides, padding=padding
                )
            if slow_kernel:
                return by_inputs, _kernel_gradient(x, filters, upstream, stride, geometry)
            return by_inputs, _backprop_filter(x, upstream, filters.shape, stride, padding)

        return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=filters, strides=strides, padding=padding), gradient

    return convolve(inputs, tf.convert_to_tensor(kernel))


def _backprop_filter(x: Any, upstream: Any, shape: Any, stride: int, padding: str) -> Any:
    import tensorflow as tf

    return tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
        input=x, filter_sizes=list(shape), out_backprop=upstream, strides=[1, stride, stride, 1], padding=padding
    )


def _padding(size: int, kernel: int, stride: int, padding: str) -> int:
    """Pixels before the first of an axis, as TensorFlow pads it."""
    outputs = -(-size // stride)
    return max((outputs - 1) * stride + kernel - size, 0) // 2 if padding == "SAME" else 0


def _inputs_gradient(x: Any, filters: Any, upstream: Any, before: list[int]) -> Any:
    """Zeros between the upstream gradients, then a forward convolution with the kernel turned by 180 degrees.

    The gradient of an average over one pixel at stride 2 is what puts the zeros between.
    """
    import tensorflow as tf

    spread = [2 * size - 1 for size in upstream.shape[1:3]]
    shape = tf.stack([tf.shape(x)[0], *spread, x.shape[3]])
    sparse = tf.raw_ops.AvgPoolGrad(orig_input_shape=shape, grad=upstream, ksize=[1, 1, 1, 1], strides=[1, 2, 2, 1], padding="VALID")
    kernel = filters.shape[0]
    borders = [[kernel - 1 - top, size - wide + top] for top, size, wide in zip(before, x.shape[1:3], spread, strict=True)]
    return tf.raw_ops.DepthwiseConv2dNative(
        input=sparse,
        filter=tf.reverse(filters, [0, 1]),
        strides=[1, 1, 1, 1],
        padding="EXPLICIT",
        explicit_paddings=[0, 0, *borders[0], *borders[1], 0, 0],
    )


def _kernel_gradient(x: Any, filters: Any, upstream: Any, stride: int, before: list[int]) -> Any:
    """The gradient of a k x k kernel as those of overlapping 3 x 3 parts, each of which sees the inputs shifted."""
    import tensorflow as tf

    kernel = filters.shape[0]
    needed = [(size - 1) * stride + kernel for size in upstream.shape[1:3]]
    after = [max(need - size - top, 0) for need, size, top in zip(needed, x.shape[1:3], before, strict=True)]
    padded = tf.pad(x, [[0, 0], [before[0], after[0]], [before[1], after[1]], [0, 0]])
    height, width = (need - kernel + CORE for need in needed)
    part = (CORE, CORE, *filters.shape[2:])

    def row(top: int) -> Any:
        windows = [(left, padded[:, top : top + height, left : left + width]) for left in range(0, kernel - 1, CORE - 1)]
        grads = [(left, _backprop_filter(window, upstream, part, stride, "VALID")) for left, window in windows]
        return tf.concat([grad[:, min(left, 1) :] for left, grad in grads], axis=1)

    return tf.concat([row(top)[min(top, 1) :] for top in range(0, kernel - 1, CORE - 1)], axis=0)
