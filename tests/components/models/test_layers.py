"""Bringing images to size inside the graph, against the OpenCV path the datasets take."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.decode import letterbox, resize_crop
from components.models.layers import Letterbox, ResizeCrop, letterbox_geometry

SIZES = [(64, 64), (100, 64), (64, 100), (30, 17), (200, 333), (33, 32), (5, 400)]


def smooth(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 / width, y * 255 / height, (x + y) * 127 / (width + height)], axis=-1).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize(
    ("layer", "reference"), [(Letterbox(64), lambda i: letterbox(i, 64)[0]), (ResizeCrop(64), lambda i: resize_crop(i, 64))]
)
def test_agrees_with_the_dataset_path(layer, reference, height, width):
    image = smooth(height, width)
    ours = np.asarray(layer(image[None]))[0]
    assert ours.dtype == np.uint8
    assert ours.shape == (64, 64, 3)
    difference = np.abs(ours.astype(int) - reference(image))
    assert difference.mean() < 2
    assert np.percentile(difference, 95) < 8


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 4000), st.integers(1, 4000), st.sampled_from([32, 64, 320]))
def test_the_geometry_is_that_of_the_dataset_path(height, width, size):
    scale = size / max(height, width)
    new_height, new_width = max(1, round(height * scale)), max(1, round(width * scale))
    expected = (new_height, new_width, (size - new_height) // 2, (size - new_width) // 2)
    assert tuple(int(v) for v in letterbox_geometry(height, width, size)) == expected


@pytest.mark.parametrize("layer", [Letterbox(48), ResizeCrop(48)])
def test_an_image_of_the_right_size_is_unchanged(layer):
    image = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8)
    np.testing.assert_array_equal(layer(image), image)
    pixels = keras.Input((None, None, 3), dtype="uint8")
    np.testing.assert_array_equal(keras.Model(pixels, layer(pixels))(image), image)  # a size known only at run time


@pytest.mark.parametrize("kind", [Letterbox, ResizeCrop])
def test_saves_and_loads_in_safe_mode(kind, tmp_path):
    pixels = keras.Input((None, None, 3), dtype="uint8")
    model = keras.Model(pixels, kind(32)(pixels))
    model.save(tmp_path / "m.keras")
    image = smooth(40, 70)[None]
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras", safe_mode=True)(image), model(image))
