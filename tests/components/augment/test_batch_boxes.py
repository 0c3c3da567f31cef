"""Boxes on the quick path: where Albumentations puts them, and around what the picture shows."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from components.augment.augmenter import Augmenter, Example
from components.augment.batches import batch_policy
from components.augment.clipping import Objects
from components.augment.pipeline import alone, build
from components.augment.policies import NAMED
from components.augment.turns import ELEMENTS, Turns

SIZE = 64
CERTAIN = {
    "flip": {"HorizontalFlip": {"p": 1.0}},
    "flop": {"VerticalFlip": {"p": 1.0}},
    "transpose": {"Transpose": {"p": 1.0}},
    "shift": {"Affine": {"translate_px": {"x": [9, 9], "y": [-7, -7]}, "fill": 0, "p": 1.0}},
    "zoom in": {"Affine": {"scale": [1.5, 1.5], "translate_px": {"x": [6, 6], "y": [-10, -10]}, "keep_ratio": True, "p": 1.0}},
    "zoom out": {"Affine": {"scale": {"x": [0.5, 0.5], "y": [0.75, 0.75]}, "translate_px": {"x": [20, 20], "y": [0, 0]}, "p": 1.0}},
    "pad": {"PadIfNeeded": {"min_height": SIZE + 10, "min_width": SIZE + 10}},
    "centre": {"RandomResizedCrop": {"scale": [1.0, 1.0], "ratio": [1.0, 1.0], "p": 1.0}},
}


def boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    low = rng.uniform(0, 0.7, (count, 2))
    rows = np.concatenate([np.arange(count)[:, None], low, low + rng.uniform(0.1, 0.3, (count, 2))], axis=1)
    return rows.astype(np.float32)


@pytest.mark.parametrize("name", CERTAIN)
def test_a_box_goes_where_albumentations_puts_it(name):
    after = SIZE + 10 if name == "pad" else SIZE
    rows, blank = boxes(np.random.default_rng(0), 30), np.zeros((1, SIZE, SIZE, 3), np.uint8)
    augmenter = Augmenter([CERTAIN[name]], SIZE, seed=0, train_size=after) if name == "pad" else Augmenter([CERTAIN[name]], SIZE, seed=0)
    assert augmenter._batched.knows_boxes
    _, (found,) = augmenter.with_boxes(blank, np.zeros(1, int), [Objects.whole(rows)], 1, np.array([4]))
    theirs = alone(build(CERTAIN[name], after))(image=blank[0], bboxes=rows[:, 1:], labels=rows[:, 0])
    assert found.boxes[:, 0].tolist() == list(theirs["labels"])
    pixel = 1 / SIZE if name.startswith("zoom") else 1e-5  # zooms go by whole pixels
    np.testing.assert_allclose(found.boxes[:, 1:], theirs["bboxes"], atol=pixel)


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_of_d4_is_albumentations_own(name):
    from albumentations.augmentations.geometric.functional import bboxes_d4, d4

    picture, rows = np.random.default_rng(1).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8), boxes(np.random.default_rng(2), 9)
    step, numbers = Turns(1.0, (name,)), np.array([[0.0, 0.5]])
    assert (step(picture[None], numbers)[0] == d4(picture, name)).all()
    ends = rows[:, 1:].reshape(-1, 2, 2) * SIZE
    placed = (ends @ step.goes(numbers, SIZE)[0, :2, :2].T + step.goes(numbers, SIZE)[0, :2, 2]) / SIZE
    np.testing.assert_allclose(np.concatenate([placed.min(axis=1), placed.max(axis=1)], axis=1), bboxes_d4(rows[:, 1:], name), atol=1e-6)


def test_turns_come_equally_often_and_each_image_is_soon_seen_every_way():
    policy = batch_policy([{"D4": {"p": 1.0}}], SIZE, SIZE)
    keys = np.arange(800)
    maps = np.stack([policy.goes(policy.numbers(keys, epoch, 3), SIZE) for epoch in range(8)])
    kinds = np.unique(maps.reshape(8, 800, 9), axis=1)
    assert kinds.shape[1] == 8
    assert all(len(np.unique(maps[:, key].reshape(8, 9), axis=0)) == 8 for key in range(20))
    counts = np.unique(maps[0].reshape(800, 9), axis=0, return_counts=True)[1]
    assert counts.min() > 60  # binomial(800, 1/8) has a standard deviation of 9


@pytest.mark.parametrize("border", [cv2.BORDER_REFLECT_101, cv2.BORDER_REFLECT])
def test_a_mirrored_border_is_left_to_albumentations_which_doubles_the_boxes(border):
    policy = [{"Affine": {"translate_px": [-6, 6], "border_mode": border, "p": 1.0}}]
    assert not batch_policy(policy, SIZE, SIZE).knows_boxes


def marked(rng: np.random.Generator) -> Example:
    """A white rectangle of whole pixels on black, and its box."""
    x, y = rng.integers(4, 40, 2)
    width, height = rng.integers(10, 20, 2)
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[y : y + height, x : x + width] = 255
    return Example(pixels, np.array([[0, x, y, x + width, y + height]], np.float32) / [1, SIZE, SIZE, SIZE, SIZE])


MOVING = [
    {"D4": {"p": 1.0}},
    {"HorizontalFlip": {"p": 0.5}},
    {"Affine": {"scale": [0.5, 2.0], "translate_percent": [-0.3, 0.3], "p": 0.8}},
    {"RandomResizedCrop": {"scale": [0.5, 1.0], "ratio": [0.8, 1.25], "p": 0.7}},
]


def test_a_box_is_around_what_the_picture_shows_of_its_object():
    rng, augmenter, clipped = np.random.default_rng(5), Augmenter(MOVING, SIZE, seed=1), 0
    assert augmenter._batched.knows_boxes
    for key in range(300):
        given = marked(rng)
        pixels, (found,) = augmenter.with_boxes(given.pixels[None], np.zeros(1, int), [Objects.whole(given.boxes)], 1, np.array([key]))
        seen = np.argwhere(pixels[0, :, :, 0] > 127)
        (box,) = found.boxes[:, 1:] * SIZE
        np.testing.assert_allclose(box, [*seen.min(axis=0)[::-1], *(seen.max(axis=0)[::-1] + 1)], atol=1.1)
        clipped += found.visible[0] < 0.999
    assert clipped > 30


def test_a_picture_that_would_lose_its_boxes_is_drawn_again_or_shown_as_it_is():
    """A shift by half of the picture loses a small box in one half half of the time, whichever way it goes."""
    policy = [{"Affine": {"translate_px": {"x": [-32, 32], "y": [0, 0]}, "p": 1.0}}]
    augmenter, given = (
        Augmenter(policy, SIZE, seed=0),
        Example(np.zeros((SIZE, SIZE, 3), np.uint8), np.array([[0, 0, 0.4, 0.1, 0.6]], np.float32)),
    )
    first = sum(len(augmenter.draw(given, 1, key).boxes) for key in range(200))
    assert 70 < first < 130  # binomial(200, 0.5) has a standard deviation of 7
    assert all(len(augmenter(given, 1, key).boxes) for key in range(200))
    away = [{"Affine": {"translate_px": {"x": [-40, -40], "y": [0, 0]}, "p": 1.0}}, {"InvertImg": {"p": 0.0}}]
    assert Augmenter(away, SIZE, seed=0)(given, 1, 0).boxes.tolist() == given.boxes.tolist()


@pytest.mark.parametrize("policy", ["aerial", "boxes", "light", "slow"])
def test_a_picture_and_its_boxes_depend_on_seed_epoch_and_image_alone(policy):
    rng = np.random.default_rng(7)
    pixels = rng.integers(0, 256, (12, SIZE, SIZE, 3)).astype(np.uint8)
    objects, keys = [Objects.whole(boxes(rng, 5)) for _ in range(12)], np.arange(12) * 2**50 + 3
    augmenter = Augmenter([*NAMED["light"], {"GaussNoise": {"p": 0.5}}] if policy == "slow" else NAMED[policy], SIZE, seed=2)
    assert (augmenter._batched is None) == (policy == "slow")
    shown, after = augmenter.with_boxes(pixels, np.arange(12), objects, 3, keys)

    def alone_again(row: int) -> bool:
        one, (own,) = augmenter.with_boxes(pixels, np.array([row]), [objects[row]], 3, keys[[row]])
        return np.array_equal(one[0], shown[row]) and np.array_equal(own.boxes, after[row].boxes)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(alone_again, [*range(12), *range(12)]))


def test_albumentations_own_path_tells_how_much_of_a_box_is_left():
    """Half of the left box and all of the right one are in the crop; the third is outside of it."""
    rows = np.array([[0, 0.25, 0, 0.75, 1], [1, 0.8, 0, 1, 1], [2, 0, 0, 0.2, 1]], np.float32)
    policy = [{"Crop": {"x_min": 32, "y_min": 0, "x_max": 64, "y_max": 64, "p": 1.0}}, {"Resize": {"height": 64, "width": 64}}]
    _, (found,) = Augmenter(policy, SIZE, seed=0).with_boxes(
        np.zeros((1, SIZE, SIZE, 3), np.uint8), np.zeros(1, int), [Objects.whole(rows)], 1, np.zeros(1, int)
    )
    assert found.boxes[:, 0].tolist() == [0, 1] and found.given == 3
    np.testing.assert_allclose(found.visible, [0.5, 1.0], atol=1e-5)
