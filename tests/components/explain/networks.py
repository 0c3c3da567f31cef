"""Tiny networks whose weights are known, so that what goes on inside can be worked out by hand."""

from typing import Any

import keras
import numpy as np
from keras import layers

from components.models.layers import ResizeCrop


def set_kernel(layer: Any, kernel: np.ndarray, bias: np.ndarray | None = None) -> None:
    layer.set_weights([kernel.astype(np.float32), *([] if bias is None else [bias.astype(np.float32)])])


def pooled(kernel: np.ndarray, weights: np.ndarray, size: int, padding: str = "same") -> keras.Model:
    """Pixels -> convolution -> ReLU -> global average -> logits: the network of Zhou et al. 2016."""
    pixels = keras.Input((size, size, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255, name="rescale")(pixels)
    x = layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding=padding, use_bias=False, activation="relu", name="conv")(x)
    logits = layers.Dense(weights.shape[-1], use_bias=False, name="logits")(layers.GlobalAveragePooling2D(name="pool")(x))
    model = keras.Model(pixels, logits, name="pooled")
    set_kernel(model.get_layer("conv"), kernel)
    set_kernel(model.get_layer("logits"), weights)
    return model


def served(model: keras.Model) -> keras.Model:
    """As `catalog.serving_model` wraps a classifier."""
    photographs = keras.Input((None, None, 3), dtype="uint8", name="image")
    logits = model(ResizeCrop(model.input_shape[1], name="resize")(photographs))
    return keras.Model(photographs, layers.Softmax(name="probabilities")(logits), name="classifier")


def photographs(count: int, size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3)).astype(np.uint8)
