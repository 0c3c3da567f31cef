"""Detection metrics against pycocotools, hand-worked cases and invariants."""

import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.evaluate.detection import coco_metrics
from components.evaluate.detection_matches import average_precision, matches
from components.evaluate.detection_points import best_f1, precision_recall
from tests.components.evaluate.detection_cases import CLASSES, NO_FOUND, NO_TRUTH, SQUARE, frame_of, hostile_case, random_case


def pycocotools_metrics(truth: pd.DataFrame, found: pd.DataFrame, sizes: pd.DataFrame) -> COCOeval:
    size = {row.image_id: (i + 1, row.width, row.height) for i, row in enumerate(sizes.itertuples())}

    def box(row) -> list[float]:
        _, width, height = size[row.image_id]
        return [row.x_min * width, row.y_min * height, (row.x_max - row.x_min) * width, (row.y_max - row.y_min) * height]

    coco = COCO()
    annotations = [
        {
            "id": i,
            "image_id": size[row.image_id][0],
            "category_id": CLASSES.index(row.label),
            "bbox": box(row),
            "iscrowd": int(row.is_crowd),
        }
        for i, row in enumerate(truth.itertuples(), start=1)
    ]
    for annotation in annotations:
        annotation["area"] = annotation["bbox"][2] * annotation["bbox"][3]
    coco.dataset = {
        "images": [{"id": n} for n, _, _ in size.values()],
        "annotations": annotations,
        "categories": [{"id": i} for i in range(3)],
    }
    coco.createIndex()
    detections = [
        {"image_id": size[row.image_id][0], "category_id": CLASSES.index(row.label), "bbox": box(row), "score": row.confidence}
        for row in found.itertuples()
    ]
    evaluator = COCOeval(coco, coco.loadRes(detections), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return evaluator


TWELVE = ("map", "map50", "map75", "map_small", "map_medium", "map_large", "ar1", "ar10", "ar100", "ar_small", "ar_medium", "ar_large")
CASES = [(random_case, seed) for seed in range(6)] + [(hostile_case, seed) for seed in range(12)]


@pytest.mark.parametrize(("case", "seed"), CASES, ids=lambda value: getattr(value, "__name__", value))
def test_metrics_and_matches_equal_pycocotools(case, seed):
    truth, found, sizes = case(seed)
    reference = pycocotools_metrics(truth, found, sizes)
    metrics = coco_metrics(truth, found, sizes, CLASSES)
    twelve = np.nan_to_num([metrics[name] for name in TWELVE], nan=-1.0)
    np.testing.assert_allclose(twelve, reference.stats, atol=1e-6)
    ours = average_precision(matches(truth, found, sizes, CLASSES))
    precision = reference.eval["precision"][:, :, :, 0, -1].mean(axis=1).T  # (classes, thresholds), -1 for classes without boxes
    np.testing.assert_allclose(np.nan_to_num(ours, nan=-1.0), precision, atol=1e-6)
    rows = [metrics["per_class"][label] for label in CLASSES]
    np.testing.assert_allclose(np.nan_to_num([row["ap"] for row in rows], nan=-1.0), precision.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(np.nan_to_num([row["ap75"] for row in rows], nan=-1.0), precision[:, 5], atol=1e-6)
    recall = reference.eval["recall"][:, :, 0, -1].mean(axis=0)
    np.testing.assert_allclose(np.nan_to_num([row["ar100"] for row in rows], nan=-1.0), recall, atol=1e-6)
    assert metrics["boxes"] == int((~truth["is_crowd"]).sum())


def test_the_hostile_cases_are_hostile():
    """So that their equality says something: crowds, ties, exact overlaps and areas, crowded and empty images all occur."""
    truth, found, sizes = (pd.concat(parts) for parts in zip(*(hostile_case(seed) for seed in range(12)), strict=True))
    assert truth["is_crowd"].any() and found.duplicated().any() and truth.duplicated().any()
    sides = truth[["x_max", "y_max"]].to_numpy() - truth[["x_min", "y_min"]].to_numpy()
    assert {32**2, 96**2} <= set((sides.prod(axis=1) * 256**2).tolist())
    _, one, only = hostile_case(0)
    assert one.groupby(["image_id", "label"]).size().max() > 100
    assert not set(hostile_case(0)[0]["image_id"]) >= set(sizes["image_id"]) and not set(one["image_id"]) >= set(only["image_id"])


def test_nothing_found_is_zero_at_every_size_that_has_boxes():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, False)], False)  # 400 square pixels: small
    metrics = coco_metrics(truth, NO_FOUND, SQUARE, ["cat"])
    assert (metrics["map_small"], metrics["ar1"], metrics["ar_small"]) == (0.0, 0.0, 0.0)
    assert np.isnan([metrics["map_medium"], metrics["map_large"], metrics["ar_large"]]).all()


