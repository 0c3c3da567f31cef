"""What goes on inside a network while it looks at images: every layer's output, networks within networks laid open."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from math import prod
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from numpy.typing import NDArray

from components.errors import UsageError

Watch = Callable[[str, Any], None]

GRAPHS = (keras.Sequential, keras.Function)
CONVOLUTIONS = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)
BETWEEN = (  # they compute nothing new: the map before them shows more
    layers.MaxPooling2D,
    layers.AveragePooling2D,
    layers.Dropout,
    layers.SpatialDropout2D,
    layers.ZeroPadding2D,
    layers.Cropping2D,
    layers.UpSampling2D,
)
TELLING = 8  # channels; a detector's last maps have one a class


@dataclass(frozen=True)
class Step:
    """One layer at work: its name within the whole network, and its output (B, H, W, C) or (B, ...)."""

    name: str
    layer: Any
    output: Any

    @property
    def side(self) -> tuple[int, int]:
        """Height and width of the output, in cells."""
        return int(self.output.shape[1]), int(self.output.shape[2])

    @property
    def is_map(self) -> bool:
        """Whether the output has more than one place."""
        return self.output.ndim == 4 and prod(self.side) > 1


@dataclass
class Trace:
    """A forward pass: the steps by name, in the order of computation, and the scores (B, C) before softmax or sigmoid.

    The second and third use of a shared layer are named `name:2`, `name:3`.
    """

    steps: dict[str, Step] = field(default_factory=dict)
    scores: Any = None

    def convolved(self) -> list[Step]:
        """The maps from the first convolution on, without those that pooling and the like hand on."""
        maps, seen = [], False
        for step in self.steps.values():
            seen = seen or isinstance(step.layer, CONVOLUTIONS)
            if seen and step.is_map and not isinstance(step.layer, BETWEEN):
                maps.append(step)
        return maps

    def named(self, name: str) -> Step:
        """The map of that name. Raises UsageError, with the nearest name, when there is none."""
        known = [step.name for step in self.steps.values() if step.is_map]
        if name in known:
            return self.steps[name]
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the last are {', '.join(known[-5:])}"
        raise UsageError(f"the network has no layer {name!r} with a feature map; {hint} (`visionloop summary ARCHITECTURE` lists them)")

    def deepest(self) -> Step:
        """The last convolutional map. Raises UsageError for a network without one."""
        if not (maps := self.convolved()):
            raise UsageError("the network has no convolution: there is no map to look at")
        return maps[-1]

    def by_size(self, most: int) -> list[Step]:
        """The last map of each size, coarser and coarser, `most` of them at most, evenly chosen."""
        last: dict[tuple[int, int], Step] = {}
        for step in self.convolved():
            if step.output.shape[-1] >= TELLING or step.side not in last or last[step.side].output.shape[-1] < TELLING:
                last[step.side] = step
        found = sorted(last.values(), key=lambda step: -prod(step.side))
        return [found[row] for row in np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))]


def trace(model: keras.Model, pixels: NDArray[np.uint8], watch: Watch = lambda name, output: None) -> Trace:
    """Run `model` on pixels (B, S, S, 3) uint8, layer by layer; `watch(name, output)` sees each output before it is used.

    Raises UsageError for a model that is no graph of layers, such as one whose `call` is written by hand.
    """
    if not isinstance(model, GRAPHS):
        raise UsageError(
            f"the network is a {type(model).__name__}, expected a functional or sequential Keras model: its layers cannot be seen"
        )
    walk = _Walk(watch)
    output = walk.run(model, tf.cast(pixels, model.inputs[0].dtype))
    walk.found.scores = _before_activation(*walk.last, output)
    return walk.found


class _Walk:
    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.found = Trace()
        self.last: tuple[Any, Any] = (None, None)
        self.times: Counter[str] = Counter()

    def run(self, model: Any, inputs: Any) -> Any:
        if isinstance(model, keras.Sequential):
            for layer in model.layers:
                inputs = self.call(layer, inputs)
            return inputs
        # As `keras.models.clone_model` goes through a graph; it has no public way to do so on values.
        return model._run_through_graph(inputs, call_fn=self.call)

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(layer, GRAPHS):
            return self.run(layer, args[0])
        output = layer(*args, **kwargs)
        if isinstance(output, tf.Tensor):
            name = self._name(layer.name)
            self.watch(name, output)
            self.found.steps[name] = Step(name, layer, output)
            self.last = layer, args[0]
        return output

    def _name(self, name: str) -> str:
        self.times[name] += 1
        return name if self.times[name] == 1 else f"{name}:{self.times[name]}"


def _before_activation(layer: Any, given: Any, output: Any) -> Any:
    """The scores that the last layer turned into probabilities; its output itself where it did no such thing."""
    if isinstance(layer, layers.Softmax) or (isinstance(layer, layers.Activation) and _squashes(layer)):
        return given
    if isinstance(layer, layers.Dense) and _squashes(layer):
        scores = tf.matmul(tf.cast(given, layer.compute_dtype), layer.kernel)
        return scores if layer.bias is None else scores + layer.bias
    return output


def _squashes(layer: Any) -> bool:
    return layer.activation in (keras.activations.softmax, keras.activations.sigmoid)
