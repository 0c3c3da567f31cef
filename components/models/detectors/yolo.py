"""A one-stage, anchor-free detector: backbone, top-down feature pyramid, decoupled head.

After YOLOX (https://arxiv.org/abs/2107.08430); the head's convolutions are shared by all maps with batch norms of
their own, after RTMDet (https://arxiv.org/abs/2212.07784): fewer parameters learn more from few boxes.
ReLU instead of SiLU: on a CPU the activation would cost as much as the convolution.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
from keras import layers

from components.models.batch_norm import BatchNormalization
from components.models.detectors.decode import STRIDES, Decoding
from components.models.detectors.family import MOMENTUM, PRIOR_LOGIT, Family, squares
from components.models.detectors.loss import DetectionLoss

STEM = 48  # channels, as many as there are numbers in a patch of 4 by 4 pixels
STAGES = ((8, 64, 2), (16, 128, 2), (32, 256, 1))  # stride, channels, residual blocks

Backbone = Callable[[Any], dict[int, Any]]


class Size(NamedTuple):
    """How large a network from scratch is: its channels and residual blocks, times those of STAGES, and the width of its head."""

    channels: float
    blocks: int
    width: int


SIZES = {"n": Size(1.0, 1, 64), "s": Size(1.5, 1, 96), "m": Size(2.0, 2, 128)}


def _normalised(x: Any, name: str) -> Any:
    x = BatchNormalization(momentum=MOMENTUM, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)


def _convolution(x: Any, channels: int, kernel: int, name: str, stride: int = 1) -> Any:
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    return _normalised(x, name)


def _residual(x: Any, name: str) -> Any:
    return layers.Add(name=f"{name}_add")([x, _convolution(x, x.shape[-1], 3, name)])


def scratch_backbone(size: Size) -> Backbone:
    """Feature maps by stride, 8, 16 and 32 (64, 128 and 256 channels, times the size's), of pixels (B, S, S, 3) in 0..255."""

    def maps(pixels: Any) -> dict[int, Any]:
        x = layers.Rescaling(1 / 128, -127 / 128, name="rescale")(pixels)
        x = _convolution(x, round(STEM * size.channels), 6, "stem", stride=4)
        found = {}
        for stride, channels, blocks in STAGES:
            x = _convolution(x, round(channels * size.channels), 3, f"stage{stride}", stride=2)
            for block in range(blocks * size.blocks):
                x = _residual(x, f"stage{stride}_block{block + 1}")
            found[stride] = x
        return found

    return maps


def _pyramid(maps: dict[int, Any], width: int) -> list[Any]:
    """Every map at `width` channels, each with what the coarser ones know added."""
    merged: list[Any] = []
    for stride in reversed(STRIDES):
        x = _convolution(maps[stride], width, 1, f"lateral{stride}")
        if merged:
            x = layers.Add(name=f"merge{stride}")([x, layers.UpSampling2D(2, name=f"up{stride}")(merged[0])])
        merged.insert(0, x)
    return [_convolution(x, width, 3, f"pyramid{stride}") for stride, x in zip(STRIDES, merged, strict=True)]


def _tower(maps: list[Any], width: int, name: str) -> list[Any]:
    shared = layers.Conv2D(width, 3, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)
    return [_normalised(shared(x), f"{name}{stride}") for stride, x in zip(STRIDES, maps, strict=True)]


def _rows(maps: list[Any], channels: int, bias: float, name: str) -> Any:
    """(B, A, channels) float32: a 1x1 convolution of every map, cells in order."""
    bias_initializer = keras.initializers.Constant(bias)
    output = layers.Conv2D(
        channels, 1, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), bias_initializer=bias_initializer, name=name
    )
    rows = [layers.Reshape((-1, channels), name=f"{name}{stride}")(output(x)) for stride, x in zip(STRIDES, maps, strict=True)]
    return layers.Concatenate(axis=1, name=f"{name}_all", dtype="float32")(rows)


def build_yolo(num_classes: int, image_size: int, backbone: Backbone, width: int) -> keras.Model:
    """The detector: letterboxed RGB pixels (B, S, S, 3) uint8 -> raw rows (B, A, 4 + num_classes) float32.

    A is the number of anchors (`decode.anchor_grid`), finest map first; `decode.decode` says what a row means.
    `backbone` makes the feature maps of strides 8, 16 and 32; `width` is the channels of pyramid and head.
    Raises ValueError when `image_size` is no multiple of 32.
    """
    pixels = squares(image_size)
    maps = _pyramid(backbone(pixels), width)
    boxes = _rows(_tower(maps, width, "box_tower"), 4, math.log(4.0), "box_rows")
    classes = _rows(_tower(maps, width, "class_tower"), num_classes, PRIOR_LOGIT, "class_rows")
    raw = layers.Concatenate(axis=-1, name="raw", dtype="float32")([boxes, classes])
    return keras.Model(pixels, raw, name="yolo")


def yolo(backbone: Backbone, width: int = 64) -> Family:
    """The detector on a backbone; `width` is the channels of pyramid and head."""

    def build(num_classes: int, image_size: int) -> keras.Model:
        return build_yolo(num_classes, image_size, backbone, width)

    def decoding(image_size: int) -> keras.layers.Layer:
        return Decoding(image_size, name="decoding")

    return Family(build, decoding, DetectionLoss)


def from_scratch(size: str) -> Family:
    """The detector on a backbone of its own, of one of SIZES."""
    return yolo(scratch_backbone(SIZES[size]), SIZES[size].width)
