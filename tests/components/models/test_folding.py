"""A folded network against the one it was folded from: the same answers, and the same directions to learn in."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from components.models.batch_norm import BatchNormalization
from components.models.depthwise import DepthwiseConv2D
from components.models.folding import Bias, folded
from components.predict import load_model

IMAGES = np.random.default_rng(1).uniform(0, 255, (4, 12, 12, 3)).astype(np.float32)


def network():
    """Every way in which a normalisation may, or may not, follow a convolution."""
    pixels = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False, name="stem")(layers.Rescaling(1 / 128, -1.0)(pixels))
    x = layers.ReLU(6.0)(BatchNormalization(name="stem_bn")(x))
    inner = DepthwiseConv2D(5, 2, padding="same", use_bias=False, depth_multiplier=1, name="wise")(x)
    inner = layers.ReLU(6.0)(BatchNormalization(name="wise_bn")(inner))
    inner = layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same", name="twice")(inner)
    inner = layers.BatchNormalization(scale=False, epsilon=0.01, name="twice_bn")(inner)
    short = layers.Conv2D(16, 1, 2, name="short")(x)
    x = layers.Add()([inner, layers.BatchNormalization(center=False, name="short_bn")(short)])
    x = layers.ReLU()(layers.BatchNormalization(name="alone_bn")(x))
    twice_read = layers.Conv2D(16, 1, name="read")(x)
    x = layers.Add()([layers.BatchNormalization(name="read_bn")(twice_read), twice_read])
    x = layers.BatchNormalization(name="curved_bn")(layers.Conv2D(16, 1, activation="relu", name="curved")(x))
    return filled(keras.Model(pixels, layers.Dense(3, name="logits")(layers.GlobalAveragePooling2D()(x))))


def filled(model):
    rng = np.random.default_rng(0)
    for variable in model.variables:
        low = 0.5 if "variance" in variable.name or "gamma" in variable.name else -0.5
        variable.assign(rng.uniform(low, 1.0, variable.shape))
    return model


FOLDABLE = {"stem_bn", "wise_bn", "twice_bn", "short_bn"}
EVERY = {*FOLDABLE, "alone_bn", "read_bn", "curved_bn"}


def biases(model):
    return {layer.name for layer in model.layers if isinstance(layer, Bias)}


def test_the_answers_stay_and_only_what_alone_reads_a_plain_convolution_is_folded():
    model = network()
    before = [np.array(value) for value in model.get_weights()]
    quick = folded(model, EVERY)
    assert biases(quick) == FOLDABLE
    assert [layer.name for layer in quick.layers] == [layer.name for layer in model.layers]
    np.testing.assert_allclose(quick(IMAGES), model(IMAGES, training=False), rtol=1e-5, atol=1e-5)
    for kept, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(kept, value)


def test_only_what_is_named_is_folded():
    assert biases(folded(network(), {"wise_bn", "logits"})) == {"wise_bn"}


def test_a_normalisation_that_is_read_by_training_statistics_stays():
    quick = folded(network(), FOLDABLE)
    assert {layer.name for layer in quick.layers if isinstance(layer, keras.layers.BatchNormalization)} == EVERY - FOLDABLE


def test_a_bias_learns_as_beta_did_and_a_kernel_by_the_scale():
    model = network()
    quick = folded(model, FOLDABLE)
    truth = np.array([0, 1, 2, 0])

    def gradients(one, names):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(truth, one(IMAGES, training=False)))
        return tape.gradient(loss, [one.get_layer(layer).weights[index].value for layer, index in names])

    beta, kernel = gradients(model, [("wise_bn", 1), ("wise", 0)])
    bias, scaled = gradients(quick, [("wise_bn", 0), ("wise", 0)])
    np.testing.assert_allclose(bias, beta, rtol=1e-4, atol=1e-6)
    norm = model.get_layer("wise_bn")
    scale = np.asarray(norm.gamma) / np.sqrt(np.asarray(norm.moving_variance) + norm.epsilon)
    np.testing.assert_allclose(scaled * scale[:, None], kernel, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("policy", "tolerance"), [("float32", 1e-6), ("mixed_bfloat16", 2e-2)])
def test_a_bias_is_added_and_its_gradient_is_the_sum(policy, tolerance):
    layer = Bias(dtype=policy)
    layer.build((None, 3, 3, 2))
    layer.bias.assign([1.0, -2.0])
    x = tf.cast(np.arange(36).reshape(2, 3, 3, 2) / 36, layer.compute_dtype)
    with tf.GradientTape() as tape:
        outputs = layer(x)
        loss = tf.reduce_sum(tf.cast(outputs, tf.float32) * np.arange(2, dtype=np.float32))
    assert outputs.dtype == layer.compute_dtype
    np.testing.assert_allclose(tf.cast(outputs - x, tf.float32), np.broadcast_to([1.0, -2.0], (2, 3, 3, 2)), atol=tolerance)
    np.testing.assert_allclose(tape.gradient(loss, layer.bias.value), [0.0, 18.0])


def test_a_folded_network_is_saved_and_read_again(tmp_path):
    quick = folded(network(), EVERY)
    quick.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(load_model(tmp_path / "model.keras")(IMAGES), quick(IMAGES))


def test_training_does_not_change_what_a_folded_network_answers():
    quick = folded(network(), FOLDABLE)
    assert not [variable.name for layer in quick.layers if layer.name in FOLDABLE for variable in layer.non_trainable_variables]
