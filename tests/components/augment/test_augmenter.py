"""An image's augmentation depends on seed, epoch and image alone."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from components.augment.augmenter import Augmenter, Example
from components.augment.policies import NAMED
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


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads_and_any_order_give_what_one_thread_gives(threads):
    augmenter, order = Augmenter(STRONGEST, SIZE, seed=5), np.random.default_rng(threads).permutation(COUNT)
    with ThreadPoolExecutor(threads) as pool:
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


def test_two_transforms_of_one_picture_happen_independently_of_each_other():
    augmenter = Augmenter([{"HorizontalFlip": {"p": 0.5}}, {"InvertImg": {"p": 0.5}}], SIZE, seed=0)
    plain, counts = EXAMPLES[0].pixels, [0, 0, 0, 0]
    for key in range(400):
        shown = augmenter(EXAMPLES[0], 1, key).pixels
        for place, expected in enumerate((plain, plain[:, ::-1], 255 - plain, 255 - plain[:, ::-1])):
            counts[place] += bool((shown == expected).all())
    assert sum(counts) == 400 and min(counts) > 60  # binomial(400, 0.25) has a standard deviation of 9


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


EDGE = [{"Crop": {"x_min": 0, "y_min": 0, "x_max": SIZE // 2, "y_max": SIZE, "p": 0.5}}, {"Resize": {}}]


def test_a_picture_that_would_lose_its_boxes_is_drawn_again():
    # the crop, half of the time, loses the one box in the right half: four draws in a row do so once in 16
    example = Example(EXAMPLES[0].pixels, np.array([[2, 0.6, 0.1, 0.9, 0.9]], np.float32))
    augmenter = Augmenter(EDGE, SIZE, seed=0)
    first = [len(augmenter.draw(example, 1, key).boxes) for key in range(200)]
    assert 70 < first.count(0) < 130  # binomial(200, 0.5) has a standard deviation of 7
    shown = [augmenter(example, 1, key) for key in range(200)]
    assert all(same(one, example) for one in shown)  # the draws that keep the box change nothing else


def test_a_picture_that_loses_its_boxes_every_time_is_shown_as_it_is_at_the_training_size():
    example = Example(EXAMPLES[0].pixels, np.array([[2, 0.6, 0.1, 0.9, 0.9]], np.float32))
    always = [{"Crop": {**EDGE[0]["Crop"], "p": 1.0}}, {"Resize": {}}, {"InvertImg": {"p": 1.0}}]
    assert same(Augmenter(always, SIZE, seed=0)(example, 1, 0), example)
    small = Augmenter(always, SIZE, seed=0, train_size=24)(example, 1, 0)
    assert small.pixels.shape == (24, 24, 3) and small.boxes.tolist() == example.boxes.tolist()
    assert abs(float(small.pixels.mean()) - float(example.pixels.mean())) < 1  # and not inverted


def test_a_picture_without_boxes_is_background_and_never_drawn_again():
    empty = Example(EXAMPLES[0].pixels, np.zeros((0, 5), np.float32))
    augmenter = Augmenter(EDGE, SIZE, seed=0)
    assert all(same(augmenter(empty, 1, key), augmenter.draw(empty, 1, key)) for key in range(40))
    assert any(not same(augmenter(empty, 1, key), empty) for key in range(40))


def test_what_is_drawn_again_depends_on_seed_epoch_and_image_alone():
    policy, seen = [{"RandomResizedCrop": {"scale": [0.05, 0.2], "p": 1.0}}], 0
    one = [Example(example.pixels, example.boxes[:1]) for example in EXAMPLES]
    for threads in (1, 2, 4):
        augmenter, order = Augmenter(policy, SIZE, seed=3), np.random.default_rng(threads).permutation(COUNT)
        with ThreadPoolExecutor(threads) as pool:
            shown = dict(zip(order, pool.map(lambda key, use=augmenter: use(one[key], 2, int(key)), order), strict=True))
        alone = Augmenter(policy, SIZE, seed=3)
        assert all(same(shown[key], alone(one[key], 2, key)) for key in range(COUNT))
        seen += sum(len(alone.draw(example, 2, key).boxes) == 0 for key, example in enumerate(one))
    assert seen > 6  # so that many were drawn again


def test_opencv_may_use_as_many_threads_as_it_likes():
    before, expected = cv2.getNumThreads(), in_turn()
    try:
        cv2.setNumThreads(1)
        assert all(same(left, right) for left, right in zip(in_turn(), expected, strict=True))
    finally:
        cv2.setNumThreads(before)
