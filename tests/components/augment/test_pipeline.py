"""A policy as Albumentations applies it: what becomes of the boxes, and what is refused in words."""

import numpy as np
import pytest

from components.augment.augmenter import Augmenter, Example
from components.augment.pipeline import compose, leaves, parts
from components.augment.policies import NAMED
from components.errors import UsageError

SIZE = 100


def picture(*boxes: tuple[float, ...]) -> Example:
    return Example(np.zeros((SIZE, SIZE, 3), np.uint8), np.array(boxes, np.float32).reshape(-1, 5))


def cropped(*boxes: tuple[float, ...], **window: int) -> np.ndarray:
    """The boxes after a crop of the 100 pixel picture to the window and back to 100 pixels."""
    policy = [{"Crop": {**window, "p": 1.0}}, {"Resize": {"height": SIZE, "width": SIZE}}]
    return Augmenter(policy, SIZE, seed=0).draw(picture(*boxes), 1, 0).boxes


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
    assert len(Augmenter(policy, SIZE, seed=0).draw(picture((0, 0.3, 0.3, 0.7, 0.7)), 1, 0).boxes) == 0


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
    augmenter = Augmenter(NAMED[name], SIZE, seed=3)
    for epoch in range(1, 20):
        shown = augmenter(picture((0, 0.0, 0.0, 1.0, 1.0), (1, 0.2, 0.2, 0.5, 0.4)), epoch, 7)
        assert shown.pixels.shape == (SIZE, SIZE, 3) and shown.pixels.dtype == np.uint8
        assert shown.boxes.dtype == np.float32 and ((shown.boxes[:, 1:] >= 0) & (shown.boxes[:, 1:] <= 1)).all()
        assert (shown.boxes[:, 3:] > shown.boxes[:, 1:3]).all()


REFUSED = {
    "no such transform": ([{"HorizontalFlp": {}}], "Did you mean 'HorizontalFlip'"),
    "no such composition": ([{"OneOff": {"transforms": []}}], "Did you mean 'OneOf'"),
    "no such transform within": ([{"OneOf": {"transforms": [{"Blurr": {}}]}}], "Did you mean 'Blur'"),
    "an empty composition": ([{"OneOf": {}}], r"OneOf holds None; expected `OneOf: \{transforms: \[\.\.\.\]\}`"),
    "no such argument": ([{"HorizontalFlip": {"probability": 1}}], r"does not accept 'probability'; it accepts \['p'\]"),
    "nearly an argument": ([{"Rotate": {"limits": 15}}], "Did you mean 'limit'"),
    "a value out of range": ([{"HorizontalFlip": {"p": 7}}], "HorizontalFlip refuses .*p: Input should be less than or equal to 1"),
    "nothing can be chosen": ([{"OneOf": {"transforms": [{"Blur": {"p": 0}}]}}], "OneOf can choose nothing: every transform"),
    "no mapping of arguments": ([{"HorizontalFlip": 0.5}], "HorizontalFlip: {p: 0.5}"),
    "two transforms in one entry": ([{"HorizontalFlip": {}, "VerticalFlip": {}}], "expected one transform"),
    "a bare name": (["HorizontalFlip"], "expected one transform"),
    "an abstract transform": ([{"BasicTransform": {}}], "BasicTransform refuses"),
    "what the network does": ([{"ToTensorV2": {}}], "leave ToTensorV2 out: .* scale them inside"),
    "a module of the package": ([{"Path": {}}], "no transform 'Path'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_albumentations_does_not_know_is_refused_in_words(case):
    policy, message = REFUSED[case]
    with pytest.raises(UsageError, match=message):
        compose(policy, SIZE, SIZE)


@pytest.mark.parametrize("name", ["OneOf", "SomeOf", "Sequential", "RandomOrder", "OneOrOther"])
def test_compositions_hold_further_transforms(name):
    policy = [{name: {"transforms": [{"Rotate": {"limit": [10, 10]}}, {"Sequential": {"transforms": [{"Blur": {}}], "p": 1.0}}]}}]
    (made, *_) = compose(policy, SIZE, SIZE).transforms
    assert type(made).__name__ == name and made.transforms[0].limit == (10, 10)
    assert type(made.transforms[1].transforms[0]).__name__ == "Blur"


def test_the_leaves_are_all_that_can_happen():
    nested = {"OneOf": {"transforms": [{"Blur": {"p": 0}}, {"Sequential": {"transforms": [{"D4": {}}, {"Rotate": {}}]}}]}}
    never = {"Sequential": {"transforms": [{"Transpose": {}}], "p": 0.0}}
    assert [parts(entry)[0] for entry in leaves([{"HorizontalFlip": None}, nested, never])] == ["HorizontalFlip", "D4", "Rotate"]


@pytest.mark.parametrize("name", ["RandomCrop", "CenterCrop", "Resize"])
def test_a_height_and_width_that_must_be_told_are_the_training_size(name):
    (made, *_) = compose([{name: {}}], SIZE, 60).transforms
    assert (made.height, made.width) == (60, 60)


def test_a_list_in_params_becomes_a_range():
    (transform, *_) = compose([{"RandomBrightnessContrast": {"brightness_limit": [-0.1, 0.3]}}], SIZE, SIZE).transforms
    assert transform.brightness_limit == (-0.1, 0.3)
