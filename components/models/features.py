"""Images as the pooled features of a pretrained network, for judging data rather than for serving."""

from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from components.models.efficientnet_lite0 import HEAD_CHANNELS, embedding
from components.models.folding import folded
from components.models.weights import load_into

SIZE = 224  # pixels, square
WIDTH = HEAD_CHANNELS


def extractor(weights: Path) -> keras.Model:
    """EfficientNet-Lite0 up to its pooled features: pixels (B, 224, 224, 3) in 0..255 -> (B, 1280).

    Raises DataError when the weights file is missing or fits no layer.
    """
    pixels = keras.Input((SIZE, SIZE, 3), name="image")
    model = keras.Model(pixels, embedding(pixels), name="features")
    return folded(model, load_into(model, weights))


def features(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """One batch through `extractor`'s model: (B, 224, 224, 3) uint8 -> (B, 1280) float32."""
    return np.asarray(model.predict_on_batch(pixels), np.float32)
