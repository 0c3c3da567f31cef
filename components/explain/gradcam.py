"""Where a classifier looked: Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391)."""

from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.explain.trace import trace

Indices = NDArray[np.integer[Any]]

TINY = 1e-30
BATCH = 8  # images: the maps of all layers lie in memory
STRENGTH = 0.6  # of the colour where the heat is greatest, 0..1


def grad_cam(model: keras.Model, pixels: NDArray[np.uint8], classes: Indices, layer: str | None = None) -> NDArray[np.float32]:
    """Heat (N, K, h, w) float32, 0 and more: what at each cell of a feature map speaks for each of K classes.

    pixels (N, S, S, 3) uint8, `classes` (N, K) indices. relu(sum of a_k A_k), where A_k is channel k of the map and a_k
    the mean over the map of d score / d A_k; the score is what stands before the softmax. Of two classes it is the
    difference of the scores, which alone decides, and is all that a sigmoid unit has. `layer`: whose map; the last
    convolutional one when not said. Raises UsageError for a layer that is not there, and for a network without convolutions.
    """
    name = layer or trace(model, pixels[:1]).deepest().name
    parts = [_batch(model, pixels[start : start + BATCH], classes[start : start + BATCH], name) for start in range(0, len(pixels), BATCH)]
    return np.concatenate(parts)


def _batch(model: keras.Model, pixels: NDArray[np.uint8], classes: Indices, name: str) -> NDArray[np.float32]:
    with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
        done = trace(model, pixels, lambda step, output: tape.watch(output) if step == name else None)
        sums = [tf.reduce_sum(_scores(done.scores, column)) for column in classes.T]
    found = done.named(name).output
    heats = []
    for score in sums:  # the images of a batch know nothing of one another: the slope of the sum is each one's own
        slopes = tape.gradient(score, found, unconnected_gradients="zero")
        weights = tf.reduce_mean(slopes, axis=(1, 2), keepdims=True)
        heat = tf.nn.relu(tf.reduce_sum(weights * found, axis=-1))
        heats.append(heat[: len(pixels)])  # after them come those of the mirror images, where a network looks at both
    return np.asarray(tf.stack(heats, axis=1), np.float32)


def _scores(scores: Any, classes: Indices) -> Any:
    """(N,): each image's score of its class."""
    if scores.shape[-1] == 1:
        scores = tf.concat([tf.zeros_like(scores), scores], axis=-1)
    own = tf.gather(scores, classes, axis=1, batch_dims=1)
    return 2 * own - tf.reduce_sum(scores, axis=1) if scores.shape[-1] == 2 else own


def overlay(photograph: NDArray[np.uint8], heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The photograph (H, W, 3) grey where heat (h, w) is 0, the more coloured the warmer it is, as a share of its maximum."""
    height, width = photograph.shape[:2]
    share = np.asarray(cv2.resize(heat / max(float(heat.max()), TINY), (width, height), interpolation=cv2.INTER_LINEAR), np.float64)
    grey = cv2.cvtColor(cv2.cvtColor(photograph, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colours = cv2.applyColorMap((share * 255).round().astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    strength = STRENGTH * np.sqrt(share)[:, :, None]
    return np.asarray((grey * (1 - strength) + colours * strength).round(), np.uint8)
