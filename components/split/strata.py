"""What a split should hold its share of: classes, and for detection box sizes and images without boxes."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.tables import DETECTION

EMPTY = "(no boxes)"
IMAGES = "(images)"
SIZES = ("small", "medium", "large")
SIZE_LIMITS = (32**2, 96**2)  # pixels of area, COCO's: small below the first, large from the second
_TIE = 0.1  # weight of the number of images beside that of a class
_SIZE = 0.3  # weight of a class's boxes of one size beside that of the class


@dataclass(frozen=True)
class Stratum:
    """A class, a class's boxes of one size, EMPTY or IMAGES; `weight` says how much it matters."""

    name: str
    weight: float
    is_class: bool


@dataclass(frozen=True)
class Strata:
    """How much of each stratum each group holds: `counts` (G, C) of images or boxes, for G `groups` and C `columns`."""

    groups: list[str]
    columns: list[Stratum]
    counts: NDArray[np.int64]

    @cached_property
    def shares(self) -> NDArray[np.float64]:
        """Each group's part of every stratum, (G, C), 0..1."""
        return self.counts / self.counts.sum(axis=0).clip(min=1)

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """The strata's weights, (C,)."""
        return np.array([column.weight for column in self.columns])

    def alone(self) -> NDArray[np.bool_]:
        """Which groups alone show some class, (G,)."""
        only = ((self.counts > 0).sum(axis=0) == 1) & np.array([column.is_class for column in self.columns])
        return np.asarray((self.counts[:, only] > 0).any(axis=1))


def strata(images: pd.DataFrame, boxes: pd.DataFrame, by: str) -> Strata:
    """Count usable `images` and their `boxes` for each value of the column `by` of `images`.

    Classification counts images of each class. Detection counts boxes of each class, and of each class and size, and
    images without boxes. Emptiness weighs as much as there is of it. The images as such break ties in classification, lest
    many small classes all round the same way; in detection boxes decide, for photographs differ in what they show.
    """
    names, place = np.unique(images[by].astype(str), return_inverse=True)
    detection = bool((images["task"] == DETECTION).any())
    found = _box_columns(images, boxes, place, len(names)) if detection else _image_columns(images, place, len(names))
    found.append((Stratum(IMAGES, 0.0 if detection else _TIE, False), np.bincount(place, minlength=len(names))))
    return Strata(names.tolist(), [column for column, _ in found], np.column_stack([counts for _, counts in found]))


Columns = list[tuple[Stratum, NDArray]]


def _image_columns(images: pd.DataFrame, place: NDArray, groups: int) -> Columns:
    empty = np.bincount(place[images["label"].isna()], minlength=groups)
    return [*_counted(images["label"], place, groups, 1.0, True), _empty(empty, len(images))]


def _box_columns(images: pd.DataFrame, boxes: pd.DataFrame, place: NDArray, groups: int) -> Columns:
    where = boxes["image_id"].map(dict(zip(images["image_id"], place, strict=True))).to_numpy(int)
    sizes = boxes["label"].astype(str) + ", " + box_sizes(images, boxes)
    empty = np.bincount(place[~images["image_id"].isin(boxes["image_id"])], minlength=groups)
    return [*_counted(boxes["label"], where, groups, 1.0, True), *_counted(sizes, where, groups, _SIZE, False), _empty(empty, len(images))]


def _empty(counts: NDArray, images: int) -> tuple[Stratum, NDArray]:
    return Stratum(EMPTY, float(counts.sum() / images), False), counts


def _counted(labels: pd.Series, place: NDArray, groups: int, weight: float, is_class: bool) -> Columns:
    known = labels.notna().to_numpy()
    names, code = np.unique(labels[known].astype(str), return_inverse=True)
    table = np.zeros((groups, len(names)), int)
    np.add.at(table, (place[known], code), 1)
    return [(Stratum(str(name), weight, is_class), table[:, column]) for column, name in enumerate(names)]


def box_sizes(images: pd.DataFrame, boxes: pd.DataFrame) -> pd.Series:
    """Each box's size by its area in pixels of the upright image, one of SIZES."""
    area = pd.Series(1.0, boxes.index)
    for side, low, high in (("width", "x_min", "x_max"), ("height", "y_min", "y_max")):
        pixels = boxes["image_id"].map(dict(zip(images["image_id"], images[side], strict=True)))
        area *= pixels.astype(float) * (boxes[high].astype(float) - boxes[low].astype(float))
    return pd.Series(np.array(SIZES)[np.searchsorted(SIZE_LIMITS, area.fillna(0.0), side="right")], boxes.index)
