"""Counts of boxes, hand-worked on one picture with known boxes."""

import numpy as np
import pytest

from components.augment.audit import of_policy, of_transform
from components.augment.augmenter import Augmenter, Example

SIZE = 100
LEFT, ACROSS, SLIGHTLY, RIGHT = [0, 0.0, 0.0, 0.3, 0.3], [1, 0.4, 0.4, 0.6, 0.6], [1, 0.4, 0.1, 0.9, 0.2], [2, 0.6, 0.6, 0.9, 0.9]
HALF = {"Crop": {"x_max": 50, "y_max": 100, "p": 0.1}}  # the left half of the picture


def picture(*boxes: list[float]) -> Example:
    noise = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)
    return Example(noise, np.array(boxes, np.float32).reshape(-1, 5))


def test_a_crop_clips_what_it_cuts_and_loses_what_it_cuts_off():
    # inside the left half: all of LEFT, half of ACROSS, a fifth of SLIGHTLY (too little), none of RIGHT
    found = of_transform(HALF, [picture(LEFT, ACROSS, SLIGHTLY, RIGHT), picture(), picture(LEFT)], SIZE, epochs=3)
    assert (found.whole, found.clipped, found.lost, found.invalid) == (6, 3, 6, 0)
    assert found.visible == pytest.approx((6 * 1 + 3 * 0.5) / 9, abs=1e-6)


def test_a_box_that_becomes_too_small_is_lost():
    found = of_transform({"Affine": {"scale": 0.5}}, [picture([0, 0.5, 0.5, 0.53, 0.9])], SIZE, epochs=1)
    assert (found.whole, found.lost) == (0, 1)  # 3 pixels wide, 1.5 after


def test_a_flip_keeps_every_box_whole():
    found = of_transform({"HorizontalFlip": {}}, [picture(LEFT, ACROSS, RIGHT)] * 2, SIZE, epochs=2)
    assert (found.whole, found.clipped, found.lost, found.invalid, found.visible) == (12, 0, 0, 0, 1.0)


def test_what_a_dropout_hides_is_lost():
    hidden = {"CoarseDropout": {"num_holes_range": [1, 1], "hole_height_range": [0.95, 0.95], "hole_width_range": [0.95, 0.95]}}
    found = of_transform(hidden, [picture(LEFT, RIGHT)], SIZE, epochs=1)
    assert (found.whole + found.clipped, found.lost) == (0, 2)


def test_a_box_without_area_is_invalid():
    found = of_transform({"HorizontalFlip": {}}, [picture(LEFT, [0, 0.5, 0.5, 0.5, 0.7], [0, 0.2, np.nan, 0.4, 0.6])], SIZE, epochs=1)
    assert (found.whole, found.invalid, found.lost) == (1, 2, 0)


def test_without_a_box_nothing_is_counted():
    found = of_transform(HALF, [picture()], SIZE, epochs=3)
    assert (found.whole, found.clipped, found.lost, found.invalid, found.visible) == (0, 0, 0, 0, 1.0)


ALWAYS = [{"Crop": {**HALF["Crop"], "p": 1.0}}, {"Resize": {}}]


def test_the_whole_policy_counts_what_training_is_shown():
    examples = [picture(LEFT, RIGHT), picture(RIGHT), picture()]
    counts, cases = of_policy(examples, Augmenter(ALWAYS, SIZE, seed=0), epochs=2)
    assert counts == {"pictures": 6, "boxes": 6, "lost": 4, "emptied": 2, "redrawn": 0, "unchanged": 2}
    assert [case.key for case in cases[:2]] == [1, 1] and cases[0].score == 1.0 and not cases[0].kept.any()
    (both, *_) = [case for case in cases if case.key == 0]
    assert both.kept.tolist() == [True, False] and both.score == 0.5


def test_a_picture_saved_by_a_later_draw_is_counted_apart():
    by_chance = [{"Crop": {**HALF["Crop"], "p": 0.5}}, {"Resize": {}}]
    counts, _ = of_policy([picture(RIGHT)] * 50, Augmenter(by_chance, SIZE, seed=0), epochs=2)
    assert counts["emptied"] == counts["redrawn"] + counts["unchanged"]
    assert 30 < counts["emptied"] < 70 and counts["unchanged"] < counts["emptied"] / 3  # an eighth of them, expected


def test_without_boxes_the_worst_is_what_has_least_contrast_left():
    white = [{"RandomBrightnessContrast": {"brightness_limit": [1.0, 1.0], "contrast_limit": 0, "p": 0.2}}]
    _, cases = of_policy([picture()] * 20, Augmenter(white, SIZE, seed=0), epochs=1)
    scores = [case.score for case in cases]
    assert scores == sorted(scores, reverse=True) and scores[0] == pytest.approx(1.0) and scores[-1] == 0.0
    assert (cases[0].after.pixels == 255).all()