def test_a_box_of_exactly_32_pixels_square_is_small_and_medium_as_in_coco():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.32, 0.32, False)], False)
    found = frame_of([("a", "cat", 0.0, 0.0, 0.32, 0.32, 0.9)], True)
    metrics = coco_metrics(truth, found, SQUARE, ["cat"])
    assert (metrics["map_small"], metrics["map_medium"]) == (pytest.approx(1.0), pytest.approx(1.0))
    assert np.isnan(metrics["map_large"])


@pytest.mark.parametrize("seed", range(3))
def test_an_image_of_weight_two_is_the_same_image_twice(seed):
    truth, found, sizes = random_case(seed)
    found["confidence"] += np.arange(len(found)) * 1e-6  # between tied confidences of two images COCO's order would decide
    weights = np.random.default_rng(seed).integers(0, 4, len(sizes))
    weighted = average_precision(matches(truth, found, sizes, CLASSES), weights)

    def repeated(table: pd.DataFrame) -> pd.DataFrame:
        copies = [
            table[table["image_id"] == image].assign(image_id=f"{image}-{copy}")
            for image, weight in zip(sizes["image_id"], weights, strict=True)
            for copy in range(weight)
        ]
        return pd.concat(copies, ignore_index=True)

    copied = average_precision(matches(repeated(truth), repeated(found), repeated(sizes), CLASSES))
    np.testing.assert_allclose(weighted, copied, atol=1e-9)


def test_one_hit_one_double_and_one_miss_by_hand():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, False), ("a", "cat", 0.5, 0.5, 0.9, 0.9, False)], False)
    found = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, 0.9), ("a", "cat", 0.0, 0.0, 0.2, 0.2, 0.8)], True)
    curve = precision_recall(matches(truth, found, SQUARE, ["cat"]), "cat")
    assert curve.precision.tolist() == [1.0, 0.5]
    assert curve.recall.tolist() == [0.5, 0.5]
    assert best_f1(curve) == (0.9, pytest.approx(2 * 1.0 * 0.5 / 1.5))
    assert coco_metrics(truth, found, SQUARE, ["cat"])["map50"] == pytest.approx(51 / 101)  # precision 1 at recalls 0..0.50


def test_equal_confidences_are_kept_together():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, False)], False)
    found = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, 0.5), ("a", "cat", 0.5, 0.5, 0.9, 0.9, 0.5)], True)
    curve = precision_recall(matches(truth, found, SQUARE, ["cat"]), "cat")
    assert (curve.precision.tolist(), curve.recall.tolist(), curve.confidence.tolist()) == ([0.5], [1.0], [0.5])


def test_difficult_boxes_count_neither_way():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, False), ("a", "cat", 0.5, 0.5, 0.9, 0.9, False)], False)
    truth["is_difficult"] = [False, True]
    found = frame_of([("a", "cat", 0.5, 0.5, 0.9, 0.9, 0.9), ("a", "cat", 0.0, 0.0, 0.2, 0.2, 0.8)], True)
    metrics = coco_metrics(truth, found, SQUARE, ["cat"])
    assert (metrics["map"], metrics["boxes"]) == (pytest.approx(1.0), 1)
    assert precision_recall(matches(truth, found, SQUARE, ["cat"]), "cat").precision.tolist() == [1.0]


def test_nothing_found_is_zero_and_nothing_to_find_is_undefined():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, False)], False)
    assert coco_metrics(truth, NO_FOUND, SQUARE, ["cat"])["map"] == 0.0
    assert (average_precision(matches(truth, NO_FOUND, SQUARE, ["cat"])) == 0).all()
    found = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, 0.9)], True)
    for rows in (NO_FOUND, found):
        assert np.isnan(coco_metrics(NO_TRUTH, rows, SQUARE, ["cat"])["map50"])
        assert np.isnan(average_precision(matches(NO_TRUTH, rows, SQUARE, ["cat"]))).all()
    assert best_f1(precision_recall(matches(truth, NO_FOUND, SQUARE, ["cat"]), "cat")) == (1.0, 0.0)


def test_an_unknown_label_is_named():
    found = frame_of([("a", "fox", 0.0, 0.0, 0.2, 0.2, 0.9)], True)
    with pytest.raises(ValueError, match="fox"):
        coco_metrics(NO_TRUTH, found, SQUARE, ["cat"])


def test_rows_of_other_images_are_left_out():
    truth = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, False), ("other", "cat", 0.0, 0.0, 0.2, 0.2, False)], False)
    found = frame_of([("a", "cat", 0.0, 0.0, 0.2, 0.2, 0.9), ("other", "cat", 0.5, 0.5, 0.7, 0.7, 0.99)], True)
    assert coco_metrics(truth, found, SQUARE, ["cat"])["map"] == pytest.approx(1.0)
    assert np.nanmean(average_precision(matches(truth, found, SQUARE, ["cat"]))) == pytest.approx(1.0)
