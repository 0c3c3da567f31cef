"""What a network costs and what its layers look like."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import keras
from keras import layers


@dataclass(frozen=True)
class LayerRow:
    """One layer: its output (H, W, C) or (C,), trainable and frozen parameters together, FLOPs for one image."""

    name: str
    kind: str
    output: tuple[int | None, ...]
    parameters: int
    flops: int


def rows(model: keras.Model) -> list[LayerRow]:
    """Every layer in order, those of networks inside the network too.

    A multiply-add counts as two FLOPs; only convolutions and dense layers count.
    """
    return [
        LayerRow(layer.name, type(layer).__name__, tuple(layer.output.shape[1:]), layer.count_params(), layer_flops(layer))
        for layer in _flat(model)
    ]


def _flat(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _flat(layer)
        else:
            yield layer


def total_flops(model: keras.Model) -> int:
    """FLOPs of one image through every convolution and dense layer of the model."""
    return sum(row.flops for row in rows(model))


def layer_flops(layer: keras.Layer) -> int:
    """2 x multiply-adds of one image: every kernel weight acts once an output position it serves.

    A layer applied at several places counts at each of them.
    """
    if not isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        return 0
    positions = sum(prod(node.output_tensors[0].shape[1:-1]) for node in layer._inbound_nodes)
    return int(2 * prod(layer.kernel.shape) * positions)
