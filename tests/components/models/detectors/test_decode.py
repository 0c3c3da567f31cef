"""Anchors and decoding against hand-worked cells and the inverse formula."""

import numpy as np
import pytest
from keras import ops

from components.models.detectors.decode import anchor_grid, decode, decode_boxes


def test_anchor_grid_by_hand():
    centres, strides = anchor_grid(64)
    assert len(centres) == 8 * 8 + 4 * 4 + 2 * 2
    assert centres[0].tolist() == [4, 4]
    assert centres[1].tolist() == [12, 4]  # x runs first, as a reshaped feature map does
    assert centres[64].tolist() == [8, 8]
    assert centres[-1].tolist() == [48, 48]
    assert strides.ravel().tolist() == [8] * 64 + [16] * 16 + [32] * 4


def test_decoding_undoes_the_encoding_of_random_boxes():
    rng = np.random.default_rng(0)
    centres, strides = anchor_grid(96)
    corners = np.sort(rng.uniform(-10, 110, (2, len(centres), 2, 2)), axis=2).reshape(2, -1, 4)
    middle, size = (corners[..., :2] + corners[..., 2:]) / 2, corners[..., 2:] - corners[..., :2]
    raw = np.concatenate([(middle - centres) / strides, np.log(size / strides)], axis=-1).astype(np.float32)
    np.testing.assert_allclose(ops.convert_to_numpy(decode_boxes(raw, 96)), corners, atol=1e-3)


def test_scores_and_fractions():
    raw = np.zeros((1, 84, 6), np.float32)
    raw[..., 4], raw[..., 5] = np.log(3.0), -np.log(3.0)
    boxes, scores = decode(raw, 64)
    np.testing.assert_allclose(scores[0, 0], [0.75, 0.25], atol=1e-6)
    np.testing.assert_allclose(boxes[0, 0], [0, 0, 8 / 64, 8 / 64], atol=1e-6)


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_extreme_sizes_stay_finite(value):
    boxes = ops.convert_to_numpy(decode_boxes(np.full((1, 84, 5), value, np.float32), 64))
    assert np.isfinite(boxes).all()
    assert (boxes[..., 2:] > boxes[..., :2]).all() or value < 0
