"""Rows of a YOLOv3 against hand-worked cells, the order of a reshaped map, and the inverse formula."""

import keras
import numpy as np
import pytest
from keras import ops

from components.models.detectors.yolov3.anchors import COCO
from components.models.detectors.yolov3.decode import AnchorDecoding, decode_boxes, decode_scores, grid

ANCHORS = tuple((0.1 * k, 0.05 * k) for k in range(1, 10))
ROWS = 3 * (8 * 8 + 4 * 4 + 2 * 2)


def box(middle: tuple[float, float], size: tuple[float, float]) -> list[float]:
    return [middle[0] - size[0] / 2, middle[1] - size[1] / 2, middle[0] + size[0] / 2, middle[1] + size[1] / 2]


def test_rows_by_hand():
    found = ops.convert_to_numpy(decode_boxes(np.zeros((1, ROWS, 7), np.float32), ANCHORS, 64))[0]
    assert found.shape == (ROWS, 4)
    np.testing.assert_allclose(found[0], box((4 / 64, 4 / 64), ANCHORS[0]), atol=1e-6)  # zeros: the cell's middle, the anchor's size
    np.testing.assert_allclose(found[2], box((4 / 64, 4 / 64), ANCHORS[2]), atol=1e-6)
    np.testing.assert_allclose(found[3], box((12 / 64, 4 / 64), ANCHORS[0]), atol=1e-6)  # x runs first
    np.testing.assert_allclose(found[192], box((8 / 64, 8 / 64), ANCHORS[3]), atol=1e-6)  # the map of 4 cells
    np.testing.assert_allclose(found[-1], box((48 / 64, 48 / 64), ANCHORS[8]), atol=1e-6)


def test_a_row_moves_within_its_cell_and_grows_from_its_anchor():
    raw = np.zeros((1, ROWS, 6), np.float32)
    raw[0, 3, :4] = np.log(3.0), -np.log(3.0), np.log(2.0), np.log(0.5)
    found = ops.convert_to_numpy(decode_boxes(raw, ANCHORS, 64))[0, 3]
    np.testing.assert_allclose(found, box(((8 + 0.75 * 8) / 64, 0.25 * 8 / 64), (0.2, 0.025)), atol=1e-6)


def test_rows_lie_as_a_reshape_of_a_map_lays_them():
    cells = np.arange(4)
    y, x, anchor = np.meshgrid(cells, cells, [3, 4, 5], indexing="ij")
    as_map = np.stack([x, y, anchor], axis=-1).reshape(4, 4, 9)  # as a convolution of 3 x 3 channels puts out
    rows = grid(64)
    found = np.concatenate([rows.corners, rows.anchor[:, None]], axis=1)[192 : 192 + 48]
    np.testing.assert_array_equal(found, as_map.reshape(-1, 3))
    assert rows.cells.ravel().tolist() == [8] * 192 + [4] * 48 + [2] * 12


def test_a_score_is_objectness_times_class():
    raw = np.zeros((1, 1, 7), np.float32)
    raw[..., 4:] = np.log(3.0), np.log(3.0), -np.log(3.0)
    np.testing.assert_allclose(decode_scores(raw)[0, 0], [0.75 * 0.75, 0.75 * 0.25], atol=1e-6)


@pytest.mark.parametrize("value", [1e4, -1e4])
def test_extreme_rows_stay_finite(value):
    raw = np.full((1, ROWS, 6), value, np.float32)
    boxes, scores = AnchorDecoding(64, COCO)(raw)
    assert np.isfinite(boxes).all() and np.isfinite(scores).all()


def test_the_layer_is_saved_with_its_anchors():
    layer = AnchorDecoding(64, ANCHORS, name="decoding")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    assert (again.size, again.anchors) == (64, ANCHORS)
    raw = np.random.default_rng(0).normal(size=(2, ROWS, 7)).astype(np.float32)
    for one, other in zip(layer(raw), again(raw), strict=True):
        np.testing.assert_array_equal(one, other)
