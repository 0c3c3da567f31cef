"""The network of YOLOv3 (https://arxiv.org/abs/1804.02767, section 2.3) on a small Darknet.

Three maps predict. From the coarsest on, five convolutions make what a map answers from; half as many channels of it are
enlarged and laid beside the backbone's next finer map.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from components.models.detectors.decode import STRIDES
from components.models.detectors.family import PRIOR_LOGIT, Family, squares
from components.models.detectors.yolov3.anchors import PER_MAP, Anchors
from components.models.detectors.yolov3.darknet import convolution, darknet
from components.models.detectors.yolov3.decode import BOX, CLASSES, AnchorDecoding
from components.models.detectors.yolov3.loss import AnchorLoss

WIDTHS = {8: 32, 16: 64, 32: 128}  # channels of each map's five convolutions; a quarter of the paper's


@keras.saving.register_keras_serializable(package="visionloop")
class ObjectnessPrior(keras.initializers.Initializer):  # type: ignore[misc]
    """Biases of a map's three anchors, (3 * (5 + C),): zero but for the objectness, whose sigmoid is `family.PRIOR`."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """A tensor of this shape."""
        bias = np.zeros((PER_MAP, shape[0] // PER_MAP))
        bias[:, BOX] = PRIOR_LOGIT
        return ops.convert_to_tensor(bias.ravel(), dtype)


def _five(x: Any, width: int, name: str) -> Any:
    for number in range(5):
        x = convolution(x, width * (1 + number % 2), 3 if number % 2 else 1, f"{name}_conv{number + 1}")
    return x


def _rows(x: Any, width: int, stride: int, num_classes: int) -> Any:
    """One map's answers as rows (B, cells * cells * 3, 5 + C)."""
    x = convolution(x, 2 * width, 3, f"head{stride}")
    kernel = keras.initializers.RandomNormal(stddev=0.01)
    channels = CLASSES + num_classes
    x = layers.Conv2D(PER_MAP * channels, 1, kernel_initializer=kernel, bias_initializer=ObjectnessPrior(), name=f"answers{stride}")(x)
    return layers.Reshape((-1, channels), name=f"rows{stride}")(x)


def build_yolov3(num_classes: int, image_size: int) -> keras.Model:
    """The detector: letterboxed RGB pixels (B, S, S, 3) uint8 -> raw rows (B, A, 5 + num_classes) float32.

    A is three times the number of cells, finest map first; `decode.decode_boxes` says what a row means.
    Raises ValueError when `image_size` is no multiple of 32.
    """
    pixels = squares(image_size)
    maps, x = darknet(pixels), None
    rows: list[Any] = []
    for stride in reversed(STRIDES):
        width = WIDTHS[stride]
        if x is not None:
            x = layers.UpSampling2D(2, name=f"up{stride}")(convolution(x, width, 1, f"route{stride}"))
            x = layers.Concatenate(name=f"beside{stride}")([x, maps[stride]])
        x = _five(maps[stride] if x is None else x, width, f"neck{stride}")
        rows.insert(0, _rows(x, width, stride, num_classes))
    raw = layers.Concatenate(axis=1, name="raw", dtype="float32")(rows)
    return keras.Model(pixels, raw, name="yolo_anchors")


def yolov3(anchors: Anchors) -> Family:
    """The detector that refines these anchors, nine (width, height) as fractions of the square by rising area."""

    def decoding(image_size: int) -> keras.layers.Layer:
        return AnchorDecoding(image_size, anchors, name="decoding")

    def loss(num_classes: int, image_size: int) -> keras.losses.Loss:
        return AnchorLoss(num_classes, image_size, anchors)

    return Family(build_yolov3, decoding, loss)
