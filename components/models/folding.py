"""Batch normalisation of a pretrained network, whose statistics stand still, multiplied into the convolutions before it.

gamma * (Wx - mean) / sqrt(variance + epsilon) + beta is a convolution by W * scale, with scale = gamma / sqrt(variance
+ epsilon), and a bias of beta - mean * scale. What is left of the normalisation is that bias, which may learn.
"""

from collections import Counter
from collections.abc import Collection
from typing import Any

import keras
import numpy as np

CONVOLUTIONS = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)


@keras.saving.register_keras_serializable(package="visionloop")
class Bias(keras.layers.Layer):  # type: ignore[misc]
    """Add one learned number a channel to maps (B, H, W, C), in the layer's compute dtype."""

    def build(self, input_shape: Any) -> None:
        """One bias a channel."""
        self.bias = self.add_weight(shape=(input_shape[-1],), initializer="zeros", name="bias")

    def call(self, inputs: Any) -> Any:
        """Maps (B, H, W, C)."""
        if keras.backend.backend() != "tensorflow" or isinstance(inputs, keras.KerasTensor):
            return keras.ops.add(inputs, self.bias)
        return _biased(inputs, self.bias)


def _biased(inputs: Any, bias: Any) -> Any:
    """TensorFlow joins this operation to the convolution before and the ReLU after it; its gradient is a quick product."""
    import tensorflow as tf

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def added(x: Any, b: Any) -> tuple[Any, Any]:
        def gradient(upstream: Any) -> tuple[Any, Any]:
            rows = tf.reshape(upstream, (-1, upstream.shape[-1]))
            ones = tf.ones((1, tf.shape(rows)[0]), rows.dtype)
            return upstream, tf.matmul(ones, rows)[0]

        return tf.nn.bias_add(x, b), gradient

    return added(inputs, tf.convert_to_tensor(bias))


def folded(model: keras.Model, names: Collection[str]) -> keras.Model:
    """The same function of its inputs in fewer operations, as a copy: normalisations become `Bias` layers of their name.

    Those that are named and follow a convolution whose outputs nobody else reads; all else stays as it is. The copy
    answers what `model` answers in inference, whatever `training` says: statistics stand still.
    """
    found = {norm: convolution for norm, convolution in _pairs(model) if norm in names}
    copy = keras.saving.deserialize_keras_object(_with_biases(keras.saving.serialize_keras_object(model), set(found)))
    values = {layer.name: layer.get_weights() for layer in model.layers}
    for norm, convolution in found.items():
        scale, shift = _scale_and_shift(model.get_layer(norm))
        kernel, *bias = values[convolution]
        is_depthwise = isinstance(model.get_layer(convolution), keras.layers.DepthwiseConv2D)
        shape = kernel.shape[2:] if is_depthwise else (1, -1)
        values[convolution] = [kernel * scale.reshape(shape), *(one * scale for one in bias)]
        values[norm] = [shift]
    for layer in copy.layers:
        layer.set_weights(values[layer.name])
    return copy


def _pairs(model: keras.Model) -> list[tuple[str, str]]:
    """Every normalisation with the convolution that it alone reads, by name."""
    readers: Counter[str] = Counter(source for layer in model.layers for source in _sources(layer))
    readers.update(tensor._keras_history.operation.name for tensor in model.outputs)
    pairs = []
    for layer in model.layers:
        if not isinstance(layer, keras.layers.BatchNormalization) or layer.axis not in (-1, 3):
            continue
        sources = _sources(layer)
        before = model.get_layer(sources[0]) if len(sources) == 1 else None
        if isinstance(before, CONVOLUTIONS) and before.activation is keras.activations.linear and readers[before.name] == 1:
            pairs.append((layer.name, before.name))
    return pairs


def _sources(layer: keras.layers.Layer) -> list[str]:
    """The layers whose outputs a layer reads, by name, once for each time it reads one."""
    return [tensor._keras_history.operation.name for node in layer._inbound_nodes for tensor in node.input_tensors]


def _scale_and_shift(norm: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    mean, variance = np.asarray(norm.moving_mean), np.asarray(norm.moving_variance)
    scale = (np.asarray(norm.gamma) if norm.scale else 1.0) / np.sqrt(variance + norm.epsilon)
    return scale, (np.asarray(norm.beta) if norm.center else 0.0) - mean * scale


def _with_biases(node: Any, names: set[str]) -> Any:
    """A serialised network in which the normalisations of these names are biases."""
    if isinstance(node, list):
        return [_with_biases(item, names) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("class_name") == "BatchNormalization" and node["config"]["name"] in names:
        config = {key: node["config"][key] for key in ("name", "trainable", "dtype")}
        kind = {"module": Bias.__module__, "class_name": "Bias", "registered_name": "visionloop>Bias"}
        calls = [{**call, "kwargs": {}} for call in node["inbound_nodes"]]  # a normalisation was called with a mask
        return {**node, **kind, "config": config, "inbound_nodes": calls}
    return {key: _with_biases(value, names) for key, value in node.items()}
