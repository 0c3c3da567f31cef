"""VGG (Simonyan & Zisserman, 2014, https://arxiv.org/abs/1409.1556): 3x3 convolutions everywhere, 64 to 512 channels.

Configurations A, B, D and E: 132,863,336, 133,047,848, 138,357,544 and 143,667,240 parameters at 224x224x3 and 1000 classes.
"""

from typing import Any

from keras import layers

CHANNELS = (64, 128, 256, 512, 512)
INITIAL = "he_normal"


def vgg11(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Configuration A: 8 convolutions; see `vgg`."""
    return vgg(pixels, num_classes, dropout, (1, 1, 2, 2, 2))


def vgg13(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Configuration B: 10 convolutions; see `vgg`."""
    return vgg(pixels, num_classes, dropout, (2, 2, 2, 2, 2))


def vgg16(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Configuration D: 13 convolutions; see `vgg`."""
    return vgg(pixels, num_classes, dropout, (2, 2, 3, 3, 3))


def vgg19(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Configuration E: 16 convolutions; see `vgg`."""
    return vgg(pixels, num_classes, dropout, (2, 2, 4, 4, 4))


def vgg(pixels: Any, num_classes: int, dropout: float, depths: tuple[int, ...]) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 32; `dropout` of both hidden layers (published: 0.5).

    `depths` are the convolutions of each of the five blocks, between which the maps are halved.
    """
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(pixels)
    for block, (depth, channels) in enumerate(zip(depths, CHANNELS, strict=True), start=1):
        for number in range(1, depth + 1):
            name = f"conv{block}_{number}"
            x = layers.Conv2D(channels, 3, padding="same", activation="relu", kernel_initializer=INITIAL, name=name)(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = layers.Dense(4096, activation="relu", kernel_initializer=INITIAL, name=f"fc{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
    return layers.Dense(num_classes, name="logits")(x)
