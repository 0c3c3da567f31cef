"""The confusion matrix with background: by hand, and its sums by what they count."""

import numpy as np
import pytest

from components.evaluate.detection_confusion import confusion
from components.evaluate.detection_matches import scenes
from components.evaluate.detection_points import tallies
from tests.components.evaluate.detection_cases import CLASSES, SQUARE, Case, boxes_of, found_of, hostile_case, muddled_case, random_case

AT = dict.fromkeys(CLASSES, 0.5)


def matrix(truth, found) -> list[list[int]]:
    return confusion(scenes(truth, found, SQUARE, ["cat", "dog"]), ["cat", "dog"], AT).tolist()


def test_each_kind_of_cell_by_hand():
    truth = boxes_of(("cat", 0, 0, 20, 20), ("cat", 30, 0, 50, 20), ("dog", 60, 0, 80, 20), ("dog", 0, 60, 20, 80))
    found = found_of(
        ("cat", 0, 0, 20, 20, 0.9),  # a cat found
        ("dog", 0, 0, 20, 20, 0.9),  # and found again as a dog: its cat is taken, so of background
        ("dog", 30, 0, 50, 20, 0.8),  # a cat taken for a dog
        ("dog", 60, 0, 80, 20, 0.4),  # too unsure: its dog is missed
        ("cat", 60, 60, 80, 80, 0.7),  # background taken for a cat
    )
    assert matrix(truth, found) == [[1, 1, 0], [0, 0, 2], [1, 1, 0]]


def test_a_right_answer_goes_before_a_surer_wrong_one():
    truth, found = boxes_of(("cat", 0, 0, 20, 20)), found_of(("dog", 0, 0, 20, 20, 0.99), ("cat", 0, 0, 20, 20, 0.6))
    assert matrix(truth, found) == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]


def test_one_box_is_mistaken_only_once_and_by_the_surest():
    truth, found = boxes_of(("cat", 0, 0, 20, 20)), found_of(("dog", 0, 0, 20, 20, 0.6), ("dog", 0, 0, 20, 19, 0.9))
    assert matrix(truth, found) == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_a_wrong_class_with_too_little_overlap_is_background():
    truth, found = boxes_of(("cat", 0, 0, 20, 20)), found_of(("dog", 11, 0, 31, 20, 0.9))
    assert matrix(truth, found) == [[0, 0, 1], [0, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("case", [random_case(3), hostile_case(4), muddled_case(5)], ids=["random", "hostile", "muddled"])
def test_rows_sum_to_boxes_columns_to_detections_and_the_diagonal_to_what_was_found(case: Case):
    seen = scenes(*case, CLASSES)
    counts, rows = confusion(seen, CLASSES, AT), tallies(seen, CLASSES, AT)
    assert counts.diagonal()[:-1].tolist() == [row.found for row in rows.values()]
    assert counts[:-1].sum(axis=1).tolist() == [row.found + row.missed for row in rows.values()]
    assert counts[:, :-1].sum(axis=0).tolist() == [row.found + row.false for row in rows.values()]
    assert counts[-1, -1] == 0


def test_nothing_at_all_is_a_matrix_of_zeros():
    assert not np.any(matrix(boxes_of(), found_of()))
