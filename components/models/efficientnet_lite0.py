"""EfficientNet-Lite0 (Tan & Le, 2019, https://arxiv.org/abs/1905.11946; the Lite variant of tensorflow/tpu).

Inputs are pixel values 0..255; `(x - 127) / 128` stands inside. ReLU6, SAME padding, batch-norm epsilon 1e-3,
no squeeze-and-excitation. 4,694,024 parameters with the 1000-class head.
"""

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from components.models.batch_norm import BatchNormalization
from components.models.depthwise import DepthwiseConv2D

# (kernel, stride, expansion, channels, repeats) of each of the seven stages
STAGES = ((3, 1, 1, 16, 1), (3, 2, 6, 24, 2), (5, 2, 6, 40, 2), (3, 2, 6, 80, 3), (5, 1, 6, 112, 3), (5, 2, 6, 192, 4), (3, 1, 6, 320, 1))
STEM_CHANNELS = 32
HEAD_CHANNELS = 1280
EPSILON = 1e-3
FEATURES = {8: 5, 16: 11, 32: 16}  # stride -> number of blocks run when it is read


def _blocks() -> Iterator[tuple[int, int, int, int]]:
    for kernel, stride, expansion, channels, repeats in STAGES:
        for repeat in range(repeats):
            yield kernel, stride if repeat == 0 else 1, expansion, channels


def _normalised(x: Any, name: str, *, activation: bool = True) -> Any:
    x = BatchNormalization(epsilon=EPSILON, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activation else x


def _block(x: Any, name: str, shape: tuple[int, int, int, int]) -> Any:
    kernel, stride, expansion, channels = shape
    shortcut, inputs = x, x.shape[-1]
    if expansion != 1:
        x = layers.Conv2D(inputs * expansion, 1, use_bias=False, name=f"{name}_expand")(x)
        x = _normalised(x, f"{name}_expand")
    x = DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = _normalised(x, f"{name}_depthwise")
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = _normalised(x, f"{name}_project", activation=False)
    return layers.Add(name=f"{name}_add")([x, shortcut]) if stride == 1 and inputs == channels else x


def features(pixels: Any) -> dict[int, Any]:
    """Feature maps by stride: 8 (40 channels), 16 (112) and 32 (320), of pixels (B, H, W, 3) in 0..255."""
    x = layers.Rescaling(1 / 128, -127 / 128, name="rescale")(pixels)
    x = layers.Conv2D(STEM_CHANNELS, 3, 2, padding="same", use_bias=False, name="stem")(x)
    x = _normalised(x, "stem")
    maps = {}
    for number, shape in enumerate(_blocks(), start=1):
        x = _block(x, f"block{number}", shape)
        maps.update({stride: x for stride, count in FEATURES.items() if count == number})
    return maps


def last_maps(pixels: Any) -> Any:
    """The feature maps a classification head stands on, (B, H/32, W/32, 1280), of pixels (B, H, W, 3) in 0..255."""
    x = layers.Conv2D(HEAD_CHANNELS, 1, use_bias=False, name="head")(features(pixels)[32])
    return _normalised(x, "head")


def embedding(pixels: Any) -> Any:
    """The same pooled, (B, 1280)."""
    return layers.GlobalAveragePooling2D(name="pool")(last_maps(pixels))


def build_imagenet(image_size: int = 224) -> keras.Model:
    """The published network: pixels (B, S, S, 3) in 0..255 -> probabilities (B, 1000) of the ImageNet classes."""
    pixels = keras.Input((image_size, image_size, 3), name="image")
    outputs = layers.Dense(1000, activation="softmax", name="classes")(embedding(pixels))
    return keras.Model(pixels, outputs, name="efficientnet_lite0")
