"""The course's flower network: one convolution and one hidden layer on large pictures.

Conv 16 - pool - flatten - dense 128 - classes; 16,590,021 parameters at 180x180x3 and 5 classes, all but 1,093 of them in
the dense layer that reads every position by itself.
"""

from typing import Any

from keras import layers


def cnn_flowers(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 2; `dropout` after the pooling (the course's: 0, then 0.2)."""
    x = layers.Rescaling(1 / 255, name="rescale")(pixels)
    x = layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2, name="pool1")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    return layers.Dense(num_classes, name="logits")(x)
