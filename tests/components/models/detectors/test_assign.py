"""Task-aligned assignment against a plain loop and against its stated rules."""

import numpy as np
import pytest
from keras import ops

from components.models.detectors.assign import ALPHA, BETA, TOP, assign, centre_inside, pairwise_iou
from components.models.detectors.decode import anchor_grid

SIZE = 96
CENTRES, _ = anchor_grid(SIZE)


def iou_of(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def random_case(seed: int, boxes: int = 5) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 60, (1, boxes, 2))
    truth = np.concatenate([corner, corner + rng.uniform(4, 36, (1, boxes, 2))], axis=-1).astype(np.float32)
    classes = rng.integers(0, 3, (1, boxes)).astype(np.int32)
    classes[0, -1] = -1
    half = rng.uniform(3, 20, (1, len(CENTRES), 2))
    found = np.concatenate([CENTRES - half, CENTRES + half], axis=-1).astype(np.float32)
    return rng.uniform(0.05, 0.95, (1, len(CENTRES), 3)).astype(np.float32), found, classes, truth


def plain_assignment(
    scores: np.ndarray, found: np.ndarray, classes: np.ndarray, truth: np.ndarray, least: float
) -> dict[int, tuple[int, float]]:
    """anchor -> (box, quality), by loops over one image."""
    overlap, aligned, picks = {}, {}, []
    for m, box in enumerate(truth):
        if classes[m] < 0:
            continue
        middle, half = (box[:2] + box[2:]) / 2, np.maximum((box[2:] - box[:2]) / 2, least / 2)
        inside = [a for a in range(len(CENTRES)) if (np.abs(CENTRES[a] - middle) < half).all()]
        for a in inside:
            overlap[m, a] = iou_of(box, found[a])
            aligned[m, a] = scores[a, classes[m]] ** ALPHA * overlap[m, a] ** BETA
        picks += [(m, a) for a in sorted(inside, key=lambda a, m=m: -aligned[m, a])[:TOP]]
    best: dict[int, tuple[float, int]] = {}
    for m, a in picks:
        best[a] = max(best.get(a, (-1.0, -1)), (overlap[m, a], m))
    owner = {a: m for a, (_, m) in best.items()}
    result = {}
    for m in set(owner.values()):
        own = [a for a, box in owner.items() if box == m]
        highest, closest = max(aligned[m, a] for a in own), max(overlap[m, a] for a in own)
        result.update({a: (m, aligned[m, a] / highest * closest) for a in own})
    return result


@pytest.mark.parametrize(("seed", "boxes"), [*((seed, 5) for seed in range(5)), (5, 2), (6, 1000)])
def test_equals_a_plain_loop(seed, boxes):
    scores, found, classes, truth = random_case(seed, boxes)  # the last of the boxes is padding
    expected = plain_assignment(scores[0], found[0], classes[0], truth[0], 16.0)
    target = assign(scores, found, classes, truth, CENTRES, 16.0)
    quality = ops.convert_to_numpy(target.quality)[0]
    learned = {a: quality for a, (_, quality) in expected.items()}
    np.testing.assert_allclose(quality, [learned.get(a, 0.0) for a in range(len(CENTRES))], atol=0.02)
    for anchor, (box, value) in expected.items():
        if value > 0.02:
            np.testing.assert_allclose(ops.convert_to_numpy(target.boxes)[0, anchor], truth[0, box])
            assert int(target.classes[0, anchor]) == classes[0, box]


def test_only_padding_assigns_nothing():
    scores, found, classes, truth = random_case(0)
    assert not ops.convert_to_numpy(assign(scores, found, classes * 0 - 1, truth, CENTRES, 16.0).quality).any()


def test_the_smallest_box_still_has_an_anchor():
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, SIZE - 1, (1, 200, 2)).astype(np.float32)
    tiny = np.concatenate([corner, corner + 0.5], axis=-1)
    assert ops.convert_to_numpy(centre_inside(tiny, CENTRES, 16.0)).any(axis=-1).all()


def test_boxes_that_touch_the_border_have_an_anchor_too():
    truth = np.array([[[0, 0, 4, 4], [92, 0, 96, 4], [0, 92, 4, 96], [92, 92, 96, 96]]], np.float32)
    scores = np.full((1, len(CENTRES), 1), 0.5, np.float32)
    found = np.concatenate([CENTRES - 4, CENTRES + 4], axis=-1)[None].astype(np.float32)
    target = assign(scores, found, np.zeros((1, 4), np.int32), truth, CENTRES, 16.0)
    learned = ops.convert_to_numpy(target.boxes)[0][ops.convert_to_numpy(target.quality)[0] > 0]
    assert {tuple(box) for box in learned.tolist()} == {tuple(box) for box in truth[0].tolist()}


def test_pairwise_iou_by_hand():
    truth = np.array([[[0, 0, 10, 10], [5, 5, 5, 5]]], np.float32)
    found = np.array([[[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]]], np.float32)
    np.testing.assert_allclose(pairwise_iou(truth, found)[0], [[1, 1 / 3, 0], [0, 0, 0]], atol=1e-6)
