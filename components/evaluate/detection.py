"""How well boxes are found: COCO's average precision and recall (https://cocodataset.org/#detection-eval) by faster-coco-eval.

Truth is rows of the `boxes` table; predictions are a frame of image_id, label, x_min, y_min, x_max, y_max (0..1) and
confidence. Boxes marked crowd or difficult are neither to be found nor held against a detector that finds them.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from faster_coco_eval import COCO, COCOeval_faster
from numpy.typing import NDArray

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
SMALL, LARGE = 32**2, 96**2  # square pixels of the image as it is: the areas between which a box is medium
AREAS = ((0, 1e10), (0, SMALL), (SMALL, LARGE), (LARGE, 1e10))  # all, small, medium, large, both ends included
MOST = (1, 10, 100)  # detections an image and class


class _Accumulated(NamedTuple):
    """Precision (10 IoU thresholds, 101 recalls, C, AREAS, MOST) and recall (10, C, AREAS, MOST); -1 where there is no box."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]


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

    Returns COCO's twelve in 0..1 (nan where there is no box to find): map, map50, map75; map_small, map_medium, map_large
    (areas below 32², up to 96² and above, in pixels of the photograph); ar1, ar10, ar100 (with so many detections an
    image and class); ar_small, ar_medium, ar_large. Besides boxes (to be found), predictions (made), and per_class:
    label -> ap, ap50, ap75, ar100, boxes. Rows of images that are not in `images` are left out.
    Raises ValueError for a label that is not in `classes`.
    """
    truth = truth[truth["image_id"].isin(images["image_id"])]
    predictions = predictions[predictions["image_id"].isin(images["image_id"])]
    refuse_unknown(truth, predictions, classes)
    to_find = _to_find(truth, images, classes)
    found = _accumulated(truth, predictions, images, classes, to_find)
    per_class = {label: {**_class_row(found, k), "boxes": int(to_find[k, 0])} for k, label in enumerate(classes)}
    return {**_overall(found), "boxes": int(to_find[:, 0].sum()), "predictions": len(predictions), "per_class": per_class}


def refuse_unknown(truth: pd.DataFrame, predictions: pd.DataFrame, classes: list[str]) -> None:
    """Raise ValueError when a label is not one of `classes`."""
    unknown = (set(truth["label"]) | set(predictions["label"])) - set(classes)
    if unknown:
        raise ValueError(
            f"labels {sorted(unknown)} are not among the classes {classes}: evaluate with the classes the model was trained on"
        )


def _overall(found: _Accumulated) -> dict[str, float]:
    precision, recall = found.precision[..., -1], found.recall
    sizes = ("small", "medium", "large")
    return {
        **{"map": _mean(precision[..., 0]), "map50": _mean(precision[0, ..., 0]), "map75": _mean(precision[5, ..., 0])},
        **{f"map_{size}": _mean(precision[..., area]) for area, size in enumerate(sizes, start=1)},
        **{f"ar{most}": _mean(recall[..., 0, number]) for number, most in enumerate(MOST)},
        **{f"ar_{size}": _mean(recall[..., area, -1]) for area, size in enumerate(sizes, start=1)},
    }


def _class_row(found: _Accumulated, k: int) -> dict[str, float]:
    precision = found.precision[:, :, k, 0, -1]
    return {"ap": _mean(precision), "ap50": _mean(precision[0]), "ap75": _mean(precision[5]), "ar100": _mean(found.recall[:, k, 0, -1])}


def _to_find(truth: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> NDArray[np.int64]:
    """Boxes (C, AREAS) that count."""
    truth = truth[~is_ignored(truth)]
    area = pixel_boxes(truth, images)[:, 2:].prod(axis=1)
    within = np.stack([(area >= low) & (area <= high) for low, high in AREAS], axis=1)
    own = truth["label"].to_numpy()[:, None] == np.array(classes, object)
    return np.asarray(own.T.astype(np.int64) @ within, np.int64)


def _accumulated(
    truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str], to_find: NDArray[np.int64]
) -> _Accumulated:
    if predictions.empty or truth.empty:
        nothing = np.where(to_find > 0, 0.0, -1.0)[..., None]
        shape = (*to_find.shape, len(MOST))
        return _Accumulated(np.broadcast_to(nothing, (10, 101, *shape)), np.broadcast_to(nothing, (10, *shape)))
    coco = COCO(_dataset(truth, images, classes))
    evaluator = COCOeval_faster(coco, coco.loadRes(_detections(predictions, images, classes)), "bbox")
    evaluator.params.areaRng, evaluator.params.maxDets = [list(area) for area in AREAS], list(MOST)
    evaluator.evaluate()
    evaluator.accumulate()
    return _Accumulated(evaluator.eval["precision"], evaluator.eval["recall"])


def _dataset(truth: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> dict[str, Any]:
    numbers, categories = _image_numbers(images), {label: number for number, label in enumerate(classes, start=1)}
    boxes = pixel_boxes(truth, images)
    rows = zip(truth["image_id"], truth["label"], boxes.tolist(), is_ignored(truth).tolist(), strict=True)
    annotations = [
        {"id": i, "image_id": numbers[image], "category_id": categories[label], "bbox": box, "area": box[2] * box[3], "iscrowd": int(skip)}
        for i, (image, label, box, skip) in enumerate(rows, start=1)
    ]
    sizes = images.drop_duplicates("image_id")[["image_id", "width", "height"]].itertuples(index=False)
    return {
        "images": [{"id": numbers[image], "width": int(width), "height": int(height)} for image, width, height in sizes],
        "annotations": annotations,
        "categories": [{"id": number, "name": label} for label, number in categories.items()],
    }


def _detections(predictions: pd.DataFrame, images: pd.DataFrame, classes: list[str]) -> list[dict[str, Any]]:
    numbers, categories = _image_numbers(images), {label: number for number, label in enumerate(classes, start=1)}
    boxes = pixel_boxes(predictions, images).tolist()
    rows = zip(predictions["image_id"], predictions["label"], predictions["confidence"], boxes, strict=True)
    return [
        {"image_id": numbers[image], "category_id": categories[label], "bbox": box, "score": float(score)}
        for image, label, score, box in rows
    ]


def _image_numbers(images: pd.DataFrame) -> dict[str, int]:
    return {image: number for number, image in enumerate(images["image_id"].unique(), start=1)}


def _mean(values: NDArray[np.float64]) -> float:
    found = values[values > -1]
    return float(found.mean()) if found.size else float("nan")
