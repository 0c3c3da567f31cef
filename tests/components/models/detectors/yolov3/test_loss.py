"""The loss of YOLOv3: by hand, finite on every degenerate batch, and able to teach."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models.detectors.yolov3.anchors import COCO
from components.models.detectors.yolov3.decode import decode_boxes, decode_scores
from components.models.detectors.yolov3.loss import AnchorLoss
from tests.components.models.detectors.degenerate import DEGENERATE

SIZE = 64
ROWS = 3 * (8 * 8 + 4 * 4 + 2 * 2)
LOSS = AnchorLoss(2, SIZE, COCO)


@tf.function(reduce_retracing=True)
def traced(y_true: tf.Tensor, raw: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    with tf.GradientTape() as tape:
        tape.watch(raw)
        value = LOSS.call(y_true, raw)
    return value, tape.gradient(value, raw)


def losses_and_gradient(y_true: np.ndarray, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    losses, gradient = traced(tf.constant(y_true, tf.float32), tf.constant(raw, tf.float32))
    return losses.numpy(), gradient.numpy()


def random_raw(scale: float, images: int = 2) -> np.ndarray:
    return np.random.default_rng(0).normal(0, scale, (images, ROWS, 7)) if scale else np.zeros((images, ROWS, 7))


def entropy(target: float, logit: float) -> float:
    probability = 1 / (1 + np.exp(-logit))
    return float(-target * np.log(probability) - (1 - target) * np.log(1 - probability))


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("scale", [0.0, 1.0, 1000.0])
def test_every_batch_has_a_finite_loss_and_gradient(name, scale):
    losses, gradient = losses_and_gradient(DEGENERATE[name], random_raw(scale))
    assert losses.shape == (2,)
    assert np.isfinite(losses).all() and (losses >= 0).all()
    assert np.isfinite(gradient).all()


def one_box() -> tuple[np.ndarray, np.ndarray]:
    """A box for the largest anchor in the lower left of the coarsest map's four cells (row 248), and its label."""
    middle, size = np.array([0.45, 0.55]), 0.9 * np.array(COCO[8])
    return size, np.array([[[1, *(middle - size / 2), *(middle + size / 2)]]])


def test_one_box_by_hand():
    size, y_true = one_box()
    raw = np.zeros((1, ROWS, 7))
    raw[..., 4] = -3.0
    raw[0, 248] = [0.3, -0.2, 0.1, -0.1, 1.0, 0.5, -1.0]
    raw[0, 251, :2] = -20.0  # the cell to the right answers nearly the same box: whether there is one is not asked of it
    place = entropy(0.9, 0.3) + entropy(0.1, -0.2) + ((0.1 - np.log(0.9)) ** 2 + (-0.1 - np.log(0.9)) ** 2) / 2
    expected = (2 - size.prod()) * place + entropy(0, 0.5) + entropy(1, -1.0) + entropy(1, 1.0) + (ROWS - 2) * entropy(0, -3.0)
    losses, gradient = losses_and_gradient(y_true, raw)
    assert losses[0] == pytest.approx(expected, rel=1e-4)
    assert gradient[0, 251, 4] == 0 and gradient[0, 250, 4] > 0 > gradient[0, 248, 4]


def test_the_right_answer_has_nothing_to_learn_and_a_wrong_one_has():
    _, y_true = one_box()
    raw = np.zeros((1, ROWS, 7))
    raw[..., 4] = -15.0
    raw[0, 248] = [np.log(9.0), -np.log(9.0), np.log(0.9), np.log(0.9), 15.0, -15.0, 15.0]
    _, gradient = losses_and_gradient(y_true, raw)
    assert np.abs(gradient).max() < 1e-4
    for column in range(7):
        wrong = raw.copy()
        wrong[0, 248, column] *= -1
        assert np.abs(losses_and_gradient(y_true, wrong)[1]).max() > 0.1


def test_padding_and_the_order_of_the_boxes_change_nothing():
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 0.6, (2, 6, 2))
    y_true = np.concatenate([rng.integers(0, 2, (2, 6, 1)), corner, corner + rng.uniform(0.05, 0.4, (2, 6, 2))], axis=-1)
    padded = np.concatenate([np.full((2, 2, 5), -1.0), y_true[:, ::-1], np.full((2, 30, 5), -1.0)], axis=1)
    expected, other = (losses_and_gradient(rows, random_raw(1.0))[0] for rows in (y_true, padded))
    np.testing.assert_allclose(other, expected, rtol=1e-5)


def test_a_batch_of_the_same_picture_twice_costs_what_the_picture_does():
    _, y_true = one_box()
    once, _ = losses_and_gradient(y_true, random_raw(1.0, images=1))
    twice, _ = losses_and_gradient(np.repeat(y_true, 2, axis=0), np.repeat(random_raw(1.0, images=1), 2, axis=0))
    np.testing.assert_allclose(twice, [once[0]] * 2, rtol=1e-5)


def test_it_survives_serialisation():
    loss = keras.losses.deserialize(keras.losses.serialize(AnchorLoss(3, 128, COCO)))
    assert (loss.num_classes, loss.image_size) == (3, 128)
    np.testing.assert_array_equal(loss.anchors, COCO)


def test_descending_it_finds_boxes_and_classes():
    y_true = np.array([[[0, 0.1, 0.2, 0.4, 0.6], [1, 0.5, 0.4, 0.95, 0.9]]], np.float32)
    start = random_raw(0.1, images=1).astype(np.float32)
    start[..., 4] -= 3
    raw = tf.Variable(start)
    optimizer = keras.optimizers.Adam(0.1)
    for _ in range(200):
        optimizer.apply([traced(tf.constant(y_true), raw.value())[1]], [raw])
    boxes, scores = np.asarray(decode_boxes(raw, COCO, SIZE))[0], np.asarray(decode_scores(raw))[0]
    for label, *corners in y_true[0]:
        best = int(np.argmax(scores[:, int(label)]))
        assert scores[best, int(label)] > 0.8
        np.testing.assert_allclose(boxes[best], corners, atol=0.02)
    assert np.sort(scores.max(axis=1))[-3] < 0.1
