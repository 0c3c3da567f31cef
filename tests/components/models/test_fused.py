"""A network of Keras' layers and its rebuilt twin."""

import keras
import numpy as np
import pytest

from components.models.batch_norm import BatchNormalization
from components.models.depthwise import DepthwiseConv2D
from components.models.fused import fused


def network():
    x = pixels = keras.Input((8, 8, 3))
    for index in range(2):
        x = keras.layers.DepthwiseConv2D(3, padding="same", name=f"depthwise{index}")(x)
        x = keras.layers.ReLU(name=f"relu{index}")(keras.layers.BatchNormalization(name=f"bn{index}")(x))
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D(name="pool")(x), name="network")


@pytest.mark.parametrize("nested", [False, True])
def test_a_network_of_keras_is_rebuilt_with_the_faster_layers(nested):
    plain = network()
    if nested:
        plain = keras.Sequential([keras.Input((8, 8, 3)), plain, keras.layers.Dense(2)])
    plain.set_weights([np.random.default_rng(5).uniform(0.5, 1.5, value.shape) for value in plain.get_weights()])
    plain.layers[1].trainable = False
    rebuilt = fused(plain)
    x = np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(rebuilt(x), plain(x), rtol=1e-5, atol=1e-6)
    flat, theirs = list(rebuilt._flatten_layers()), list(plain._flatten_layers())
    assert [(layer.name, layer.trainable) for layer in flat] == [(layer.name, layer.trainable) for layer in theirs]
    for kind, own in ((keras.layers.BatchNormalization, BatchNormalization), (keras.layers.DepthwiseConv2D, DepthwiseConv2D)):
        assert [type(layer) for layer in flat if isinstance(layer, kind)] == [own, own]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0"])
def test_networks_of_keras_applications_keep_names_and_results(name):
    plain = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(64, 64, 3))
    rebuilt = fused(plain)
    x = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.float32)
    theirs = np.asarray(plain(x))
    np.testing.assert_allclose(rebuilt(x), theirs, atol=1e-4 * np.abs(theirs).max())
    assert [weight.path for weight in rebuilt.weights] == [weight.path for weight in plain.weights]
