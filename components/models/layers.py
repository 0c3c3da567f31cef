"""The project's own layers that a saved model holds: photographs of any size in, RGB in whatever form a network wants.

`Letterbox` and `ResizeCrop` agree with `components.data.decode` in geometry; pixels differ only by the resampling filter.
"""

from typing import Any

import keras
import tensorflow as tf

PADDING = 114
LUMA = (0.299, 0.587, 0.114)  # of R, G and B (ITU-R BT.601); adds up to 1, so that a gray picture keeps its values


def letterbox_geometry(height: Any, width: Any, size: int) -> tuple[Any, Any, Any, Any]:
    """Where a (height, width) image lies in its letterbox of (size, size): new height, new width, top, left.

    Takes and returns int32 tensors, in pixels.
    """
    scale = size / tf.cast(tf.maximum(height, width), tf.float64)
    new_height, new_width = _scaled(height, scale, 1), _scaled(width, scale, 1)
    return new_height, new_width, (size - new_height) // 2, (size - new_width) // 2


def _scaled(length: Any, scale: Any, least: int) -> Any:
    return tf.maximum(least, tf.cast(tf.round(tf.cast(length, tf.float64) * scale), tf.int32))


def _resized(pixels: Any, height: Any, width: Any) -> Any:
    resized = tf.image.resize(pixels, tf.stack([height, width]), antialias=True)
    return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)


class _ToSquare(keras.layers.Layer):  # type: ignore[misc]
    """What both layers share: a size, and an output of uint8 (B, size, size, 3) whatever the precision policy."""

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = size

    def compute_output_spec(self, pixels: Any) -> keras.KerasTensor:
        return keras.KerasTensor((pixels.shape[0], self.size, self.size, 3), dtype="uint8")

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


@keras.saving.register_keras_serializable(package="visionloop")
class Letterbox(_ToSquare):
    """Fit images (B, H, W, 3) uint8 into squares (B, size, size, 3) uint8, aspect kept, centred on gray 114."""

    def call(self, pixels: Any) -> Any:
        """Every image of a batch has the same size; one of (size, size) comes back unchanged."""
        if pixels.shape[1:3] == (self.size, self.size):
            return tf.cast(pixels, tf.uint8)
        shape = tf.shape(pixels)
        height, width, top, left = letterbox_geometry(shape[1], shape[2], self.size)
        borders = [[0, 0], [top, self.size - height - top], [left, self.size - width - left], [0, 0]]
        squares = tf.pad(_resized(pixels, height, width), borders, constant_values=tf.constant(PADDING, tf.uint8))
        return tf.ensure_shape(squares, (None, self.size, self.size, 3))


@keras.saving.register_keras_serializable(package="visionloop")
class ResizeCrop(_ToSquare):
    """Resize images (B, H, W, 3) uint8 so that the shorter side is `size`, then cut the centre square, uint8."""

    def call(self, pixels: Any) -> Any:
        """Every image of a batch has the same size; one of (size, size) comes back unchanged."""
        if pixels.shape[1:3] == (self.size, self.size):
            return tf.cast(pixels, tf.uint8)
        shape = tf.shape(pixels)
        scale = self.size / tf.cast(tf.minimum(shape[1], shape[2]), tf.float64)
        height, width = _scaled(shape[1], scale, self.size), _scaled(shape[2], scale, self.size)
        top, left = (height - self.size) // 2, (width - self.size) // 2
        squares = _resized(pixels, height, width)[:, top : top + self.size, left : left + self.size]
        return tf.ensure_shape(squares, (None, self.size, self.size, 3))


@keras.saving.register_keras_serializable(package="visionloop")
class Gray(keras.layers.Layer):  # type: ignore[misc]
    """RGB (B, H, W, 3) of any dtype -> luma (B, H, W, 1) float32 on the same scale."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})

    def call(self, pixels: Any) -> Any:
        """The weighted sum of the three channels."""
        return keras.ops.sum(keras.ops.cast(pixels, "float32") * keras.ops.array(LUMA, "float32"), axis=-1, keepdims=True)


@keras.saving.register_keras_serializable(package="visionloop")
class BlueFirst(keras.layers.Layer):  # type: ignore[misc]
    """RGB (B, H, W, 3) -> BGR, as networks trained by Caffe expect it."""

    def call(self, pixels: Any) -> Any:
        """The same values, the channels in reverse."""
        return pixels[..., ::-1]


@keras.saving.register_keras_serializable(package="visionloop")
class AndMirrored(keras.layers.Layer):  # type: ignore[misc]
    """Pictures (B, H, W, C) -> those and then their mirror images, left to right: (2B, H, W, C)."""

    def call(self, pixels: Any) -> Any:
        """Of any dtype."""
        return tf.concat([pixels, tf.reverse(pixels, [2])], axis=0)

    def compute_output_spec(self, pixels: Any) -> keras.KerasTensor:
        """Shape and type of the answer, for Keras."""
        batch, *shape = pixels.shape
        return keras.KerasTensor((batch and 2 * batch, *shape), dtype=pixels.dtype)


@keras.saving.register_keras_serializable(package="visionloop")
class MirrorMean(keras.layers.Layer):  # type: ignore[misc]
    """The answers (2B, C) for pictures and then their mirror images -> each picture's mean answer (B, C)."""

    def call(self, answers: Any) -> Any:
        """The order is that of `AndMirrored`."""
        plain, mirrored = tf.split(answers, 2, axis=0)
        return (plain + mirrored) / 2

    def compute_output_spec(self, answers: Any) -> keras.KerasTensor:
        """Shape and type of the answer, for Keras."""
        batch, *shape = answers.shape
        return keras.KerasTensor((batch and batch // 2, *shape), dtype=answers.dtype)


@keras.saving.register_keras_serializable(package="visionloop")
class TwoLogits(keras.layers.Layer):  # type: ignore[misc]
    """The one output z of a sigmoid unit (B, 1) -> logits (B, 2): (0, z), since softmax((0, z)) = (1 - sigmoid(z), sigmoid(z))."""

    def call(self, unit: Any) -> Any:
        """No parameters: the rest of the system sees two classes like any other number of them."""
        return keras.ops.concatenate([keras.ops.zeros_like(unit), unit], axis=-1)
