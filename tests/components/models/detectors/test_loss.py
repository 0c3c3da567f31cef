"""The detection loss: finite on every degenerate batch, least for the right answer, and able to teach."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models.detectors.decode import anchor_grid, decode
from components.models.detectors.loss import DetectionLoss, box_loss, quality_focal_loss
from tests.components.models.detectors.degenerate import DEGENERATE

SIZE = 64
ANCHORS = len(anchor_grid(SIZE)[0])


LOSS = DetectionLoss(2, SIZE)


@tf.function(reduce_retracing=True)
def traced(y_true: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(raw)
        value = LOSS(y_true, raw)
    return value, tape.gradient(value, raw)


def loss_and_gradient(y_true: np.ndarray, raw: np.ndarray) -> tuple[float, np.ndarray]:
    value, gradient = traced(tf.constant(y_true, tf.float32), tf.constant(raw))
    return float(value), gradient.numpy()


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1000.0])
def test_every_batch_has_a_finite_loss_and_gradient(name, scale):
    raw = np.random.default_rng(0).normal(0, scale, (2, ANCHORS, 6)).astype(np.float32) if scale else np.zeros((2, ANCHORS, 6), np.float32)
    value, gradient = loss_and_gradient(DEGENERATE[name], raw)
    assert np.isfinite(value)
    assert value >= 0
    assert np.isfinite(gradient).all()


def right_answer(box: np.ndarray, logit: float) -> np.ndarray:
    """Raw rows that say `box` (pixels) at every anchor inside it, and nothing elsewhere."""
    centres, strides = anchor_grid(SIZE)
    middle, size = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    raw = np.concatenate([(middle - centres) / strides, np.log(size / strides), np.full((ANCHORS, 2), -logit)], axis=1)
    raw[(np.abs(centres - middle) < size / 2).all(axis=1), 4] = logit
    return raw[None].astype(np.float32)


def test_the_right_answer_costs_nearly_nothing_and_a_wrong_one_much():
    box = np.array([10.0, 20.0, 26.0, 36.0])
    y_true = np.array([[[0, *(box / SIZE)]]])
    right, _ = loss_and_gradient(y_true, right_answer(box, 12.0))
    moved, _ = loss_and_gradient(y_true, right_answer(box + 6, 12.0))
    silent, _ = loss_and_gradient(y_true, right_answer(box, -12.0))
    assert right < 0.01
    assert min(moved, silent) > 0.5


def test_quality_focal_loss_by_hand():
    logits, target = np.array([[[0.0], [2.0]]], np.float32), np.array([[[1.0], [0.0]]], np.float32)
    expected = 0.5**2 * np.log(2) + (1 / (1 + np.exp(-2.0))) ** 2 * np.log(1 + np.exp(2.0))
    assert float(quality_focal_loss(target, logits)[0]) == pytest.approx(expected, rel=1e-4)


def test_box_loss_by_hand():
    truth, found = np.array([[[0.0, 0, 4, 4], [0, 0, 4, 4]]], np.float32), np.array([[[0.0, 0, 4, 4], [4, 0, 8, 4]]], np.float32)
    ciou = 0 - 4**2 / (8**2 + 4**2)  # no overlap, the same shape: only the distance of the centres over the diagonal
    assert float(box_loss(truth, found, np.array([[1.0, 0.5]], np.float32))[0]) == pytest.approx(0.5 * (1 - ciou), rel=1e-4)


def test_it_survives_serialisation():
    loss = keras.losses.deserialize(keras.losses.serialize(DetectionLoss(3, 128)))
    assert (loss.num_classes, loss.image_size) == (3, 128)


def test_descending_it_finds_boxes_and_classes():
    y_true = np.array([[[0, 0.1, 0.2, 0.4, 0.6], [1, 0.5, 0.4, 0.95, 0.9]]], np.float32)
    start = np.random.default_rng(0).normal(0, 0.1, (1, ANCHORS, 6)).astype(np.float32)
    start[..., 4:] -= 3
    raw = tf.Variable(start)
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(150):
        optimizer.apply([traced(tf.constant(y_true), raw.value())[1]], [raw])
    boxes, scores = (np.asarray(value)[0] for value in decode(raw, SIZE))
    for label, *corners in y_true[0]:
        best = int(np.argmax(scores[:, int(label)]))
        assert scores[best, int(label)] > 0.8
        np.testing.assert_allclose(boxes[best], corners, atol=0.03)
    assert scores.min(axis=0).max() < 0.02
