"""The course's network with batch normalisation and dropout, for 28x28 gray pictures such as Fashion-MNIST.

[Conv 32 - norm] x 2 - pool - dropout - [conv 64 - norm] x 2 - pool - dropout - dense 512 - norm - classes; 1,679,082
parameters at 28x28x1 and 10 classes.
"""

from typing import Any

from keras import layers

from components.models.batch_norm import BatchNormalization
from components.models.layers import Gray

MOMENTUM = 0.9  # of the running statistics; Keras' 0.99 needs hundreds of steps to follow the weights


def cnn_bn(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 4; `dropout` after each pooling (the course's: 0.25)."""
    x = layers.Rescaling(1 / 255, name="rescale")(Gray(name="gray")(pixels))
    for block, filters in enumerate((32, 64), start=1):
        for number in (1, 2):
            x = layers.Conv2D(filters, 3, padding="same", activation="relu", name=f"conv{block}_{number}")(x)
            x = BatchNormalization(momentum=MOMENTUM, name=f"bn{block}_{number}")(x)
        x = layers.MaxPooling2D(2, name=f"pool{block}")(x)
        x = layers.Dropout(dropout, name=f"dropout{block}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(512, activation="relu", name="dense1")(x)
    x = BatchNormalization(momentum=MOMENTUM, name="bn3")(x)
    return layers.Dense(num_classes, name="logits")(x)
