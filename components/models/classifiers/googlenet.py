"""GoogLeNet (Szegedy et al., 2014, https://arxiv.org/abs/1409.4842): nine inception blocks.

6,998,552 parameters at 1000 classes. Without the two auxiliary classifiers, which served in training only, and without
local response normalisation, which has no parameters.
"""

from typing import Any

from keras import layers

# 1x1 | 3x3 reduced, 3x3 | 5x5 reduced, 5x5 | 1x1 after pooling: the channels of table 1
BLOCKS = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
POOLED_AFTER = ("3b", "4e")


def googlenet(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 32; `dropout` before the last layer (published: 0.4)."""
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(pixels)
    x = _conv(x, 64, 7, "conv1", stride=2)
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool1")(x)
    x = _conv(_conv(x, 64, 1, "conv2_reduce"), 192, 3, "conv2")
    x = layers.MaxPooling2D(3, 2, padding="same", name="pool2")(x)
    for name, channels in BLOCKS.items():
        x = inception(x, f"inception{name}", channels)
        if name in POOLED_AFTER:
            x = layers.MaxPooling2D(3, 2, padding="same", name=f"pool{name[0]}")(x)
    x = layers.GlobalAveragePooling2D(name="pool5")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)


def inception(x: Any, name: str, channels: tuple[int, ...]) -> Any:
    """Four looks at the same maps (B, H, W, C), side by side: 1x1, 3x3, 5x5 and pooled; 1x1 layers keep the larger ones cheap."""
    one, three_reduced, three, five_reduced, five, pooled = channels
    pool = layers.MaxPooling2D(3, 1, padding="same", name=f"{name}_pool")(x)
    branches = [
        _conv(x, one, 1, f"{name}_1x1"),
        _conv(_conv(x, three_reduced, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"),
        _conv(_conv(x, five_reduced, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
        _conv(pool, pooled, 1, f"{name}_pool_1x1"),
    ]
    return layers.Concatenate(name=f"{name}_concat")(branches)


def _conv(x: Any, channels: int, kernel: int, name: str, *, stride: int = 1) -> Any:
    return layers.Conv2D(channels, kernel, stride, padding="same", activation="relu", kernel_initializer="he_normal", name=name)(x)
