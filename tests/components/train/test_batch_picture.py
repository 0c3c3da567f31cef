"""What stands under each example of a batch, and that its boxes are drawn."""

import numpy as np
import pytest

from components.augment.preview import LIME
from components.train import batch_picture
from components.train.batch_picture import batch_sheet

CLASSES = ["apple", "pear", "plum"]
PIXELS = np.full((3, 64, 64, 3), 90, np.uint8)


@pytest.fixture
def captions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    real = batch_picture.sample_sheet

    def noting(examples, names, *rest):
        seen.extend(names)
        return real(examples, names, *rest)

    monkeypatch.setattr(batch_picture, "sample_sheet", noting)
    return seen


def test_a_class_is_named(captions: list[str]) -> None:
    page = batch_sheet(PIXELS, np.array([2, 0, 1], np.int32), CLASSES, "t")
    assert captions == ["plum", "apple", "pear"]
    assert (page == 90).all(axis=2).sum() >= 3 * 64 * 64


def test_a_mixed_picture_names_its_shares_largest_first(captions: list[str]) -> None:
    batch_sheet(PIXELS, np.array([[0.25, 0, 0.75], [1, 0, 0], [0.5, 0.5, 0]], np.float32), CLASSES, "t")
    assert captions == ["plum 75%, apple 25%", "apple 100%", "pear 50%, apple 50%"]


def test_boxes_are_drawn_and_counted(captions: list[str]) -> None:
    targets = np.full((3, 4, 5), -1, np.float32)
    targets[0, :3] = [[1, 0.1, 0.1, 0.4, 0.4], [0, 0.5, 0.5, 0.9, 0.9], [1, 0.2, 0.6, 0.4, 0.8]]
    targets[2, 0] = [2, 0.1, 0.1, 0.9, 0.9]
    page = batch_sheet(PIXELS, targets, CLASSES, "t")
    assert captions == ["2 pear, 1 apple", "no box", "1 plum"]
    assert (page == LIME).all(axis=2).any()


def test_a_few_are_enough(captions: list[str]) -> None:
    batch_sheet(np.zeros((40, 64, 64, 3), np.uint8), np.zeros(40, np.int32), CLASSES, "t")
    assert len(captions) == batch_picture.SHOWN
