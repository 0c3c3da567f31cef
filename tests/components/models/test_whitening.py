"""Whitened patches are uncorrelated and of variance 1, measured by numpy on the layer's own answers."""

import keras
import numpy as np
import pytest

from components.models.classifiers.whitening import NOISE, Whitening, whitening_axes

FILTERS, PATCH = 48, 4


def photographs(count: int, seed: int) -> np.ndarray:
    """Neighbouring pixels and colours that resemble one another, with noise far above what is taken for noise."""
    rng = np.random.default_rng(seed)
    rough = rng.normal(size=(count, 36, 36, 1)) + 0.3 * rng.normal(size=(count, 36, 36, 3))
    smooth = sum(rough[:, y : y + 32, x : x + 32] for y in range(3) for x in range(3))
    return np.clip(110 + 25 * smooth + rng.normal(0, 20, smooth.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module", params=["float32", "mixed_bfloat16"])
def responses(request) -> np.ndarray:
    layer = Whitening(FILTERS, PATCH, strides=2, trainable=False, dtype=request.param)
    pixels = photographs(300, 0)
    layer.build(pixels.shape)
    layer.adapt(pixels)
    return np.asarray(keras.ops.cast(layer(photographs(300, 1)), "float32")).reshape(-1, FILTERS)


def test_responses_to_unseen_photographs_are_uncorrelated_with_variance_one(responses):
    half = responses[:, : FILTERS // 2]
    assert np.abs(np.cov(half.T) - np.eye(FILTERS // 2)).max() < 0.05
    assert np.abs(half.mean(axis=0)).max() < 0.05


def test_every_axis_comes_with_its_opposite(responses):
    np.testing.assert_allclose(responses[:, : FILTERS // 2], -responses[:, FILTERS // 2 :], atol=0.02)


def test_pixels_are_correlated_before():
    patches = photographs(300, 0)[:, ::4, ::4].reshape(-1, 3)
    assert np.corrcoef(patches.T)[0, 1] > 0.5


def test_axes_of_a_known_covariance():
    rng = np.random.default_rng(0)
    patches = rng.normal(size=(200_000, 3)).astype(np.float32) * np.array([1, 30, 10], np.float32)
    axes = whitening_axes(patches, 2)
    expected = [[0, 0], [1 / np.sqrt(900 + NOISE), 0], [0, 1 / np.sqrt(100 + NOISE)]]
    np.testing.assert_allclose(np.abs(axes), expected, atol=1e-3)


def test_more_axes_than_numbers_are_refused():
    with pytest.raises(ValueError, match="13 axes of patches with 12 numbers"):
        whitening_axes(np.zeros((20, 12), np.float32), 13)


def test_it_never_learns_and_saves_what_it_was_adapted_to(tmp_path):
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    model = keras.Model(pixels, Whitening(FILTERS, PATCH, trainable=False, name="whiten")(pixels))
    model.get_layer("whiten").adapt(photographs(20, 0))
    assert model.trainable_variables == []
    model.save(tmp_path / "m.keras")
    shown = photographs(2, 2)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "m.keras", safe_mode=True)(shown), model(shown))
