"""Darknet-53 (YOLOv3, table 1) made small: a quarter of its channels, half of its residual blocks.

It begins with a convolution of stride 2, without Darknet's layers at full resolution.
"""

from typing import Any

from keras import layers

from components.models.batch_norm import BatchNormalization
from components.models.detectors.decode import STRIDES
from components.models.detectors.family import MOMENTUM

STAGES = ((2, 16, 0), (4, 32, 1), (8, 64, 4), (16, 128, 4), (32, 256, 2))  # stride, channels, residual blocks


def convolution(x: Any, channels: int, kernel: int, name: str, stride: int = 1) -> Any:
    """Convolution, batch normalisation, leaky ReLU of slope 0.1."""
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    x = BatchNormalization(momentum=MOMENTUM, epsilon=1e-3, name=f"{name}_bn")(x)
    return layers.LeakyReLU(0.1, name=f"{name}_leaky")(x)


def _residual(x: Any, name: str) -> Any:
    channels = x.shape[-1]
    inner = convolution(x, channels // 2, 1, f"{name}_squeeze")
    inner = convolution(inner, channels, 3, f"{name}_expand")
    return layers.Add(name=f"{name}_add")([x, inner])


def darknet(pixels: Any) -> dict[int, Any]:
    """Feature maps by stride: 8 (64 channels), 16 (128) and 32 (256), of pixels (B, S, S, 3) in 0..255."""
    x = layers.Rescaling(1 / 255, name="rescale")(pixels)
    maps = {}
    for stride, channels, blocks in STAGES:
        x = convolution(x, channels, 3, f"stage{stride}", stride=2)
        for block in range(blocks):
            x = _residual(x, f"stage{stride}_block{block + 1}")
        maps[stride] = x
    return {stride: maps[stride] for stride in STRIDES}
