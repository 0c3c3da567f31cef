"""Squares made by matrix products, against TensorFlow's antialiased resize and cases worked by hand."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from components.models.export.resize import coverage, cropped, letterbox_place, letterboxed
from components.models.layers import Letterbox, ResizeCrop, letterbox_geometry

PHOTOGRAPHS = [image[None] for image in load_sample_images().images]
BOTH = pytest.mark.parametrize(("layer", "ours"), [(Letterbox, letterboxed), (ResizeCrop, cropped)], ids=["letterbox", "crop"])


def test_four_pixels_become_two():
    # Output pixels lie at 1 and 3, under triangles that reach 2 to each side: 1 - 0.5/2, 1 - 0.5/2, 1 - 1.5/2, nothing.
    expected = np.array([[3, 3, 1, 0], [0, 1, 3, 3]]) / 7
    np.testing.assert_allclose(coverage(4, 2, 0, 2), expected, atol=1e-6)


def test_two_pixels_become_four():
    # Enlarged, the triangle reaches one pixel: at 0.25, 0.75, 1.25 and 1.75 between pixels that lie at 0.5 and 1.5.
    np.testing.assert_allclose(coverage(2, 4, 0, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]], atol=1e-6)


def test_an_axis_that_keeps_its_length_is_shown_from_where_it_is_asked():
    np.testing.assert_allclose(coverage(5, 5, 2, 3), np.eye(5)[2:], atol=1e-6)


@BOTH
@pytest.mark.parametrize("photograph", PHOTOGRAPHS, ids=["china", "flower"])
@pytest.mark.parametrize("size", [32, 96, 224, 700])
def test_photographs_become_the_squares_that_tensorflow_makes(layer, ours, photograph, size):
    expected, found = (np.asarray(square).astype(int) for square in (layer(size)(photograph), ours(photograph, size)))
    assert expected.std() > 10
    apart = np.abs(expected - found)
    assert apart.max() <= 1 and (apart > 0).mean() < 1e-3  # a sum on the edge of rounding


@BOTH
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 90), (90, 1), (64, 64), (65, 64), (63, 640), (641, 32)])
def test_odd_shapes_and_batches_too(layer, ours, height, width):
    photographs = np.random.default_rng(height + width).integers(0, 256, (2, height, width, 3)).astype(np.uint8)
    expected, found = (np.asarray(square).astype(int) for square in (layer(64)(photographs), ours(photographs, 64)))
    assert found.shape == (2, 64, 64, 3)
    assert np.abs(expected - found).max() <= 1


def test_photographs_lie_where_the_letterbox_layer_puts_them():
    rng = np.random.default_rng(0)
    for height, width in rng.integers(1, 3000, (30, 2)):
        photograph = np.broadcast_to(np.zeros(3, np.uint8), (1, height, width, 3))
        assert [int(value) for value in letterbox_place(photograph, 320)] == [
            int(value) for value in letterbox_geometry(height, width, 320)
        ]
