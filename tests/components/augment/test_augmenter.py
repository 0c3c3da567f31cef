"""An image's augmentation depends on seed, epoch and image alone."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from components.augment.augmenter import Augmenter, Example
from components.augment.policies import NAMED
from components.augment.preview import GAP, audit, draw, sheet
from tests.images import detection_image

SIZE = 48
COUNT = 24
STRONGEST = [*NAMED["strong"], {"GaussNoise": {"p": 0.5}}, {"CoarseDropout": {"p": 0.5}}]


def examples() -> list[Example]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(COUNT):
        pixels, boxes = detection_image(SIZE, rng)
        found.append(Example(pixels, np.array([[0, *(np.array(box[1:]) / SIZE)] for box in boxes], np.float32)))
    return found


EXAMPLES = examples()


def same(left: Example, right: Example) -> bool:
    return np.array_equal(left.pixels, right.pixels) and np.array_equal(left.boxes, right.boxes)


def in_turn(seed: int = 5, epoch: int = 1) -> list[Example]:
    augmenter = Augmenter(STRONGEST, SIZE, seed)
    return [augmenter(example, epoch, key) for key, example in enumerate(EXAMPLES)]


def test_four_threads_and_any_order_give_what_one_thread_gives():
    augmenter, order = Augmenter(STRONGEST, SIZE, seed=5), np.random.default_rng(1).permutation(COUNT)
    with ThreadPoolExecutor(4) as pool:
        shown = dict(zip(order, pool.map(lambda key: augmenter(EXAMPLES[key], 1, int(key)), order), strict=True))
    assert all(same(shown[key], example) for key, example in enumerate(in_turn()))


def test_one_image_alone_becomes_what_it_becomes_among_others():
    assert same(Augmenter(STRONGEST, SIZE, seed=5)(EXAMPLES[17], 1, 17), in_turn()[17])


@pytest.mark.parametrize("changed", [{"seed": 6}, {"epoch": 2}])
def test_another_seed_or_epoch_gives_other_pictures(changed):
    other = in_turn(**changed)
    assert sum(same(left, right) for left, right in zip(in_turn(), other, strict=True)) < COUNT / 4


def test_two_images_of_one_epoch_are_not_augmented_alike():
    augmenter = Augmenter([{"HorizontalFlip": {"p": 0.5}}], SIZE, seed=0)
    flipped = [not same(augmenter(EXAMPLES[0], 1, key), EXAMPLES[0]) for key in range(400)]
    assert 150 < sum(flipped) < 250  # binomial(400, 0.5) has a standard deviation of 10


def test_the_given_pixels_stay_as_they_are():
    before = EXAMPLES[0].pixels.copy()
    in_turn()
    assert (EXAMPLES[0].pixels == before).all()


def test_the_empty_policy_changes_nothing():
    assert same(Augmenter([], SIZE, seed=0)(EXAMPLES[0], 1, 0), EXAMPLES[0])


def test_a_smaller_training_size_is_the_whole_picture_averaged():
    pixels = np.random.default_rng(2).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    shown = Augmenter([], 64, seed=0, train_size=32)(Example(pixels, np.array([[1, 0.25, 0.5, 0.75, 1.0]], np.float32)), 1, 0)
    means = pixels.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    assert np.abs(shown.pixels - means).max() <= 0.5
    assert shown.boxes.tolist() == [[1, 0.25, 0.5, 0.75, 1.0]]


def test_a_transform_that_wants_a_size_gets_the_training_size():
    policy = [{"RandomResizedCrop": {"scale": [0.5, 1.0], "p": 1.0}}]
    assert Augmenter(policy, 64, seed=0, train_size=32)(
        Example(np.zeros((64, 64, 3), np.uint8), np.zeros((0, 5), np.float32)), 1, 0
    ).pixels.shape == (32, 32, 3)


def test_a_picture_without_boxes_keeps_the_shape_of_none():
    empty = np.zeros((0, 5), np.float32)
    assert Augmenter(STRONGEST, SIZE, seed=0)(Example(EXAMPLES[0].pixels, empty), 1, 0).boxes.shape == (0, 5)


def test_the_sheet_shows_the_original_first_and_white_between():
    plain = [Example(example.pixels, np.zeros((0, 5), np.float32)) for example in EXAMPLES[:3]]
    page = sheet(plain, Augmenter([{"HorizontalFlip": {"p": 1.0}}], SIZE, seed=0), columns=2)
    assert page.shape == (3 * SIZE + 2 * GAP, 2 * SIZE + GAP, 3)
    assert (page[:SIZE, :SIZE] == plain[0].pixels).all()
    assert (page[:SIZE, SIZE + GAP :] == plain[0].pixels[:, ::-1]).all()
    assert (page[SIZE : SIZE + GAP] == 255).all()


def test_the_sheet_holds_smaller_training_pictures_too():
    page = sheet(EXAMPLES[:1], Augmenter([], SIZE, seed=0, train_size=32), columns=2)
    assert (page[32:, SIZE + GAP :] == 255).all() and (page[:32, SIZE + GAP :] != 255).any()


def test_a_drawn_box_lies_where_the_box_is():
    drawn = draw(Example(np.zeros((40, 40, 3), np.uint8), np.array([[0, 0.25, 0.5, 0.75, 0.9]], np.float32)))
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 20, 30, 36)


def test_the_audit_counts_what_a_crop_drops():
    left, right = [0, 0.0, 0.0, 0.3, 0.3], [0, 0.6, 0.6, 0.9, 0.9]
    both, one, none = (np.array(rows, np.float32).reshape(-1, 5) for rows in ([left, right], [right], []))
    pictures = [Example(np.zeros((SIZE, SIZE, 3), np.uint8), boxes) for boxes in (both, one, none)]
    policy = [{"Crop": {"x_max": SIZE // 2, "y_max": SIZE // 2, "p": 1.0}}, {"Resize": {"height": SIZE, "width": SIZE}}]
    found = audit(pictures, Augmenter(policy, SIZE, seed=0), epochs=3)
    assert found == {"epochs": 3, "images": 3, "boxes": 9, "kept": 3, "dropped": 6, "pictures_emptied": 3}


def test_opencv_may_use_as_many_threads_as_it_likes():
    before, expected = cv2.getNumThreads(), in_turn()
    try:
        cv2.setNumThreads(1)
        assert all(same(left, right) for left, right in zip(in_turn(), expected, strict=True))
    finally:
        cv2.setNumThreads(before)
