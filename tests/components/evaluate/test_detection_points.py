"""Operating points: the best F1 of validation, sensible where a class has nothing to say, and the same for all who use them."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest

from components.evaluate.detection_matches import matches, scenes
from components.evaluate.detection_points import (
    UNMEASURED,
    PrecisionRecall,
    Tally,
    above,
    operating_points,
    outcome,
    pooled,
    precision_recall,
    tallies,
    total,
)
from tests.components.evaluate.detection_cases import CLASSES, SQUARE, Case, boxes_of, found_of, hostile_case, muddled_case, random_case


def many(label: str, confidences: list[float], false: tuple[float, ...] = (), top: int = 0) -> tuple[list[tuple], list[tuple]]:
    """Boxes in a row, `top` pixels from above, each found with its confidence, and false detections of these confidences below."""
    boxes = [(label, 9 * i, top, 9 * i + 8, top + 8) for i in range(len(confidences))]
    found = [(*box, sure) for box, sure in zip(boxes, confidences, strict=True)]
    return boxes, [*found, *((label, 9 * i, top + 50, 9 * i + 8, top + 58, sure) for i, sure in enumerate(false))]


def points(*classes: tuple[list[tuple], list[tuple]], labels: tuple[str, ...] = ("cat", "dog")) -> dict[str, float]:
    truth, found = (list(itertools.chain(*side)) for side in zip(*classes, strict=True))
    return operating_points(matches(boxes_of(*truth), found_of(*found), SQUARE, list(labels)))


def test_each_class_keeps_what_gives_its_best_f1():
    cats = many("cat", [0.9] * 10, false=(0.5,))
    dogs = many("dog", [0.3] * 5 + [0.2] * 5, false=(0.1,), top=20)
    assert points(cats, dogs) == {"cat": 0.9, "dog": 0.2}


def test_too_few_boxes_of_a_class_take_the_point_of_all():
    cats = many("cat", [0.8] * 10, false=(0.4,))
    dogs = [("dog", 0, 30, 8, 38)], [("dog", 0, 30, 8, 38, 0.3)]
    # All together: 10 of 11 boxes without a false one from 0.8 (F1 20/21); 11 of 11 with one false one from 0.3 (22/23).
    assert points(cats, dogs) == {"cat": 0.8, "dog": 0.3}


def test_a_class_of_which_nothing_was_found_is_not_silenced():
    cats = many("cat", [0.6] * 10)
    dogs = many("dog", [0.5] * 10, top=30)[0], []
    assert points(cats, dogs) == {"cat": 0.6, "dog": 0.6}


@pytest.mark.parametrize("truth", [[], [("cat", 0, 0, 8, 8)]])
def test_where_nothing_was_found_at_all_nothing_is_chosen(truth):
    assert points((truth, [("cat", 50, 50, 60, 60, 0.99)])) == dict.fromkeys(["cat", "dog"], UNMEASURED)


def test_the_detection_that_a_point_was_chosen_by_counts():
    sure = 0.123456789  # 0.1235 when rounded to the nearest
    chosen = points(many("cat", [sure] * 10))["cat"]
    assert sure - 1e-4 < chosen <= sure
    assert len(above(pd.DataFrame({"label": ["cat"], "confidence": [sure]}), {"cat": chosen})) == 1


def test_a_class_without_a_point_is_kept_from_the_unmeasured_one():
    found = pd.DataFrame({"label": ["fox", "fox", "cat"], "confidence": [UNMEASURED, UNMEASURED - 0.01, 0.1]})
    assert above(found, {"cat": 0.05}).index.tolist() == [0, 2]


def test_shares_by_hand_and_undefined_ones():
    assert (Tally(3, 1, 2).precision, Tally(3, 1, 2).recall, Tally(3, 1, 2).f1) == (0.75, 0.6, pytest.approx(2 * 0.75 * 0.6 / 1.35))
    nothing = Tally(0, 0, 0)
    assert all(math.isnan(share) for share in (nothing.precision, nothing.recall, nothing.f1))
    assert total({"cat": Tally(1, 2, 3), "dog": Tally(10, 20, 30)}) == Tally(11, 22, 33)


def test_the_f1_of_a_curve_is_the_harmonic_mean():
    curve = PrecisionRecall(np.array([1.0, 0.5, 0.0]), np.array([0.5, 0.5, 0.0]), np.array([0.9, 0.5, 0.1]))
    assert curve.f1.tolist() == [pytest.approx(2 / 3), 0.5, 0.0]


@pytest.mark.parametrize("case", [random_case(0), hostile_case(1), muddled_case(2)], ids=["random", "hostile", "muddled"])
def test_tallies_are_those_of_matching_only_what_is_kept(case: Case):
    """Leaving detections out before the matching, which is what a user of the model sees, gives the same counts."""
    truth, found, sizes = case
    at = {"cat": 0.4, "dog": 0.6, "emu": 0.5}
    ours = tallies(scenes(truth, found, sizes, CLASSES), CLASSES, at)
    again = matches(truth, above(found, at).reset_index(drop=True), sizes, CLASSES)
    for label in CLASSES:
        one = again.classes[label]
        hits, counted = int(one.true[:, 0].sum()), int((~one.ignored[:, 0]).sum())
        assert ours[label] == Tally(hits, counted - hits, int(one.truths.sum()) - hits)


def test_tallies_at_a_point_lie_on_the_curve():
    truth, found, sizes = muddled_case(5)
    every, seen = matches(truth, found, sizes, CLASSES), scenes(truth, found, sizes, CLASSES)
    for curve, label in [(precision_recall(every, "cat"), "cat"), (pooled(every), None)]:
        for place in (0, len(curve.confidence) // 2, len(curve.confidence) - 1):
            counts = tallies(seen, CLASSES, dict.fromkeys(CLASSES, float(curve.confidence[place])))
            tally = counts[label] if label else total(counts)
            assert (tally.precision, tally.recall) == (pytest.approx(curve.precision[place]), pytest.approx(curve.recall[place]))


def test_crowd_boxes_are_neither_found_nor_missed():
    truth = boxes_of(("cat", 0, 0, 20, 20), ("cat", 50, 50, 90, 90))
    truth["is_crowd"] = [False, True]
    [scene] = scenes(truth, found_of(("cat", 55, 55, 65, 65, 0.9)), SQUARE, ["cat"])
    sides = outcome(scene, ["cat"], {"cat": 0.5})
    assert (sides.true.tolist(), sides.false.tolist(), sides.missed.tolist()) == ([False], [False], [True, False])
