"""The fused layer against Keras' own, which computes step by step in float32."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models.batch_norm import BatchNormalization
from components.predict import load_model

POLICIES = {"float32": 1e-5, "mixed_bfloat16": 2e-2, "mixed_float16": 3e-3}
SHAPE = (4, 5, 6, 8)


def pair(policy="float32", shape=SHAPE, **options):
    """Keras' layer and ours with the same random weights."""
    rng = np.random.default_rng(3)
    layers = [
        kind(epsilon=1e-3, momentum=0.9, dtype=policy, name="bn", **options)
        for kind in (keras.layers.BatchNormalization, BatchNormalization)
    ]
    for layer in layers:
        layer.build((None, *shape[1:]))
    values = [rng.uniform(0.5, 2.0, weight.shape) for weight in layers[0].weights]
    for layer in layers:
        layer.set_weights(values)
    return layers


def images(shape=SHAPE, dtype="float32"):
    return tf.cast(np.random.default_rng(1).normal(1.5, 2.0, shape), dtype)


def learned(layer, x, training):
    """Outputs, and gradients by inputs, gamma and beta of a loss that weighs every output differently."""
    weights = np.random.default_rng(2).normal(size=x.shape).astype(np.float32)
    variables = [weight.value for weight in layer.weights[: layer.scale + layer.center]]
    with tf.GradientTape() as tape:
        tape.watch([x, *variables])
        outputs = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    return outputs, tape.gradient(loss, [x, *variables])


def close(ours, theirs, tolerance):
    ours, theirs = (np.asarray(tf.cast(value, tf.float32)) for value in (ours, theirs))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(("training", "trainable"), [(True, True), (False, True), (True, False)])
def test_outputs_gradients_and_statistics_are_those_of_keras(policy, training, trainable):
    keras_layer, ours = pair(policy)
    for layer in (keras_layer, ours):
        layer.trainable = trainable
    before = [np.array(value) for value in ours.get_weights()]
    x = images(dtype=ours.compute_dtype)
    theirs_out, theirs_grads = learned(keras_layer, x, training)
    out, grads = learned(ours, x, training)
    assert out.dtype == theirs_out.dtype == ours.compute_dtype
    close(out, theirs_out, POLICIES[policy])
    for own, their in zip(grads, theirs_grads, strict=True):
        assert own.dtype == their.dtype
        close(own, their, POLICIES[policy])
    for own, their in zip(ours.get_weights(), keras_layer.get_weights(), strict=True):
        np.testing.assert_allclose(own, their, rtol=1e-5)
    moved = [not np.array_equal(old, new) for old, new in zip(before, ours.get_weights(), strict=True)]
    assert moved == [False, False, training and trainable, training and trainable]


def test_moving_variance_takes_the_biased_variance_worked_by_hand():
    layer = BatchNormalization(momentum=0.75)
    x = np.array([1.0, 2.0, 3.0, 6.0], np.float32).reshape(1, 2, 2, 1)  # mean 3, squared deviations 4 1 0 9: variance 3.5
    layer(x, training=True)
    assert layer.moving_mean.numpy() == pytest.approx([0.25 * 3.0])
    assert layer.moving_variance.numpy() == pytest.approx([0.75 * 1.0 + 0.25 * 3.5])


def test_one_value_a_channel_has_no_variance():
    layer = BatchNormalization(momentum=0.5)
    assert np.asarray(layer(np.full((1, 1, 1, 2), 7.0, np.float32), training=True)) == pytest.approx(0.0)
    assert layer.moving_variance.numpy() == pytest.approx(0.5)


@pytest.mark.parametrize("options", [{"scale": False}, {"center": False}, {"scale": False, "center": False}, {"axis": 3}])
def test_without_scale_or_centre(options):
    for training in (True, False):
        results = [learned(layer, images(), training) for layer in pair(**options)]
        close(results[1][0], results[0][0], 1e-5)
        for own, their in zip(results[1][1], results[0][1], strict=True):
            close(own, their, 1e-4)


@pytest.mark.parametrize(("shape", "axis"), [((7, 5), -1), ((3, 4, 5), -1), ((2, 6, 4, 5), 1), ((2, 3, 4, 5, 6), -1)])
def test_what_cannot_be_fused_is_left_to_keras(shape, axis):
    layers = pair(shape=shape, axis=axis)
    outputs = [layer(images(shape), training=True) for layer in layers]
    np.testing.assert_array_equal(*outputs)
    masked = BatchNormalization()
    mask = np.array([[[True, False], [True, True]]])
    theirs = keras.layers.BatchNormalization()(images((1, 2, 2, 3)), training=True, mask=mask)
    np.testing.assert_array_equal(masked(images((1, 2, 2, 3)), training=True, mask=mask), theirs)


def network(kind):
    x = pixels = keras.Input((8, 8, 3))
    for index in range(2):
        x = keras.layers.Conv2D(4, 3, use_bias=False, name=f"conv{index}")(x)
        x = keras.layers.ReLU(name=f"relu{index}")(kind(name=f"bn{index}")(x))
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="network")


def test_weights_files_pass_to_and_from_keras_layer(tmp_path):
    plain, ours = network(keras.layers.BatchNormalization), network(BatchNormalization)
    plain.set_weights([np.random.default_rng(5).uniform(0.5, 1.5, value.shape) for value in plain.get_weights()])
    plain.save_weights(tmp_path / "plain.weights.h5")
    ours.load_weights(tmp_path / "plain.weights.h5")
    x = images((2, 8, 8, 3))
    np.testing.assert_allclose(ours(x), plain(x), rtol=1e-5, atol=1e-6)
    ours.save(tmp_path / "ours.keras")
    np.testing.assert_allclose(load_model(tmp_path / "ours.keras")(x), plain(x), rtol=1e-5, atol=1e-6)
    assert all(isinstance(layer, BatchNormalization) for layer in load_model(tmp_path / "ours.keras").layers if layer.name.startswith("bn"))
