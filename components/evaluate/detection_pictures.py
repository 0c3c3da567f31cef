"""Pictures of what a detector found: truth beside predictions, the worst images, precision-recall curves.

All are RGB uint8 (H, W, 3) arrays. Truth is drawn white, hits green, misses orange, false alarms red.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from components.evaluate.detection import CORNERS, is_ignored, pixel_boxes
from components.evaluate.detection_matches import PrecisionRecall, best_f1, match_image

Image = NDArray[np.uint8]
TRUTH, HIT, MISS, FALSE_ALARM = (255, 255, 255), (60, 200, 90), (255, 150, 30), (235, 50, 50)
CAPTION_HEIGHT = 22
GAP = 6


@dataclass(frozen=True)
class Errors:
    """How one image went at the operating thresholds: counts of boxes."""

    image_id: str
    hits: int
    misses: int
    false_alarms: int

    @property
    def total(self) -> int:
        """Misses and false alarms together."""
        return self.misses + self.false_alarms


def above(predictions: pd.DataFrame, thresholds: Mapping[str, float]) -> pd.DataFrame:
    """The predictions that reach their class's confidence threshold; classes without one are left out."""
    least = predictions["label"].map(dict(thresholds)).astype(float)
    return predictions[predictions["confidence"] >= least]


def count_errors(truth: pd.DataFrame, predictions: pd.DataFrame, images: pd.DataFrame, thresholds: Mapping[str, float]) -> list[Errors]:
    """Hits, misses and false alarms (IoU 0.5, label must agree) of each image, most errors first, then by image_id."""
    kept = above(predictions, thresholds)
    rows = []
    for image in images.drop_duplicates("image_id").itertuples(index=False):
        of_image = images[images["image_id"] == image.image_id]
        boxes, found = truth[truth["image_id"] == image.image_id], kept[kept["image_id"] == image.image_id]
        true, ignored, missed = _outcome(boxes, found, of_image)
        rows.append(Errors(str(image.image_id), int(true.sum()), int(missed.sum()), int((~true & ~ignored).sum())))
    return sorted(rows, key=lambda row: (-row.total, row.image_id))


def comparison_grid(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    images: pd.DataFrame,
    thresholds: Mapping[str, float],
    load: Callable[[str], Image],
    columns: int = 3,
    cell: int = 360,
) -> Image:
    """One cell an image, in the order of `images`: truth and predictions drawn on it, its counts below.

    `load(image_id)` gives RGB uint8 (H, W, 3) of any size; `cell` is the longer side in pixels an image is drawn at.
    """
    kept = above(predictions, thresholds)
    cells = []
    for index in range(len(images)):
        of_image = images.iloc[index : index + 1]
        image_id = of_image["image_id"].iloc[0]
        boxes, found = truth[truth["image_id"] == image_id], kept[kept["image_id"] == image_id]
        cells.append(_cell(load(image_id), boxes, found, of_image, cell))
    return _grid(cells, columns)


def worst_images(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    images: pd.DataFrame,
    thresholds: Mapping[str, float],
    load: Callable[[str], Image],
    count: int = 6,
) -> Image:
    """`comparison_grid` of the images with most misses and false alarms, worst first."""
    worst = [row.image_id for row in count_errors(truth, predictions, images, thresholds)[:count]]
    picked = images.drop_duplicates("image_id").set_index("image_id").loc[worst].reset_index()
    return comparison_grid(truth, predictions, picked, thresholds, load)


def precision_recall_picture(curves: Mapping[str, PrecisionRecall]) -> Image:
    """Precision over recall at IoU 0.5, a line a class with its best F1 marked; at most 10 classes are named."""
    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="constrained")
    axes = figure.add_subplot(xlim=(0, 1.01), ylim=(0, 1.01), xlabel="recall", ylabel="precision", title="Precision and recall at IoU 0.5")
    for number, (label, curve) in enumerate(curves.items()):
        threshold, f1 = best_f1(curve)
        (line,) = axes.plot(curve.recall, curve.precision, label=f"{label}: best F1 {f1:.2f} at {threshold:.2f}" if number < 10 else None)
        best = curve.confidence == threshold
        axes.plot(curve.recall[best], curve.precision[best], "o", color=line.get_color())
    if curves:
        axes.legend(loc="lower left", fontsize=8)
    axes.grid(alpha=0.3)
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _outcome(
    boxes: pd.DataFrame, found: pd.DataFrame, image: pd.DataFrame
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """At IoU 0.5: which of `found` are true, which count neither way, and which of `boxes` were missed."""
    true, ignored, missed = np.zeros(len(found), bool), np.zeros(len(found), bool), ~is_ignored(boxes)
    for label in set(boxes["label"]) | set(found["label"]):
        own_boxes = np.flatnonzero((boxes["label"] == label).to_numpy())
        own_found = np.flatnonzero((found["label"] == label).to_numpy())
        own_found = own_found[np.argsort(-found["confidence"].to_numpy(float)[own_found], kind="stable")]
        result = match_image(pixel_boxes(boxes, image)[own_boxes], is_ignored(boxes)[own_boxes], pixel_boxes(found, image)[own_found])
        true[own_found], ignored[own_found] = result.true[:, 0], result.ignored[:, 0]
        missed[own_boxes[result.taken[0]]] = False
    return true, ignored, missed


def _cell(pixels: Image, boxes: pd.DataFrame, found: pd.DataFrame, image: pd.DataFrame, cell: int) -> Image:
    true, ignored, missed = _outcome(boxes, found, image)
    scale = cell / max(pixels.shape[:2])
    drawn = cv2.resize(
        pixels, (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))), interpolation=cv2.INTER_AREA
    )
    for corners, miss in zip(boxes[CORNERS].to_numpy(float), missed, strict=True):
        _rectangle(drawn, corners, MISS if miss else TRUTH)
    for corners, hit in zip(found[CORNERS].to_numpy(float)[~ignored], true[~ignored], strict=True):
        _rectangle(drawn, corners, HIT if hit else FALSE_ALARM)
    square = np.full((cell + CAPTION_HEIGHT, cell, 3), 32, np.uint8)
    top, left = (cell - drawn.shape[0]) // 2, (cell - drawn.shape[1]) // 2
    square[top : top + drawn.shape[0], left : left + drawn.shape[1]] = drawn
    counts = (
        (f"{int(true.sum())} found", HIT),
        (f"{int(missed.sum())} missed", MISS),
        (f"{int((~true & ~ignored).sum())} false", FALSE_ALARM),
    )
    for number, (text, color) in enumerate(counts):
        place = (6 + number * cell // 3, cell + CAPTION_HEIGHT - 7)
        cv2.putText(square, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, color, 1, cv2.LINE_AA)
    return square


def _rectangle(image: NDArray[Any], corners: NDArray[np.float64], color: tuple[int, int, int]) -> None:
    height, width = image.shape[:2]
    x_min, y_min, x_max, y_max = np.round(corners * (width - 1, height - 1, width - 1, height - 1)).astype(int).tolist()
    cv2.rectangle(image, (x_min, y_min), (x_max, y_max), color, 1)


def _grid(cells: list[Image], columns: int) -> Image:
    """Cells of equal size side by side; one gray cell when there are none."""
    cells = cells or [np.full((60, 240, 3), 32, np.uint8)]
    height, width = cells[0].shape[:2]
    columns = min(columns, len(cells))
    rows = math.ceil(len(cells) / columns)
    grid = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 3), 255, np.uint8)
    for index, picture in enumerate(cells):
        top, left = index // columns * (height + GAP), index % columns * (width + GAP)
        grid[top : top + height, left : left + width] = picture
    return grid
