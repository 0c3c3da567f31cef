"""Feature maps of kernels whose answer is known."""

import cv2
import keras
import numpy as np
import pytest
from keras import layers

from components.explain import feature_maps
from components.explain.trace import trace
from tests.components.explain.networks import photographs, set_kernel

EDGE = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)


def one_convolution(kernel: np.ndarray) -> keras.Model:
    pixels = keras.Input((16, 16, 3))
    model = keras.Model(pixels, layers.Conv2D(kernel.shape[-1], kernel.shape[:2], padding="same", use_bias=False, name="conv")(pixels))
    set_kernel(model.get_layer("conv"), kernel)
    return model


def test_an_identity_kernel_shows_the_photograph() -> None:
    given = photographs(1, 16)
    found = feature_maps.channels(trace(one_convolution(np.eye(3)[None, None]), given).steps["conv"])
    np.testing.assert_allclose(found, given[0], atol=1e-3)


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_an_edge_kernel_shows_what_opencv_filters(channel: int) -> None:
    given = photographs(1, 16, seed=channel)
    kernel = np.zeros((3, 3, 3, 1), np.float32)
    kernel[:, :, channel, 0] = EDGE
    found = feature_maps.channels(trace(one_convolution(kernel), given).steps["conv"])[:, :, 0]
    expected = cv2.filter2D(given[0, :, :, channel].astype(np.float32), -1, EDGE, borderType=cv2.BORDER_CONSTANT)
    np.testing.assert_allclose(found, expected, atol=1e-2)


def test_the_channels_that_vary_most_are_shown_in_their_order() -> None:
    maps = np.zeros((4, 4, 5), np.float32)
    for channel, spread in enumerate((1, 0, 8, 0, 3)):
        maps[0, 0, channel] = spread
    assert feature_maps.most_varied(maps, 2).tolist() == [2, 4]
    assert feature_maps.most_varied(maps, 9).tolist() == [0, 1, 2, 3, 4]


def test_each_tile_runs_from_0_to_1_and_an_even_one_is_0() -> None:
    maps = np.stack([np.linspace(-3, 5, 16).reshape(4, 4), np.full((4, 4), 7.0)], axis=-1)
    shown = feature_maps.tiles(maps, 2)
    np.testing.assert_allclose(shown[0].ravel(), np.linspace(0, 1, 16), atol=1e-6)
    assert shown.shape == (2, 4, 4) and (shown[1] == 0).all()
