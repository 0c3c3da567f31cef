"""Examples keep images, targets and names together."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.train.examples import Examples, image_key, pad_boxes


def test_padding_is_class_minus_one_and_boxes_come_first():
    one, two = np.array([[1, 0.1, 0.2, 0.3, 0.4]], np.float32), np.array([[0, 0, 0, 1, 1], [2, 0, 0, 0.5, 0.5]], np.float32)
    padded = pad_boxes([one, np.zeros((0, 5), np.float32), two], 3)
    assert padded.shape == (3, 3, 5) and padded.dtype == np.float32
    assert padded[:, :, 0].tolist() == [[1, -1, -1], [-1, -1, -1], [0, 2, -1]]
    assert (padded[2, :2] == two).all()


def test_without_any_box_one_row_of_padding_stays():
    assert pad_boxes([np.zeros((0, 5), np.float32)] * 2, 0).tolist() == [[[-1] * 5]] * 2


def test_an_example_has_its_own_boxes_without_the_padding():
    rows = [np.array([[number, 0, 0, 1, 1]] * number, np.float32).reshape(-1, 5) for number in range(3)]
    pixels = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    examples = Examples(pixels, pad_boxes(rows, 2), np.arange(3))
    assert examples.has_boxes and len(examples) == 3
    for number in range(3):
        assert (examples.example(number).boxes == rows[number]).all()
        assert (examples.example(number).pixels == number).all()


def test_a_class_has_no_boxes():
    examples = Examples(np.zeros((2, 4, 4, 3), np.uint8), np.array([0, 1], np.int32), np.arange(2))
    assert not examples.has_boxes
    assert examples.example(1).boxes.shape == (0, 5)


@given(st.binary())
def test_a_key_is_a_number_that_an_int64_and_a_seed_hold(data):
    digest = hashlib.sha256(data).hexdigest()
    key = image_key(digest)
    assert 0 <= key < 2**60
    assert f"{key:015x}" == digest[:15]
