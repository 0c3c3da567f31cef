"""Policies by name and in full, what is refused, and what becomes of the boxes."""

import numpy as np
import pytest

from components.augment.augmenter import Augmenter, Example
from components.augment.pipeline import compose
from components.augment.policies import NAMED, resolve
from components.errors import UsageError

SIZE = 100


def picture(*boxes: tuple[float, ...]) -> Example:
    return Example(np.zeros((SIZE, SIZE, 3), np.uint8), np.array(boxes, np.float32).reshape(-1, 5))


def cropped(*boxes: tuple[float, ...], **window: int) -> np.ndarray:
    """The boxes after a crop of the 100 pixel picture to the window and back to 100 pixels."""
    policy = [{"Crop": {**window, "p": 1.0}}, {"Resize": {"height": SIZE, "width": SIZE}}]
    return Augmenter(policy, SIZE, seed=0)(picture(*boxes), 1, 0).boxes


def test_a_cut_box_is_clipped_when_three_tenths_of_it_stay():
    # the left half of the picture is kept: a box from 30 to 80 keeps 20 of its 50 columns, 40 %
    found = cropped((1, 0.3, 0.2, 0.8, 0.6), x_min=0, y_min=0, x_max=50, y_max=100)
    assert found == pytest.approx(np.array([[1, 0.6, 0.2, 1.0, 0.6]]), abs=1e-6)


def test_a_box_with_less_than_three_tenths_left_is_dropped():
    # 40 to 80 keeps 10 of 40 columns, 25 %
    assert len(cropped((1, 0.4, 0.2, 0.8, 0.6), x_min=0, y_min=0, x_max=50, y_max=100)) == 0


def test_what_is_left_is_counted_over_all_transforms_together():
    # each cut leaves half of what was there: 50 % and then 25 % of the box in all, which is too little
    policy = [
        {"Crop": {"x_min": 0, "y_min": 0, "x_max": 50, "y_max": 100, "p": 1.0}},
        {"Crop": {"x_min": 0, "y_min": 0, "x_max": 50, "y_max": 50, "p": 1.0}},
        {"Resize": {"height": SIZE, "width": SIZE}},
    ]
    assert len(Augmenter(policy, SIZE, seed=0)(picture((0, 0.3, 0.3, 0.7, 0.7)), 1, 0).boxes) == 0


def test_a_box_below_two_pixels_is_dropped():
    found = cropped((0, 0.1, 0.1, 0.115, 0.5), (2, 0.1, 0.1, 0.5, 0.5), x_min=0, y_min=0, x_max=100, y_max=100)
    assert found[:, 0].tolist() == [2]


def test_a_flip_mirrors_pixels_and_boxes():
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    boxes = np.array([[3, 0.1, 0.2, 0.4, 0.9]], np.float32)
    shown = Augmenter([{"HorizontalFlip": {"p": 1.0}}], SIZE, seed=0)(Example(pixels, boxes), 1, 0)
    assert (shown.pixels == pixels[:, ::-1]).all()
    assert shown.boxes == pytest.approx(np.array([[3, 0.6, 0.2, 0.9, 0.9]]), abs=1e-6)


def test_a_box_that_touches_the_border_by_rounding_is_no_error():
    beyond = np.nextafter(np.float32(1), np.float32(2))
    assert len(Augmenter(NAMED["strong"], SIZE, seed=0)(picture((0, 0.0, 0.0, beyond, beyond)), 1, 0).boxes) <= 1


@pytest.mark.parametrize("name", NAMED)
def test_every_named_policy_runs_and_keeps_boxes_in_the_picture(name):
    augmenter = Augmenter(resolve(name), SIZE, seed=3)
    for epoch in range(1, 20):
        shown = augmenter(picture((0, 0.0, 0.0, 1.0, 1.0), (1, 0.2, 0.2, 0.5, 0.4)), epoch, 7)
        assert shown.pixels.shape == (SIZE, SIZE, 3) and shown.pixels.dtype == np.uint8
        assert shown.boxes.dtype == np.float32 and ((shown.boxes[:, 1:] >= 0) & (shown.boxes[:, 1:] <= 1)).all()
        assert (shown.boxes[:, 3:] > shown.boxes[:, 1:3]).all()


REFUSED = {
    "no such transform": ([{"HorizontalFlp": {}}], "Did you mean 'HorizontalFlip'"),
    "a composition": ([{"OneOf": {}}], "no transform 'OneOf'"),
    "no such argument": ([{"HorizontalFlip": {"probability": 1}}], r"does not accept \['probability'\]; it accepts \['p'\]"),
    "a value out of range": ([{"HorizontalFlip": {"p": 7}}], "HorizontalFlip refuses .*p"),
    "no mapping of arguments": ([{"HorizontalFlip": 0.5}], "HorizontalFlip: {p: 0.5}"),
    "two transforms in one entry": ([{"HorizontalFlip": {}, "VerticalFlip": {}}], "expected one transform"),
    "a bare name": (["HorizontalFlip"], "expected one transform"),
    "an abstract transform": ([{"BasicTransform": {}}], "BasicTransform refuses"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_albumentations_does_not_know_is_refused_in_words(case):
    policy, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        compose(policy, SIZE, SIZE)


def test_a_composition_is_not_recommended_in_its_own_place():
    with pytest.raises(UsageError) as refused:
        compose([{"OneOf": {}}], SIZE, SIZE)
    assert "mean 'OneOf'" not in str(refused.value)


def test_an_unknown_policy_names_its_nearest():
    with pytest.raises(UsageError, match=r"'lihgt'.*none, light, strong, aerial.*Did you mean 'light'"):
        resolve("lihgt")


def test_a_policy_that_changes_the_size_is_refused_before_training():
    with pytest.raises(UsageError, match=r"50x40 pixels, 100x100 are wanted"):
        Augmenter([{"CenterCrop": {"height": 40, "width": 50}}], SIZE, seed=0)


def test_a_list_in_params_becomes_a_range():
    (transform, *_) = compose([{"RandomBrightnessContrast": {"brightness_limit": [-0.1, 0.3]}}], SIZE, SIZE).transforms
    assert transform.brightness_limit == (-0.1, 0.3)
