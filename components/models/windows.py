"""How a layer's windows lie on its input: kernel, stride and padding, and how far back in the picture they reach.

Output side = floor((N + 2p - k) / s) + 1. The receptive field is followed through every branch of the graph as Araujo
et al. do (2019, https://distill.pub/2019/computing-receptive-fields/): position x of a map sees the pixels
jump * x + first .. jump * x + last of the picture.
"""

import math
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

WINDOWED = (layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D, layers.MaxPooling2D, layers.AveragePooling2D)


@dataclass(frozen=True)
class Window:
    """One direction of a layer's windows, in positions of its input: N long, `before` and `after` are padding, `kernel` is as dilated."""

    length: int | None
    kernel: int
    stride: int
    before: int
    after: int

    @property
    def formula(self) -> str:
        """The output side worked out: `⌊(32 + 2·2 − 5)/1⌋ + 1 = 32`; empty where N is not known."""
        if self.length is None:
            return ""
        padding = f"2·{self.before}" if self.before == self.after else f"{self.before} + {self.after}"
        side = (self.length + self.before + self.after - self.kernel) // self.stride + 1
        return f"⌊({self.length} + {padding} − {self.kernel})/{self.stride}⌋ + 1 = {side}"


def window(layer: keras.Layer, length: int | None, axis: int = 0) -> Window | None:
    """The windows of a layer along axis 0 (height) or 1 (width) of an input `length` long; None for a layer without any.

    `same` pads as TensorFlow does: the output has ceil(N / s) positions, and an odd pixel of padding comes last. Where N is
    not known it is taken to be a multiple of the stride.
    """
    if not isinstance(layer, WINDOWED):
        return None
    pools = hasattr(layer, "pool_size")
    kernel = layer.pool_size[axis] if pools else (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
    stride = layer.strides[axis]
    if layer.padding == "valid":
        return Window(length, kernel, stride, 0, 0)
    remainder = (length or 0) % stride or stride
    padding = max(kernel - remainder, 0)
    return Window(length, kernel, stride, padding // 2, padding - padding // 2)


@dataclass(frozen=True)
class Field:
    """What position x of a map sees along one direction of the picture, in pixels: jump * x + first .. jump * x + last."""

    jump: int
    first: float
    last: float

    @property
    def size(self) -> int | str:
        """Pixels, or `all` of the picture."""
        return "all" if math.isinf(self.last) else int(self.last - self.first) + 1


PIXEL = Field(1, 0, 0)
WHOLE = Field(1, -math.inf, math.inf)


def seen_through(layer: keras.Layer, inputs: list[Field | None], shapes: tuple[Any, Any]) -> Field | None:
    """The field of a layer's output, of those of its inputs and the shapes of its (first) input and its output.

    None where it is not the same at every position, as after an enlargement.
    """
    known = [field for field in inputs if field is not None]
    if len(known) < len(inputs) or not known:
        return None
    before, after = shapes
    if any(field == WHOLE for field in known) or len(after) == 2:
        return WHOLE
    if len(after) != 4 or len({field.jump for field in known}) > 1:
        return None
    jump, first, last = known[0].jump, min(field.first for field in known), max(field.last for field in known)
    if isinstance(layer, (layers.ZeroPadding2D, layers.Cropping2D)):
        margin = layer.padding[0][0] if isinstance(layer, layers.ZeroPadding2D) else -layer.cropping[0][0]
        return Field(jump, first - jump * margin, last - jump * margin)
    windows = window(layer, before[1])
    if windows is not None:
        left = first - jump * windows.before
        return Field(jump * windows.stride, left, left + (last - first) + jump * (windows.kernel - 1))
    if isinstance(layer, (layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D)):
        return WHOLE
    return Field(jump, first, last) if before[1:3] == after[1:3] else None
