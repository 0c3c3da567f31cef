"""Anchor boxes against clusters that were put there, against k-means by plain loops, and of boxes that are hardly any."""

import numpy as np
import pytest

from components.models.detectors.yolov3.anchors import COCO, find_anchors, mean_iou, shape_iou

CENTRES = np.array([[0.02, 0.05], [0.05, 0.02], [0.1, 0.1], [0.1, 0.3], [0.3, 0.1], [0.3, 0.35], [0.2, 0.7], [0.7, 0.2], [0.8, 0.9]])


def clustered(seed: int, boxes: int = 450, spread: float = 0.05) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return CENTRES[np.arange(boxes) % len(CENTRES)] * rng.uniform(1 - spread, 1 + spread, (boxes, 2))


def plain_iou(a: np.ndarray, b: np.ndarray) -> float:
    shared = min(a[0], b[0]) * min(a[1], b[1])
    return float(shared / (a[0] * a[1] + b[0] * b[1] - shared))


def plain_k_means(sizes: np.ndarray, seed: int) -> float:
    """The mean IoU that k-means by plain loops reaches from nine boxes drawn at random."""
    means = sizes[np.random.default_rng(seed).choice(len(sizes), 9, replace=False)]
    for _ in range(30):
        nearest = np.array([int(np.argmax([plain_iou(size, mean) for mean in means])) for size in sizes])
        means = np.array([sizes[nearest == k].mean(axis=0) if (nearest == k).any() else means[k] for k in range(9)])
    return float(np.mean([max(plain_iou(size, mean) for mean in means) for size in sizes]))


def test_shape_iou_by_hand():
    sizes = np.array([[2.0, 4.0], [1.0, 1.0], [0.0, 3.0]])
    np.testing.assert_allclose(shape_iou(sizes, np.array([[4.0, 2.0], [2.0, 4.0]])), [[1 / 3, 1], [1 / 8, 1 / 8], [0, 0]])


def test_clusters_that_were_put_there_are_found():
    sizes = clustered(0)
    expected = sorted((sizes[k :: len(CENTRES)].mean(axis=0) for k in range(len(CENTRES))), key=np.prod)
    np.testing.assert_allclose(find_anchors(sizes), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_they_fit_as_well_as_the_best_of_some_random_starts(seed):
    sizes = np.random.default_rng(seed).lognormal(-2.0, 0.6, (150, 2)).clip(0.01, 1)
    assert mean_iou(sizes, find_anchors(sizes)) > 0.97 * max(plain_k_means(sizes, start) for start in range(5))


def test_they_fit_better_than_those_of_other_data():
    sizes = np.random.default_rng(0).uniform([0.02, 0.2], [0.05, 0.5], (200, 2))  # tall and thin: COCO's are not
    assert mean_iou(sizes, find_anchors(sizes)) > mean_iou(sizes, COCO) + 0.2


def test_neither_the_order_nor_a_repetition_of_the_boxes_matters_and_scale_is_kept():
    sizes = np.random.default_rng(1).lognormal(-2.0, 0.6, (300, 2)).round(4)
    found = np.array(find_anchors(sizes))
    np.testing.assert_allclose(find_anchors(sizes[::-1]), found, rtol=1e-12)
    np.testing.assert_allclose(find_anchors(np.repeat(sizes, 3, axis=0)), found, rtol=1e-12)
    np.testing.assert_allclose(find_anchors(np.repeat(sizes, 3, axis=0).astype(np.float32)), found, rtol=1e-6)
    np.testing.assert_allclose(find_anchors(sizes / 2), found / 2, rtol=1e-9)
    assert (np.diff(found.prod(axis=1)) > 0).all()


def test_without_a_box_they_are_the_published_ones():
    assert COCO[0] == (10 / 416, 13 / 416) and COCO[-1] == (373 / 416, 326 / 416)
    for none in (np.zeros((0, 2)), np.array([[0.0, 0.5]])):
        np.testing.assert_allclose(find_anchors(none), COCO)


@pytest.mark.parametrize("sizes", [[[0.3, 0.2]], [[0.3, 0.2]] * 1000, [[0.3, 0.2], [1.0, 1.0]], [[1e-4, 1e-4], [0.3, 0.2]]])
def test_few_shapes_get_anchors_of_their_own_beside_the_published(sizes):
    found = find_anchors(np.array(sizes))
    assert len(set(found)) == 9
    assert mean_iou(np.array(sizes), found) > 0.999


def test_many_boxes_are_thinned_out_and_fit_all_the_same():
    sizes = np.random.default_rng(2).lognormal(-2.0, 0.5, (20_000, 2))
    assert mean_iou(sizes, find_anchors(sizes)) > 0.99 * mean_iou(sizes[:1500], find_anchors(sizes[:1500]))
