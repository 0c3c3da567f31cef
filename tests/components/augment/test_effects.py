"""What transforms are measured to do, against what is known of them by their definition."""

import math
from collections.abc import Iterator

import albumentations as A
import numpy as np
import pytest

from components.augment.effects import PRESETS, RULES, breaks, declared, effects
from components.augment.pipeline import alone, always, build
from components.augment.probe import measure
from components.errors import UsageError

SIDE = 96
H, V, TILT, SIDEWAYS, OVER = "no_horizontal_flip", "no_vertical_flip", "no_rotation", "no_rotation_90", "no_rotation_180"
HUE, GRAY, LIGHT, INVERT = "no_hue", "no_gray", "no_brightness", "no_invert"
ERASE, CROP, ZOOM, BEND = "no_erase", "no_crop", "no_zoom", "no_distortion"

# Name, arguments, and every rule that the transform breaks by its definition.
KNOWN = [
    ("NoOp", {}, set()),
    ("HorizontalFlip", {}, {H}),
    ("TimeReverse", {}, {H}),
    ("VerticalFlip", {}, {V}),
    ("Transpose", {}, {H, V, SIDEWAYS, TILT}),
    ("D4", {}, {H, V, SIDEWAYS, OVER, TILT}),
    ("SquareSymmetry", {}, {H, V, SIDEWAYS, OVER, TILT}),
    ("RandomRotate90", {}, {SIDEWAYS, OVER, TILT}),
    ("Rotate", {"limit": 15}, {TILT}),
    ("Rotate", {"limit": 5}, set()),
    ("Rotate", {"limit": 45}, {TILT}),
    ("Rotate", {"limit": 90}, {TILT, SIDEWAYS}),
    ("Rotate", {"limit": [170, 180]}, {TILT, OVER}),
    ("Rotate", {"limit": 140}, {TILT, SIDEWAYS, OVER}),
    ("SafeRotate", {"limit": 15}, {TILT}),
    ("Affine", {"rotate": [-180, 180]}, {TILT, SIDEWAYS, OVER}),
    ("Affine", {}, set()),
    ("Affine", {"rotate": [-8, 8], "scale": [0.9, 1.1], "translate_percent": [-0.05, 0.05]}, set()),
    ("Affine", {"translate_percent": {"x": [-0.4, 0.4], "y": 0}}, {CROP}),
    ("Affine", {"scale": 0.5}, {ZOOM}),
    ("Affine", {"scale": 2.0}, {ZOOM, CROP}),
    ("Affine", {"scale": {"x": 1.0, "y": [0.6, 1.0]}}, {BEND, ZOOM}),
    ("ShiftScaleRotate", {"rotate_limit": 0, "scale_limit": 0.0, "shift_limit": 0.05}, set()),
    ("RandomResizedCrop", {"scale": [0.2, 1.0], "ratio": [1.0, 1.0]}, {CROP, ZOOM}),
    ("RandomResizedCrop", {"scale": [0.95, 1.0], "ratio": [1.0, 1.0]}, set()),
    ("CenterCrop", {"height": 40, "width": 40}, {CROP, ZOOM}),
    ("GridDistortion", {"distort_limit": 0.5}, {BEND}),
    ("RandomBrightnessContrast", {"brightness_limit": 0.1, "contrast_limit": 0.1}, set()),
    ("RandomBrightnessContrast", {"brightness_limit": [-0.35, -0.35], "contrast_limit": 0}, {LIGHT}),
    ("RandomGamma", {"gamma_limit": [90, 110]}, set()),
    ("HueSaturationValue", {"hue_shift_limit": 5}, set()),
    ("HueSaturationValue", {"hue_shift_limit": 90}, {HUE}),
    ("HueSaturationValue", {"hue_shift_limit": 0, "sat_shift_limit": 20, "val_shift_limit": 10}, set()),
    ("ColorJitter", {"hue": 0}, set()),
    ("ColorJitter", {"hue": 0.3}, {HUE}),
    ("ColorJitter", {"hue": 0, "saturation": [0, 0], "brightness": 0, "contrast": 0}, {GRAY}),
    ("ToGray", {}, {GRAY}),
    ("ToSepia", {}, {HUE}),
    ("ChannelShuffle", {}, {HUE}),
    ("InvertImg", {}, {HUE, INVERT}),
    ("PlanckianJitter", {}, {HUE}),
    ("CoarseDropout", {}, {ERASE}),
    ("CoarseDropout", {"hole_height_range": [0.01, 0.02], "hole_width_range": [0.01, 0.02]}, set()),
    ("Erasing", {}, {ERASE}),
    ("GridDropout", {}, {ERASE}),
    ("XYMasking", {"num_masks_x": 1, "mask_x_length": 20}, {ERASE}),
    ("PixelDropout", {"dropout_prob": 0.02}, set()),
    ("Blur", {"blur_limit": [3, 5]}, set()),
    ("MotionBlur", {}, set()),
    ("ImageCompression", {"quality_range": [50, 90]}, set()),
    ("GaussNoise", {"std_range": [0.05, 0.1]}, set()),
    ("ISONoise", {}, set()),
    ("Sharpen", {}, set()),
    ("ElasticTransform", {"alpha": 1, "sigma": 20}, set()),
    ("Downscale", {"scale_range": [0.5, 0.8]}, set()),
]


