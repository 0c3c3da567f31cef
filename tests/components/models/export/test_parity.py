"""When two answers are alike, on cases worked by hand."""

import numpy as np
import pytest

from components.models.export.parity import milliseconds, unlike_boxes, unlike_probabilities

LEAST = (0.3, 0.5)


def rows(*boxes: tuple[float, ...]) -> np.ndarray:
    unused = np.array([[0, 0, 0, 0, 0, -1]] * (5 - len(boxes)))
    return np.concatenate([np.array(boxes).reshape(-1, 6), unused]).astype(np.float32)


TREE, OTHER = (0.1, 0.1, 0.3, 0.4, 0.9, 0), (0.5, 0.5, 0.8, 0.9, 0.7, 1)


def moved(box: tuple[float, ...], by: float) -> tuple[float, ...]:
    return (box[0] + by, *box[1:])


@pytest.mark.parametrize(
    ("expected", "found", "count", "largest"),
    [
        (rows(TREE, OTHER), rows(OTHER, TREE), 0, 0.0),  # whatever the order
        (rows(TREE), rows(moved(TREE, 0.008)), 0, 0.008),
        (rows(TREE), rows(moved(TREE, 0.02)), 2, 0.0),  # one lost and one found
        (rows(TREE, OTHER), rows(TREE), 1, 0.0),
        (rows(), rows(TREE), 1, 0.0),
        (rows(TREE), rows((*TREE[:5], 1)), 2, 0.0),  # of another class
        (rows(TREE), rows(TREE, TREE), 1, 0.0),  # each stands for one only
        (rows((*TREE[:4], 0.305, 0)), rows(), 0, 0.0),  # on the edge of what is answered
        (rows((*TREE[:4], 0.505, 0)), rows(), 1, 0.0),  # the edge of the other class is not its own
        (rows(), rows(), 0, 0.0),
    ],
)
def test_boxes_are_alike_or_counted(expected, found, count, largest):
    assert unlike_boxes(expected, found, LEAST, expected, 0.45) == (count, pytest.approx(largest, abs=1e-6))


TWIN = (0.1, 0.15, 0.3, 0.45, 0.9, 0)  # overlaps TREE by 0.05 of 0.07: 5/7


@pytest.mark.parametrize(
    ("found", "candidates", "count"),
    [
        (rows(TWIN), rows(TREE, TWIN), 0),  # suppression left the other of two that are tied
        (rows(TWIN), rows(TREE), 2),  # which the model itself never found
        (rows(TWIN, OTHER), rows(TREE, TWIN), 1),
        (rows(TREE, TWIN), rows(TREE, TWIN), 1),  # none was suppressed
        (rows((*TWIN[:4], 0.85, 0)), rows(TREE, (*TWIN[:4], 0.85, 0)), 2),  # the less confident is the one to go
        (rows((*TWIN[:5], 1)), rows(TREE, (*TWIN[:5], 1)), 2),  # classes are suppressed by themselves
        (rows((0.25, 0.1, 0.45, 0.4, 0.9, 0)), rows(TREE, (0.25, 0.1, 0.45, 0.4, 0.9, 0)), 2),  # both should have stayed
    ],
)
def test_of_two_boxes_that_are_tied_either_may_be_left(found, candidates, count):
    assert unlike_boxes(rows(TREE), found, LEAST, candidates, 0.45)[0] == count


def test_probabilities_are_alike_or_counted():
    expected = np.array([[0.5, 0.5], [0.9, 0.1], [0.2, 0.8]], np.float32)
    found = np.array([[0.5, 0.5], [0.895, 0.105], [0.25, 0.75]], np.float32)
    assert unlike_probabilities(expected, found) == (1, pytest.approx(0.05, abs=1e-6))


def test_the_time_is_the_median_of_the_later_runs_and_each_sees_a_batch_of_one(monkeypatch):
    clock, seen = [0.0], []
    lasts = iter([9.0, 0.001, 0.002, 0.003, 0.004, 7.0])  # the first of a size does not count; the median is 3 ms

    def run(image):
        seen.append(image.shape)
        clock[0] += next(lasts)
        return image

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert milliseconds({"one": run}, [np.zeros((4, 6, 3), np.uint8)]) == {"one": pytest.approx(3.0)}
    assert set(seen) == {(1, 4, 6, 3)}
