"""The restated gradients against Keras' layer, whose gradients are TensorFlow's own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models import depthwise
from components.models.depthwise import DepthwiseConv2D
from components.predict import load_model
from components.train.precision import has_bfloat16

SIZES = [(12, 12), (11, 12), (7, 9), (5, 5)]


def learned(layer, x):
    """Outputs, and the gradients by inputs and weights of a loss that weighs every output differently."""
    variables = [weight.value for weight in layer.trainable_weights]
    with tf.GradientTape() as tape:
        tape.watch([x, *variables])
        outputs = layer(x)
        weights = np.random.default_rng(2).normal(size=outputs.shape).astype(np.float32)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * weights)
    return [outputs, *tape.gradient(loss, [x, *variables])]


def results(policy, size, **options):
    """What Keras' layer in float32 and ours in `policy` give for the same weights."""
    x = tf.constant(np.random.default_rng(1).normal(size=(3, *size, 4)), tf.float32)
    keras_layer, ours = keras.layers.DepthwiseConv2D(dtype="float32", **options), DepthwiseConv2D(dtype=policy, **options)
    for layer in (keras_layer, ours):
        layer.build((None, *size, 4))
    rng = np.random.default_rng(3)
    keras_layer.set_weights([rng.normal(size=weight.shape) for weight in keras_layer.weights])
    ours.set_weights(keras_layer.get_weights())
    return learned(keras_layer, x), learned(ours, tf.cast(x, ours.compute_dtype))


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_gradients_are_those_of_keras(kernel, stride, padding):
    # bfloat16 keeps 8 bits; a CPU that emulates it rounds every partial sum of up to 49 to them, one that has it only the whole.
    coarse = 2e-2 if has_bfloat16() else 5e-2
    for size in [size for size in SIZES if min(size) >= kernel]:
        options = {"kernel_size": kernel, "strides": stride, "padding": padding, "use_bias": False}
        for policy, tolerance in (("float32", 1e-5), ("mixed_bfloat16", coarse)):
            for theirs, ours in zip(*results(policy, size, **options), strict=True):
                theirs, ours = np.asarray(theirs), np.asarray(tf.cast(ours, tf.float32))
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_bias_and_activation_take_part():
    for theirs, ours in zip(*results("float32", (8, 8), kernel_size=5, padding="same", activation="relu"), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options",
    [{"kernel_size": 4}, {"kernel_size": (3, 5)}, {"kernel_size": 3, "dilation_rate": 2}, {"kernel_size": 3, "depth_multiplier": 2}],
)
def test_what_is_not_restated_is_left_to_keras(options, monkeypatch):
    monkeypatch.setattr(depthwise, "_depthwise", None)  # would fail if it were called
    for theirs, ours in zip(*results("float32", (9, 9), **options), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_trains_in_a_graph_with_batches_of_any_size_and_saves(tmp_path):
    pixels = keras.Input((8, 8, 3))
    model = keras.Model(pixels, DepthwiseConv2D(5, 2, padding="same", name="depthwise")(pixels))
    model.compile("sgd", "mse")
    for images in (2, 3):
        assert np.isfinite(model.train_on_batch(np.ones((images, 8, 8, 3)), np.zeros((images, 4, 4, 3))))
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype(np.float32)
    loaded = load_model(tmp_path / "model.keras")
    assert type(loaded.get_layer("depthwise")) is DepthwiseConv2D
    np.testing.assert_array_equal(loaded(x), model(x))
