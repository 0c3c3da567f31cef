"""`Letterbox` and `ResizeCrop` in operations that every runtime has: an antialiased resize is two matrix products.

Each output pixel is the mean of the input pixels under a triangle as wide as the reduction (what
`tf.image.resize(antialias=True)` computes): along one axis a matrix that depends on the sizes alone. Neither ONNX nor
LiteRT has TensorFlow's operation for it.
"""

from typing import Any

import tensorflow as tf

from components.models.layers import PADDING


def coverage(length: Any, resized: Any, first: Any, size: int) -> Any:
    """The matrix (size, length) float32 that resizes an axis of `length` pixels to `resized` and shows `size` of them from `first`.

    All int32 scalars, in pixels. Rows sum to 1, but for those before the first or past the last resized pixel.
    """
    wide = tf.cast(length, tf.float32) / tf.cast(resized, tf.float32)
    seen = tf.range(size) + first
    centres = (tf.cast(seen, tf.float32) + 0.5) * wide
    pixels = tf.cast(tf.range(length), tf.float32) + 0.5
    triangle = tf.maximum(0.0, 1.0 - tf.abs(pixels[None, :] - centres[:, None]) / tf.maximum(wide, 1.0))
    total = tf.maximum(tf.reduce_sum(triangle, axis=1), 0.5)  # what an output pixel inside the photograph has at least
    return triangle / total[:, None]


def letterboxed(photographs: Any, size: int) -> Any:
    """Photographs (B, H, W, 3) uint8 in squares (B, size, size, 3) uint8 as `Letterbox` makes them."""
    height, width, top, left = letterbox_place(photographs, size)
    shape = tf.shape(photographs)
    rows, columns = coverage(shape[1], height, -top, size), coverage(shape[2], width, -left, size)
    inside = tf.logical_and(_within(top, height, size)[:, None], _within(left, width, size)[None, :])
    return _whole(tf.where(inside[None, :, :, None], _product(photographs, rows, columns, size), float(PADDING)))


def letterbox_place(photographs: Any, size: int) -> tuple[Any, Any, Any, Any]:
    """What `letterbox_geometry` says of photographs (B, H, W, 3), without float64: height, width, top and left, int32 pixels.

    A side that falls exactly between two whole pixels may round the other way: at 320 and 640 pixels never, at others
    for one size of photograph in a hundred thousand.
    """
    shape = tf.shape(photographs)
    longest = tf.maximum(shape[1], shape[2])
    height, width = (tf.maximum(1, _scaled(shape[axis], size, longest)) for axis in (1, 2))
    return height, width, (size - height) // 2, (size - width) // 2


def cropped(photographs: Any, size: int) -> Any:
    """Photographs (B, H, W, 3) uint8 in squares (B, size, size, 3) uint8 as `ResizeCrop` makes them."""
    shape = tf.shape(photographs)
    shortest = tf.minimum(shape[1], shape[2])
    height, width = (tf.maximum(size, _scaled(shape[axis], size, shortest)) for axis in (1, 2))
    rows = coverage(shape[1], height, (height - size) // 2, size)
    return _whole(_product(photographs, rows, coverage(shape[2], width, (width - size) // 2, size), size))


def _within(first: Any, count: Any, size: int) -> Any:
    places = tf.range(size)
    return tf.logical_and(places >= first, places < first + count)


def _scaled(length: Any, size: int, side: Any) -> Any:
    return tf.cast(tf.round(tf.cast(length * size, tf.float32) / tf.cast(side, tf.float32)), tf.int32)


def _product(photographs: Any, rows: Any, columns: Any, size: int) -> Any:
    """Rows · pixels · columnsᵀ for each channel: (B, size, size, 3) float32."""
    shape = tf.shape(photographs)
    pixels = tf.cast(photographs, tf.float32)
    short = tf.matmul(rows[None], tf.reshape(pixels, (-1, shape[1], shape[2] * 3)))
    by_channel = tf.transpose(tf.reshape(short, (-1, shape[2], 3)), (0, 2, 1))
    narrow = tf.matmul(tf.reshape(by_channel, (-1, shape[2])), columns, transpose_b=True)
    return tf.transpose(tf.reshape(narrow, (-1, size, 3, size)), (0, 1, 3, 2))


def _whole(pixels: Any) -> Any:
    return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
