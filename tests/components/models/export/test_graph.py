"""Suppression of one photograph by the plain operation, against the layer that a model is saved with."""

import numpy as np
import pytest

from components.models.detectors.inference import Detections
from components.models.export.graph import suppressed_in_one

PHOTOGRAPH = np.zeros((1, 48, 96, 3), np.uint8)


def layer(most: int = 100, threshold: float = 0.01) -> Detections:
    return Detections(64, threshold, 0.45, most)


def both(boxes: list, scores: list, made: Detections) -> tuple[np.ndarray, np.ndarray]:
    given = [np.array(boxes, np.float32)[None], np.array(scores, np.float32)[None], PHOTOGRAPH]
    return np.asarray(made(given))[0], np.asarray(suppressed_in_one(made, given))[0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("anchors", "classes", "most"), [(300, 1, 100), (500, 20, 100), (400, 3, 7), (5, 80, 100)])
def test_random_boxes_are_suppressed_alike(anchors, classes, most, seed):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-0.1, 1.0, (anchors, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 0.4, (anchors, 2))], axis=1)
    expected, found = both(boxes, rng.uniform(0, 1, (anchors, classes)) ** 4, layer(most))
    assert (expected[:, 5] >= 0).sum() >= 2
    np.testing.assert_array_equal(found[:, 4:], expected[:, 4:])
    np.testing.assert_allclose(found[:, :4], expected[:, :4], atol=1e-6)


@pytest.mark.parametrize(
    ("boxes", "scores", "kept"),
    [
        ([[0.2, 0.3, 0.5, 0.6]] * 2, [[0.9, 0.8], [0.7, 0.6]], [0, 1]),  # one of each class
        ([[0.0, 0.2, 1.0, 0.8]] * 2, [[0.9, 0.8], [0.7, 0.6]], [0, 1]),  # as large as the photograph
        ([[0.2, 0.3, 0.5, 0.6], [0.5, 0.3, 0.8, 0.6]], [[0.9, 0], [0.8, 0]], [0, 0]),
        ([[0.2, 0.3, 0.5, 0.6]], [[0.005, 0.0]], []),  # below the threshold
        ([[0.2, 0.0, 0.5, 0.2]], [[0.9, 0.9]], []),  # in the border: the photograph begins a quarter from the top
    ],
)
def test_cases_worked_by_hand(boxes, scores, kept):
    for rows in both(boxes, scores, layer()):
        assert rows[rows[:, 5] >= 0][:, 5].tolist() == kept
        assert (rows[len(kept) :] == [0, 0, 0, 0, 0, -1]).all()