def measured(name: str, arguments: dict) -> dict[str, str]:
    return effects(measure(alone(build(always({name: arguments}), SIDE)), SIDE))


def cases() -> Iterator[object]:
    """Of each transform one case in every run, the others with the slow tests."""
    seen = set()
    for name, arguments, expected in KNOWN:
        marks = [pytest.mark.slow] if name in seen else []
        seen.add(name)
        yield pytest.param(name, arguments, expected, id=f"{name}-{arguments}", marks=marks)


@pytest.mark.parametrize(("name", "arguments", "expected"), cases())
def test_a_transform_is_judged_by_what_it_can_do(name, arguments, expected):
    assert measured(name, arguments).keys() == expected


def test_a_picture_cut_to_pieces_and_put_together_otherwise_is_bent():
    assert BEND in measured("RandomGridShuffle", {})


def test_at_least_25_transforms_are_known_by_hand():
    assert len({name for name, _, _ in KNOWN}) >= 25


@pytest.mark.parametrize("degrees", [0, 30, 90, 135, 180])
@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("zoom", [0.6, 1.0])
def test_a_known_map_is_found_again(degrees, mirrored, zoom):
    flip = [A.HorizontalFlip(p=1.0)] if mirrored else []
    pipeline = A.Compose([*flip, A.Affine(rotate=(degrees, degrees), scale=(zoom, zoom), p=1.0)], bbox_params=build_boxes())
    (draw,) = measure(pipeline, SIDE, 1)
    assert draw.map is not None and draw.map.mirrored is mirrored
    # Albumentations turns the other way round than the angle is counted; half a turn is the same either way
    assert min(abs(draw.map.turn + degrees), abs(abs(draw.map.turn) - degrees) if degrees == 180 else math.inf) < 3
    assert draw.map.zoom == pytest.approx(zoom, rel=0.05) and draw.map.bent < 0.02


def build_boxes() -> A.BboxParams:
    return A.BboxParams(format="albumentations", label_fields=["labels"])


def test_a_hue_turned_by_a_known_angle_is_found_again():
    # OpenCV counts hues in half degrees: 30 of them are 60 degrees, red becomes yellow
    (draw,) = measure(alone(A.HueSaturationValue(hue_shift_limit=(30, 30), sat_shift_limit=0, val_shift_limit=0, p=1.0)), SIDE, 1)
    assert draw.hue == pytest.approx(60, abs=8) and draw.map is not None and draw.map.zoom == pytest.approx(1, abs=0.02)


def test_a_hole_of_a_known_size_is_found_again():
    hole = A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(0.2, 0.2), hole_width_range=(0.2, 0.2), p=1.0)
    shares = [draw.hidden for draw in measure(alone(hole), SIDE, 20)]
    assert max(shares) == pytest.approx(0.04, abs=0.006)


class Mirror(A.ImageOnlyTransform):
    """A transform that nobody knows by name."""

    def apply(self, img: np.ndarray, **_: object) -> np.ndarray:
        return np.ascontiguousarray(img[:, ::-1])


class OneInAHundred(A.ImageOnlyTransform):
    """Turns the picture upside down where its random number is all but 1."""

    def get_params(self) -> dict[str, bool]:
        return {"over": self.py_random.uniform(0, 1) > 0.99}

    def apply(self, img: np.ndarray, over: bool, **_: object) -> np.ndarray:
        return np.ascontiguousarray(img[::-1, ::-1]) if over else img


def test_a_transform_that_nobody_knows_is_judged_as_any_other():
    assert effects(measure(alone(Mirror(p=1.0)), SIDE)).keys() == {H}


def test_what_happens_at_the_end_of_a_range_only_is_seen():
    assert effects(measure(alone(OneInAHundred(p=1.0)), SIDE)).keys() == {OVER, TILT}


def test_the_same_measure_twice_is_the_same():
    pipeline = alone(A.ShiftScaleRotate(p=1.0))
    assert list(measure(pipeline, SIDE, 6)) == list(measure(pipeline, SIDE, 6))


def test_no_more_draws_are_made_than_are_needed():
    made = []

    def draws():
        for draw in measure(alone(A.HorizontalFlip(p=1.0)), SIDE):
            made.append(draw)
            yield draw

    assert breaks(draws(), H) and len(made) == 1


@pytest.mark.parametrize("rule", RULES)
def test_the_words_tell_what_happens_and_what_it_would_change(rule):
    assert "{" not in RULES[rule].can.format(0.5) and RULES[rule].example


def test_presets_and_rules_are_declared_by_name():
    found = declared(["digits", "no_hue"], "data.classification.label_safety")
    assert found == {H: "digits", V: "digits", OVER: "digits", HUE: "no_hue"}
    assert declared("traffic_lights", "x").keys() == set(PRESETS["traffic_lights"])
    assert declared(None, "x") == declared([], "x") == {}
    assert all(rule in RULES for rules in PRESETS.values() for rule in rules)


@pytest.mark.parametrize(("word", "near"), [("no_horizontal_flips", "no_horizontal_flip"), ("digit", "digits"), (7, None)])
def test_an_unknown_word_names_its_nearest_and_where_it_stands(word, near):
    with pytest.raises(UsageError, match=r"data\.detection\.label_safety holds .*presets digits.*rules no_horizontal_flip") as refused:
        declared([word], "data.detection.label_safety")
    assert near is None or f"Did you mean {near!r}" in str(refused.value)
