"""The course's malaria network: cells infected or not, told by one sigmoid unit.

Conv 16 - conv 16 - pool of stride 1 - dropout - dense 64 - dense 32 - one unit; 751,441 parameters at 32x32x3.
"""

from typing import Any

from keras import layers

from components.models.layers import TwoLogits


def cnn_malaria(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 6; `dropout` after the pooling (the course's: 0.2).

    Two classes come from one unit z as (0, z); more have a unit each.
    """
    x = layers.Rescaling(1 / 255, name="rescale")(pixels)
    x = layers.Conv2D(16, 3, activation="relu", name="conv1")(x)
    x = layers.Conv2D(16, 3, activation="relu", name="conv2")(x)
    x = layers.MaxPooling2D(2, strides=1, name="pool")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(64, activation="relu", name="dense1")(x)
    x = layers.Dense(32, activation="relu", name="dense2")(x)
    if num_classes == 2:
        return TwoLogits(name="two_logits")(layers.Dense(1, name="logits")(x))
    return layers.Dense(num_classes, name="logits")(x)
