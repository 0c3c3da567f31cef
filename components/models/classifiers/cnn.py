"""The course's CIFAR network: three 3x3 convolutions, two poolings, one hidden layer.

Conv 32 - pool - conv 64 - pool - conv 64 - flatten - dense 128 - classes; 582,026 parameters at 32x32x3 and 10
classes. The flattened layer grows with the square of the input size: 32 or 64 pixels are sensible.
"""

from typing import Any

from keras import layers


def cnn(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255; `dropout` before the last layer (0 as published)."""
    x = layers.Rescaling(1 / 255, name="rescale")(pixels)
    x = layers.Conv2D(32, 3, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, name="pool2")(x)
    x = layers.Conv2D(64, 3, padding="same", activation="relu", name="conv3")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)
