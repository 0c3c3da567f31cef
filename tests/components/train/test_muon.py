"""Muon against the singular value decomposition, and against Keras' AdamW where it leaves the update to it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(3, 3, 8, 16), (1, 1, 8, 32), (3, 3, 4, 36), (6, 6)])
def test_an_orthogonal_update_has_the_same_singular_vectors_and_singular_values_near_one(shape):
    update = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = np.asarray(orthogonal(tf.constant(update), 8))
    assert found.shape == shape
    left, _, right = np.linalg.svd(update.reshape(-1, shape[-1]), full_matrices=False)
    rotated = left.T @ found.reshape(-1, shape[-1]) @ right.T
    assert np.abs(rotated - np.diag(np.diag(rotated))).max() < 0.15  # bfloat16
    assert np.diag(rotated).min() > 0.6 and np.diag(rotated).max() < 1.3


def step(optimizer: keras.optimizers.Optimizer, values: list[np.ndarray], gradients: list[np.ndarray], times: int) -> list[np.ndarray]:
    variables = [keras.Variable(value) for value in values]
    for _ in range(times):
        optimizer.apply([tf.constant(gradient) for gradient in gradients], variables)
    return [np.asarray(variable) for variable in variables]


def test_matrices_and_vectors_are_updated_by_adamw():
    rng = np.random.default_rng(1)
    values, gradients = ([rng.normal(size=shape).astype(np.float32) for shape in [(5, 4), (7,)]] for _ in range(2))
    ours = step(Muon(0.02, weight_decay=0.1, adam_weight_decay=0.1), values, gradients, 3)
    theirs = step(keras.optimizers.AdamW(0.02, weight_decay=0.1), values, gradients, 3)
    for found, expected in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_a_kernel_moves_equally_far_in_all_directions_and_a_fifth_of_the_learning_rate_a_weight():
    rng = np.random.default_rng(2)
    kernel, gradient = np.zeros((3, 3, 8, 16), np.float32), rng.normal(size=(3, 3, 8, 16)).astype(np.float32)
    gradient[..., 0] *= 100  # one direction that plain descent would follow alone
    (moved,) = step(Muon(0.05, momentum=0.6, ns_steps=8, weight_decay=None), [kernel], [gradient], 1)
    values = np.linalg.svd(moved.reshape(-1, 16), compute_uv=False)
    assert values.max() / values.min() < 2.2
    assert np.sqrt((moved**2).mean()) == pytest.approx(0.2 * 0.05, rel=0.3)
    assert (moved * gradient).sum() < 0  # downhill


def test_momentum_carries_a_kernel_on_when_the_gradient_is_gone():
    gradient = np.random.default_rng(3).normal(size=(3, 3, 4, 4)).astype(np.float32)
    variable = keras.Variable(np.zeros((3, 3, 4, 4), np.float32))
    optimizer = Muon(0.05, momentum=0.6, weight_decay=None)
    optimizer.apply([tf.constant(gradient)], [variable])
    before = np.asarray(variable)
    optimizer.apply([tf.zeros((3, 3, 4, 4))], [variable])
    assert ((np.asarray(variable) - before) * gradient).sum() < 0
