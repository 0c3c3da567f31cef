"""Which row learns which box: against a plain loop, by hand, and for boxes that are hardly any."""

import numpy as np
import pytest
from keras import ops

from components.models.detectors.yolov3.anchors import COCO
from components.models.detectors.yolov3.decode import decode_boxes
from components.models.detectors.yolov3.match import Match, match

SIZE = 96
ROWS = 3 * (12 * 12 + 6 * 6 + 3 * 3)
FIRST = (0, 432, 540)


def matched(truth: np.ndarray, is_box: np.ndarray | None = None) -> Match:
    truth = np.asarray(truth, np.float32)
    found = match(truth, np.ones(truth.shape[:2], bool) if is_box is None else is_box, COCO, SIZE)
    return Match(*(ops.convert_to_numpy(value) for value in found))


def random_boxes(seed: int, boxes: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    size = rng.uniform(0.01, 0.9, (1, boxes, 2))
    corner = rng.uniform(0, 1, (1, boxes, 2)) * (1 - size)
    return np.concatenate([corner, corner + size], axis=-1).astype(np.float32)


def plain_match(truth: np.ndarray) -> dict[int, int]:
    """row -> box, by loops over one image."""
    taken: dict[int, tuple[float, int]] = {}
    for number, (x_min, y_min, x_max, y_max) in enumerate(truth):
        width, height = x_max - x_min, y_max - y_min
        overlaps = []
        for anchor_width, anchor_height in COCO:
            shared = min(width, anchor_width) * min(height, anchor_height)
            overlaps.append(shared / (width * height + anchor_width * anchor_height - shared))
        best = int(np.argmax(overlaps))
        cells = (12, 6, 3)[best // 3]
        column, row = int((x_min + x_max) / 2 * cells), int((y_min + y_max) / 2 * cells)
        place = FIRST[best // 3] + 3 * (row * cells + column) + best % 3
        if place not in taken or overlaps[best] > taken[place][0] + 1e-6:
            taken[place] = (overlaps[best], number)
    return {place: number for place, (_, number) in taken.items()}


@pytest.mark.parametrize("seed", range(4))
def test_equals_a_plain_loop(seed):
    truth = random_boxes(seed, 40)
    found = matched(truth)
    assert {int(row): box for box, row in enumerate(found.rows[0]) if found.learns[0, box]} == plain_match(truth[0])


@pytest.mark.parametrize("boxes", [1, 12, 1000])
def test_what_it_asks_for_decodes_to_the_box(boxes):
    truth = random_boxes(7, boxes)
    found = matched(truth)
    raw = np.zeros((1, ROWS, 6), np.float32)
    (learning,) = np.nonzero(found.learns[0])
    offset = found.offset[0, learning].clip(1e-6, 1 - 1e-6)
    raw[0, found.rows[0, learning], :2] = np.log(offset / (1 - offset))
    raw[0, found.rows[0, learning], 2:4] = found.growth[0, learning]
    decoded = ops.convert_to_numpy(decode_boxes(raw, COCO, SIZE))
    np.testing.assert_allclose(decoded[0, found.rows[0, learning]], truth[0, learning], atol=1e-5)
    assert len(set(found.rows[0, learning])) == len(learning) >= min(boxes, 12) * 0.8


def test_a_box_by_hand():
    anchor = np.array(COCO[4])  # the second of the middle map, whose cells are 16 pixels wide
    middle = np.array([0.4, 0.7])
    found = matched([[[*(middle - anchor / 2), *(middle + anchor / 2)]]])
    assert found.rows.tolist() == [[432 + 3 * (4 * 6 + 2) + 1]]
    np.testing.assert_allclose(found.offset[0, 0], [0.4, 0.2], atol=1e-5)
    np.testing.assert_allclose(found.growth[0, 0], [0, 0], atol=1e-5)


@pytest.mark.parametrize(
    ("box", "row", "offset"),
    [
        ((0, 0, 1, 1), 540 + 3 * (1 * 3 + 1) + 2, (0.5, 0.5)),  # the whole square
        ((0, 0, 0.02, 0.02), 0, (0.12, 0.12)),
        ((0.98, 0.98, 1, 1), 3 * (11 * 12 + 11), (0.88, 0.88)),
        ((1 - 1e-7, 0, 1, 0.04), None, (1.0, 0.24)),  # its centre is 1 in float32: still the last column
    ],
)
def test_boxes_that_touch_the_border(box, row, offset):
    found = matched([[box]])
    assert row is None or found.rows.tolist() == [[row]]
    assert 0 <= found.rows[0, 0] < ROWS and found.learns.all()
    np.testing.assert_allclose(found.offset[0, 0], offset, atol=1e-5)
    assert np.isfinite(found.growth).all()


def test_padding_and_boxes_without_area_teach_nothing():
    box = [0.2, 0.2, 0.4, 0.4]
    found = matched([[box, [0.5, 0.5, 0.5, 0.6], [0, 0, 0, 0], box]], np.array([[False, True, False, True]]))
    assert found.learns.tolist() == [[False, False, False, True]]
    assert np.isfinite(found.growth).all() and np.isfinite(found.offset).all()
    assert not matched(np.zeros((2, 3, 4)), np.zeros((2, 3), bool)).learns.any()


def test_of_two_boxes_for_one_row_the_better_shaped_one_learns_and_of_equals_the_first():
    anchor, middle = np.array(COCO[8]), np.array([0.5, 0.5])
    wide, close = anchor * [1.1, 1.0], anchor * [1.02, 1.0]
    boxes = [[*(middle - size / 2), *(middle + size / 2)] for size in (wide, close, close)]
    found = matched([boxes])
    assert len(set(found.rows[0].tolist())) == 1
    assert found.learns.tolist() == [[False, True, False]]
