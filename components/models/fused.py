"""Networks built by others, such as `keras.applications`, with the layers that this project computes faster."""

from typing import Any

import keras

from components.models.batch_norm import BatchNormalization
from components.models.depthwise import DepthwiseConv2D

FASTER = {kind.__name__: kind for kind in (BatchNormalization, DepthwiseConv2D)}  # named as the layers of Keras they replace


def fused(model: keras.Model) -> keras.Model:
    """The same network with its names, weights and results, every layer of Keras' replaced by its faster twin."""
    rebuilt = keras.saving.deserialize_keras_object(_faster(keras.saving.serialize_keras_object(model)))
    rebuilt.set_weights(model.get_weights())
    return rebuilt


def _faster(node: Any) -> Any:
    if isinstance(node, list):
        return [_faster(item) for item in node]
    if not isinstance(node, dict):
        return node
    kind = FASTER.get(node.get("class_name", "")) if node.get("module") == "keras.layers" else None
    if kind is not None:
        return {**node, "module": kind.__module__, "registered_name": keras.saving.get_registered_name(kind)}
    return {key: _faster(value) for key, value in node.items()}
