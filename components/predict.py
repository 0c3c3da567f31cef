"""One predictor for evaluation, batches and serving: pixels in, probabilities or boxes out."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.models.saved import load_model as load_model

BATCH = 32
COLUMNS = ["image_id", "label", "x_min", "y_min", "x_max", "y_max", "confidence"]


def probabilities(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Class probabilities (N, C) float32 of pixels (N, S, S, 3) uint8."""
    return _batched(model, pixels)


def detections(model: keras.Model, pixels: NDArray[np.uint8], images: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Boxes found in letterboxed pixels (N, S, S, 3) uint8: image_id, label, x_min .. y_max (0..1 of the upright image), confidence.

    `images` has image_id, width and height in pixels, row by row as `pixels`. Sorted by image, then falling confidence.
    """
    found = _batched(model, pixels)
    frames = []
    for row, (image_id, width, height) in zip(found, images[["image_id", "width", "height"]].itertuples(index=False), strict=True):
        row = row[row[:, 5] >= 0]
        corners = from_square(row[:, :4], int(width), int(height))
        frame = pd.DataFrame(corners, columns=COLUMNS[2:6], dtype=np.float64)
        frame["image_id"], frame["confidence"] = image_id, row[:, 4].astype(np.float64)
        frame["label"] = [classes[int(number)] for number in row[:, 5]]
        frames.append(frame[(frame["x_max"] > frame["x_min"]) & (frame["y_max"] > frame["y_min"])])
    return pd.concat(frames, ignore_index=True)[COLUMNS] if frames else pd.DataFrame(columns=COLUMNS)


def from_square(corners: NDArray[Any], width: int, height: int) -> NDArray[np.float64]:
    """Corners (N, 4) as fractions of a letterbox square -> fractions 0..1 of the width x height image within it."""
    longest = max(width, height)
    offset = np.array([longest - width, longest - height] * 2) / (2 * longest)
    scale = np.array([width, height, width, height]) / longest
    return np.clip((corners.astype(np.float64) - offset) / scale, 0.0, 1.0)


class Latency(NamedTuple):
    """Milliseconds of wall time for one image at a time: in half of the cases no more than `p50`, in 99 of 100 than `p99`."""

    p50: float
    p99: float


def latency_ms(model: keras.Model, images: Sequence[NDArray[np.uint8]] | NDArray[np.uint8], count: int) -> Latency:
    """Time `count` images one by one; from few of them p99 is next to the slowest.

    Each image is (T, S, S, 3) uint8: its tiles, or itself alone, which are shown in batches as `detections` does. Each number
    of tiles is shown once before, to warm up.
    """
    import tensorflow as tf

    call = tf.function(lambda batch: model(batch, training=False), reduce_retracing=True)
    took, warm = [], set()
    for index in range(1, count + 1):
        image = images[index % len(images)]
        batches = [tf.constant(image[start : start + BATCH]) for start in range(0, len(image), BATCH)]
        for batch in batches:
            if len(batch) not in warm:
                np.asarray(call(batch))
                warm.add(len(batch))
        start = time.perf_counter()
        for batch in batches:
            np.asarray(call(batch))
        took.append(time.perf_counter() - start)
    return Latency(*(float(value) for value in np.percentile(took, (50, 99)) * 1000))


def _batched(model: keras.Model, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    parts = [np.asarray(model.predict_on_batch(np.asarray(pixels[start : start + BATCH]))) for start in range(0, len(pixels), BATCH)]
    return np.concatenate(parts).astype(np.float32) if parts else np.zeros((0, *model.output_shape[1:]), np.float32)
