"""What a network costs and what its layers look like."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import Any, TypeVar

import keras
from keras import layers

from components.models.saved import flat
from components.models.windows import PIXEL, Field, seen_through, window

Built = TypeVar("Built")
Fields = dict[int, Field | None]


@dataclass(frozen=True)
class LayerRow:
    """One layer: its output (H, W, C) or (C,), its parameters and how many of them learn, FLOPs for one image.

    `size` is its height worked out, empty where no windows slide; `receptive_field` the side, in pixels, of what one
    position of its output sees of the picture, `all` of it, or None where that differs from position to position.
    """

    name: str
    kind: str
    output: tuple[int | None, ...]
    size: str
    parameters: int
    trainable: int
    flops: int
    receptive_field: int | str | None


def rows(model: keras.Model) -> list[LayerRow]:
    """Every layer in order, those of networks inside the network too.

    A multiply-add counts as two FLOPs; only convolutions and dense layers count.
    """
    fields: Fields = {}
    _follow(model, [PIXEL] * len(model.inputs), fields)
    return [_row(layer, fields.get(id(layer))) for layer in flat(model)]


def _row(layer: keras.Layer, field: Field | None) -> LayerRow:
    windows = None if isinstance(layer, layers.InputLayer) else window(layer, _shape(layer.input)[1])
    return LayerRow(
        name=layer.name,
        kind=type(layer).__name__,
        output=_shape(layer.output)[1:],
        size=windows.formula if windows else "",
        parameters=layer.count_params(),
        trainable=sum(prod(weight.shape) for weight in layer.trainable_weights),
        flops=layer_flops(layer),
        receptive_field=field.size if field else None,
    )


def _shape(tensors: Any) -> tuple[int | None, ...]:
    first = tensors[0] if isinstance(tensors, (list, tuple)) else tensors
    return tuple(first.shape)


def _follow(model: keras.Model, inputs: list[Field | None], fields: Fields) -> list[Field | None]:
    """The fields of the model's outputs; those of its layers are added to `fields` under their id."""
    graph = model._functional if isinstance(model, keras.Sequential) else model
    tensors: Fields = {id(tensor): field for tensor, field in zip(graph.inputs, inputs, strict=True)}
    for node in _nodes(graph):
        operation, sources = node.operation, node.input_tensors
        if not sources:
            fields[id(operation)] = tensors[id(node.outputs[0])]
            continue
        found = [tensors.get(id(source)) for source in sources]
        if isinstance(operation, keras.Model):
            answers = _follow(operation, found, fields)
        else:
            answers = [seen_through(operation, found, (sources[0].shape, output.shape)) for output in node.outputs]
            fields[id(operation)] = answers[0] if fields.get(id(operation), answers[0]) == answers[0] else None
        tensors.update({id(output): answer for output, answer in zip(node.outputs, answers, strict=True)})
    return [tensors.get(id(output)) for output in graph.outputs]


def _nodes(model: keras.Model) -> Iterator[Any]:
    """The places at which layers act, each after those it needs."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        yield from model._nodes_by_depth[depth]


def total_flops(model: keras.Model) -> int:
    """FLOPs of one image through every convolution and dense layer of the model."""
    return sum(layer_flops(layer) for layer in flat(model))


def layer_flops(layer: keras.Layer) -> int:
    """2 x multiply-adds of one image: every kernel weight acts once an output position it serves.

    A layer applied at several places counts at each of them.
    """
    if isinstance(layer, layers.SeparableConv2D):
        weights = prod(layer.depthwise_kernel.shape) + prod(layer.pointwise_kernel.shape)
    elif isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)):
        weights = prod(layer.kernel.shape)
    else:
        return 0
    positions = sum(prod(node.output_tensors[0].shape[1:-1]) for node in layer._inbound_nodes)
    return int(2 * weights * positions)


def unallocated(build: Callable[[], Built]) -> Built:
    """What `build` builds, its weights known by shape only: a VGG16 in hundredths of a second, and no memory.

    In a thread of its own, with which Keras' list of weights yet to be made is gone.
    """

    def in_scope() -> Built:
        with keras.StatelessScope(initialize_variables=False):
            return build()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(in_scope).result()
