"""What stands on a backbone's last feature maps (B, H, W, C): from there to logits (B, num_classes)."""

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

Head = Callable[[Any, int, float], Any]


def pooled(maps: Any, num_classes: int, dropout: float) -> Any:
    """Average over all positions, dropout, one dense layer: any input size, few parameters, and the usual choice."""
    x = layers.GlobalAveragePooling2D(name="pool")(maps)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)


def course(maps: Any, num_classes: int, dropout: float) -> Any:
    """The course's: flatten, dense 128 and 64, classes. It reads every position by itself, and so has one input size."""
    x = layers.Flatten(name="flatten")(maps)
    x = layers.Dense(128, activation="relu", name="dense1")(x)
    x = layers.Dense(64, activation="relu", name="dense2")(x)
    x = layers.Dropout(dropout, name="dropout")(x)
    return layers.Dense(num_classes, name="logits")(x)


HEADS: dict[str, Head] = {"pooled": pooled, "course": course}
FIRST = {"pooled": "pool", "course": "flatten"}
NAMES = {"pool", "flatten", "dropout", "dense1", "dense2", "logits", "logits_float32"}


def backbone(model: keras.Model, head: str) -> keras.Model:
    """The part of a model below its head, sharing its layers: pixels to feature maps."""
    return keras.Model(model.input, model.get_layer(FIRST[head]).input, name=f"{model.name}_backbone")
