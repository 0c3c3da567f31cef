"""The first filters of ordinary, grey, depthwise and separable networks."""

import keras
import numpy as np
import pytest
from keras import layers

from components.errors import UsageError
from components.explain import filters
from components.explain.trace import trace
from tests.components.explain.networks import photographs


def first(layer: layers.Layer, channels: int = 3) -> filters.Kernels:
    pixels = keras.Input((8, 8, channels))
    model = keras.Model(pixels, layers.Conv2D(2, 1, name="second")(layer(layers.Rescaling(0.1)(pixels))))
    return filters.first_filters(trace(model, photographs(1, 8)[..., :channels]))


@pytest.mark.parametrize(
    ("layer", "channels", "shape"),
    [
        (layers.Conv2D(7, (3, 5)), 3, (7, 3, 5, 3)),
        (layers.Conv2D(7, 3), 1, (7, 3, 3, 1)),
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 3, (6, 3, 3, 1)),
        (layers.SeparableConv2D(4, 5), 3, (3, 5, 5, 1)),
    ],
)
def test_there_is_a_filter_for_each_that_the_layer_has(layer: layers.Layer, channels: int, shape: tuple[int, ...]) -> None:
    found = first(layer, channels)
    assert (found.layer, found.values.shape) == (layer.name, shape)


def test_filters_are_the_layers_weights() -> None:
    layer = layers.Conv2D(4, 3)
    np.testing.assert_array_equal(first(layer).values[2], layer.get_weights()[0][..., 2])
    deep = layers.DepthwiseConv2D(3, depth_multiplier=2)
    np.testing.assert_array_equal(first(deep).values[3, :, :, 0], deep.get_weights()[0][:, :, 1, 1])


def test_no_weight_is_medium_grey_and_the_strongest_black_or_white() -> None:
    values = np.zeros((2, 2, 2, 3), np.float32)
    values[0, 0, 0, 0], values[0, 1, 1, 2] = -4, 2
    shown = filters.tiles(filters.Kernels("conv", values))
    assert shown.shape == (2, 2, 2, 3)
    assert (shown[0, 0, 0, 0], shown[0, 1, 1, 2], shown[0, 0, 1, 1]) == (0, 0.75, 0.5) and (shown[1] == 0.5).all()


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_filters_that_read_other_than_three_channels_are_one_tile_a_channel(channels: int) -> None:
    values = np.arange(3 * 2 * 2 * channels, dtype=np.float32).reshape(3, 2, 2, channels)
    shown = filters.tiles(filters.Kernels("conv", values))
    assert shown.shape == (3 * channels, 2, 2)
    np.testing.assert_allclose(shown[channels], 0.5 + 0.5 * values[1, :, :, 0] / values[1].max())


def test_a_network_without_a_convolution_has_no_filters() -> None:
    pixels = keras.Input((8, 8, 3))
    with pytest.raises(UsageError, match="no convolution"):
        filters.first_filters(trace(keras.Model(pixels, layers.Flatten()(pixels)), photographs(1, 8)))
