"""AlexNet (Krizhevsky et al., 2012) in one tower: five convolutions, three dense layers.

62,378,344 parameters at 1000 classes. The paper writes 224x224, and its 55x55 maps need 227: two pixels of padding before
the first layer make either size right. Local response normalisation, which has no parameters and helped nobody later
(Simonyan & Zisserman, 2014), is left out.
"""

from typing import Any

from keras import layers

INITIAL = "he_normal"


def alexnet(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 63; `dropout` of both hidden layers (published: 0.5)."""
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(pixels)
    x = layers.ZeroPadding2D(2, name="pad")(x)
    x = layers.Conv2D(96, 11, 4, activation="relu", kernel_initializer=INITIAL, name="conv1")(x)
    x = layers.MaxPooling2D(3, 2, name="pool1")(x)
    x = layers.Conv2D(256, 5, padding="same", activation="relu", kernel_initializer=INITIAL, name="conv2")(x)
    x = layers.MaxPooling2D(3, 2, name="pool2")(x)
    for number, filters in ((3, 384), (4, 384), (5, 256)):
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer=INITIAL, name=f"conv{number}")(x)
    x = layers.MaxPooling2D(3, 2, name="pool5")(x)
    x = layers.Flatten(name="flatten")(x)
    for number in (6, 7):
        x = layers.Dense(4096, activation="relu", kernel_initializer=INITIAL, name=f"fc{number}")(x)
        x = layers.Dropout(dropout, name=f"dropout{number}")(x)
    return layers.Dense(num_classes, name="logits")(x)
