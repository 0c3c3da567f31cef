"""Detection metrics against pycocotools, hand-worked cases and invariants."""

import numpy as np
import pandas as pd
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from components.evaluate.detection import coco_metrics
from components.evaluate.detection_matches import average_precision, best_f1, matches, precision_recall

CLASSES = ["cat", "dog", "emu"]


def frame_of(rows: list[tuple], confidence: bool) -> pd.DataFrame:
    names = ["image_id", "label", "x_min", "y_min", "x_max", "y_max", "confidence" if confidence else "is_crowd"]
    return pd.DataFrame(rows, columns=names)


def random_case(seed: int, images: int = 12) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Boxes of two of three classes, some crowds, detections near and far from them, confidences with ties."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 9)):
            corner, side = rng.uniform(0, 0.7, 2), rng.uniform(0.05, 0.3, 2)
            label = CLASSES[rng.integers(0, 2)]
            truth.append((f"i{image}", label, *corner, *(corner + side), bool(rng.random() < 0.15)))
            for _ in range(rng.integers(0, 4)):
                near = corner + rng.normal(0, 0.03, 2)
                found.append((f"i{image}", label, *near, *(near + side * rng.uniform(0.8, 1.2, 2)), round(rng.random(), 2)))
        for _ in range(rng.integers(0, 6)):
            corner, side = rng.uniform(0, 0.7, 2), rng.uniform(0.05, 0.3, 2)
            found.append((f"i{image}", CLASSES[rng.integers(0, 3)], *corner, *(corner + side), round(rng.random(), 2)))
    sizes = pd.DataFrame(
        {"image_id": [f"i{i}" for i in range(images)], "width": rng.integers(50, 900, images), "height": rng.integers(50, 900, images)}
    )
    return frame_of(truth, False), frame_of(found, True), sizes


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


@pytest.mark.parametrize("seed", range(6))
def test_metrics_and_matches_equal_pycocotools(seed):
    truth, found, sizes = random_case(seed)
    reference = pycocotools_metrics(truth, found, sizes)
    metrics = coco_metrics(truth, found, sizes, CLASSES)
    assert [metrics[name] for name in ("map", "map50", "map75", "ar100")] == pytest.approx(reference.stats[[0, 1, 2, 8]], abs=1e-6)
    ours = average_precision(matches(truth, found, sizes, CLASSES))
    precision = reference.eval["precision"][:, :, :, 0, -1].mean(axis=1).T  # (classes, thresholds), -1 for the class without boxes
    np.testing.assert_allclose(np.nan_to_num(ours, nan=-1.0), precision, atol=1e-6)
    per_class = [metrics["per_class"][label]["ap"] for label in CLASSES[:2]]
    assert per_class == pytest.approx(precision[:2].mean(axis=1), abs=1e-6)
    assert np.isnan(metrics["per_class"]["emu"]["ap"])
    assert metrics["boxes"] == int((~truth["is_crowd"]).sum())


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


SQUARE = pd.DataFrame({"image_id": ["a"], "width": [100], "height": [100]})
NO_TRUTH, NO_FOUND = frame_of([], False), frame_of([], True)


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
