"""ResNet (He et al., 2015, https://arxiv.org/abs/1512.03385): blocks that add to their input.

18, 34 and 50 layers: 11,689,512, 21,797,672 and 25,557,032 trainable parameters at 1000 classes. Convolutions without
bias, batch normalisation after each, projections where the width changes; the stride of a bottleneck stands in its
first layer, as published.
"""

from collections.abc import Callable
from typing import Any

from keras import layers

from components.models.batch_norm import BatchNormalization

Block = Callable[[Any, int, int, str], Any]

MOMENTUM = 0.9  # of the running statistics, as in the authors' release
WIDTHS = (64, 128, 256, 512)


def resnet18(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Two identity blocks a stage; see `resnet`."""
    return resnet(pixels, num_classes, dropout, (2, 2, 2, 2), basic)


def resnet34(pixels: Any, num_classes: int, dropout: float) -> Any:
    """3, 4, 6 and 3 identity blocks; see `resnet`."""
    return resnet(pixels, num_classes, dropout, (3, 4, 6, 3), basic)


def resnet50(pixels: Any, num_classes: int, dropout: float) -> Any:
    """3, 4, 6 and 3 bottlenecks; see `resnet`."""
    return resnet(pixels, num_classes, dropout, (3, 4, 6, 3), bottleneck)


def resnet(pixels: Any, num_classes: int, dropout: float, depths: tuple[int, ...], block: Block) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 32; `dropout` before the last layer (published: none)."""
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(pixels)
    x = layers.ReLU(name="conv1_relu")(_conv(x, 64, 7, 2, "conv1"))
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    for stage, (depth, width) in enumerate(zip(depths, WIDTHS, strict=True), start=2):
        for number in range(1, depth + 1):
            stride = 2 if number == 1 and stage > 2 else 1
            x = block(x, width, stride, f"conv{stage}_{number}")
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)


def basic(x: Any, width: int, stride: int, name: str) -> Any:
    """Two 3x3 convolutions beside the identity: (B, H, W, C) -> (B, H/stride, W/stride, width)."""
    inner = layers.ReLU(name=f"{name}_1_relu")(_conv(x, width, 3, stride, f"{name}_1"))
    inner = _conv(inner, width, 3, 1, f"{name}_2")
    return _added(x, inner, stride, name)


def bottleneck(x: Any, width: int, stride: int, name: str) -> Any:
    """1x1 down to `width`, 3x3, 1x1 up again beside the identity: (B, H, W, C) -> (B, H/stride, W/stride, 4 * width)."""
    inner = layers.ReLU(name=f"{name}_1_relu")(_conv(x, width, 1, stride, f"{name}_1"))
    inner = layers.ReLU(name=f"{name}_2_relu")(_conv(inner, width, 3, 1, f"{name}_2"))
    inner = _conv(inner, 4 * width, 1, 1, f"{name}_3")
    return _added(x, inner, stride, name)


def _added(x: Any, inner: Any, stride: int, name: str) -> Any:
    shortcut = x if x.shape[-1] == inner.shape[-1] else _conv(x, inner.shape[-1], 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([inner, shortcut]))


def _conv(x: Any, channels: int, kernel: int, stride: int, name: str) -> Any:
    x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name)(x)
    return BatchNormalization(momentum=MOMENTUM, epsilon=1e-5, name=f"{name}_bn")(x)
