"""How well boxes are found: COCO's average precision (https://cocodataset.org/#detection-eval) by faster-coco-eval.

Truth is rows of the `boxes` table; predictions are a frame of image_id, label, x_min, y_min, x_max, y_max (0..1) and
confidence. Boxes marked crowd or difficult are neither to be found nor held against a detector that finds them.
"""

from typing import Any

import numpy as np
import pandas as pd
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

CORNERS = ["x_min", "y_min", "x_max", "y_max"]


def pixel_boxes(rows: pd.DataFrame, images: pd.DataFrame) -> NDArray[np.float64]:
    """x, y, width, height in pixels (N, 4) of the rows' fractions, as COCO writes boxes."""
    sizes = images.drop_duplicates("image_id").set_index("image_id").loc[rows["image_id"], ["width", "height"]].to_numpy(np.float64)
    corners: NDArray[np.float64] = rows[CORNERS].to_numpy(np.float64) * np.tile(sizes, 2)
    corners[:, 2:] -= corners[:, :2]
    return corners


def is_ignored(truth: pd.DataFrame) -> NDArray[np.bool_]:
    """Which boxes count neither for nor against: crowd or difficult; missing flags count as no."""
    flags = [truth[name].fillna(False).to_numpy(bool) for name in ("is_crowd", "is_difficult") if name in truth]
    return np.logical_or.reduce(flags) if flags else np.zeros(len(truth), bool)


def coco_metrics(truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    """The metrics of the predictions on `images` (image_id, width, height in pixels).

    Returns map, map50, map75 and ar100 in 0..1 (nan where there is no box to find), boxes (to be found), predictions
    (made), and per_class: label -> ap, ap50, ar100, boxes. Rows of images that are not in `images` are left out.
    Raises ValueError for a label that is not in `classes`.
    """
    truth = truth[truth["image_id"].isin(images["image_id"])]
    predictions = predictions[predictions["image_id"].isin(images["image_id"])]
    refuse_unknown(truth, predictions, classes)
    counts = truth[~is_ignored(truth)]["label"].value_counts()
    to_find = np.array([int(counts.get(label, 0)) for label in classes])
    precision, recall = _accumulated(truth, predictions, images, classes, to_find)
    per_class = {
        label: {"ap": _mean(precision[:, :, k]), "ap50": _mean(precision[0, :, k]), "ar100": _mean(recall[:, k]), "boxes": int(to_find[k])}
        for k, label in enumerate(classes)
    }
    overall = {"map": _mean(precision), "map50": _mean(precision[0]), "map75": _mean(precision[5]), "ar100": _mean(recall)}
    return {**overall, "boxes": int(to_find.sum()), "predictions": len(predictions), "per_class": per_class}


def refuse_unknown(truth: pd.DataFrame, predictions: pd.DataFrame, classes: list[str]) -> None:
    """Raise ValueError when a label is not one of `classes`."""
    unknown = (set(truth["label"]) | set(predictions["label"])) - set(classes)
    if unknown:
        raise ValueError(
            f"labels {sorted(unknown)} are not among the classes {classes}: evaluate with the classes the model was trained on"
        )


def _accumulated(
    truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str], to_find: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Precision (10 IoU thresholds, 101 recalls, K) and recall (10, K) at 100 detections; -1 for classes without boxes."""
    if predictions.empty or truth.empty:
        nothing = np.where(to_find > 0, 0.0, -1.0)
        return np.broadcast_to(nothing, (10, 101, len(classes))), np.broadcast_to(nothing, (10, len(classes)))
    coco = COCO(_dataset(truth, images, classes))
    evaluator = COCOeval_faster(coco, coco.loadRes(_detections(predictions, images, classes)), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval["precision"][:, :, :, 0, -1], evaluator.eval["recall"][:, :, 0, -1]


def _dataset(truth: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    numbers = _image_numbers(images)
    boxes = pixel_boxes(truth, images)
    rows = zip(truth["image_id"], truth["label"], boxes.tolist(), is_ignored(truth).tolist(), strict=True)
    annotations = [
        {
            "id": i,
            "image_id": numbers[image],
            "category_id": classes.index(label) + 1,
            "bbox": box,
            "area": box[2] * box[3],
            "iscrowd": int(skip),
        }
        for i, (image, label, box, skip) in enumerate(rows, start=1)
    ]
    sizes = images.drop_duplicates("image_id")[["image_id", "width", "height"]].itertuples(index=False)
    return {
        "images": [{"id": numbers[image], "width": int(width), "height": int(height)} for image, width, height in sizes],
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for number, label in enumerate(classes, start=1)],
    }


def _detections(predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> list[dict[str, Any]]:
    numbers = _image_numbers(images)
    boxes = pixel_boxes(predictions, images).tolist()
    rows = zip(predictions["image_id"], predictions["label"], predictions["confidence"], boxes, strict=True)
    return [
        {"image_id": numbers[image], "category_id": classes.index(label) + 1, "bbox": box, "score": float(score)}
        for image, label, score, box in rows
    ]


def _image_numbers(images: pd.DataFrame) -> dict[str, int]:
    return {image: number for number, image in enumerate(images["image_id"].unique(), start=1)}


def _mean(values: NDArray[np.float64]) -> float:
    found = values[values > -1]
    return float(found.mean()) if found.size else float("nan")
