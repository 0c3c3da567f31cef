"""LeNet-5 (LeCun et al., 1998, http://yann.lecun.com/exdb/publis/pdf/lecun-98.pdf): digits, in one gray channel.

C1 6@28x28 - S2 average - C3 16@10x10 - S4 average - C5 120@1x1 - F6 84 - classes; tanh. C3 sees all six maps where the
paper wires them sparsely, the last layer is a softmax where it has radial basis functions, and the poolings have no
weights: 61,706 parameters at 32x32 and 10 classes.
"""

from typing import Any

from keras import layers

from components.models.layers import Gray


def lenet5(pixels: Any, num_classes: int, dropout: float) -> Any:
    """Logits (B, num_classes) of pixels (B, S, S, 3) in 0..255, S at least 32; `dropout` after F6 (published: none)."""
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescale")(Gray(name="gray")(pixels))
    x = layers.Conv2D(6, 5, activation="tanh", name="c1")(x)
    x = layers.AveragePooling2D(2, name="s2")(x)
    x = layers.Conv2D(16, 5, activation="tanh", name="c3")(x)
    x = layers.AveragePooling2D(2, name="s4")(x)
    x = layers.Conv2D(120, 5, activation="tanh", name="c5")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(84, activation="tanh", name="f6")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)
