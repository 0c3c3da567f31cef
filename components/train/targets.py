"""What a training should answer, from the two tables."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.train.examples import pad_boxes


def class_targets(labels: Sequence[str], classes: Sequence[str]) -> NDArray[np.int32]:
    """Class indices (N,) of class names."""
    numbers = {name: number for number, name in enumerate(classes)}
    return np.array([numbers[label] for label in labels], np.int32)


def box_targets(images: pd.DataFrame, boxes: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float32]:
    """Boxes of each image (N, M, 5) float32: rows [class, x_min, y_min, x_max, y_max], 0..1 of the letterboxed square.

    Crowds, which mark a region and no object, are left out; padding rows have class -1.
    """
    numbers = {name: number for number, name in enumerate(classes)}
    objects = boxes[~boxes["is_crowd"].astype(bool)]
    by_image = {str(image_id): rows for image_id, rows in objects.groupby("image_id")}
    found = [_one(row, by_image.get(str(row.image_id)), numbers) for row in images.itertuples()]
    return pad_boxes(found, max((len(rows) for rows in found), default=0))


def _one(image: object, boxes: pd.DataFrame | None, numbers: dict[str, int]) -> NDArray[np.float32]:
    if boxes is None:
        return np.zeros((0, 5), np.float32)
    corners = boxes[["x_min", "y_min", "x_max", "y_max"]].to_numpy(np.float32)
    labels = boxes["label"].map(numbers).to_numpy(np.float32)[:, None]
    return np.concatenate([labels, to_square(corners, image.width, image.height)], axis=1)  # type: ignore[attr-defined]


def to_square(corners: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Corners (N, 4) as fractions of a width x height image -> fractions of the square it is letterboxed into."""
    longest = max(width, height)
    scale = np.array([width, height, width, height], np.float32) / longest
    offset = np.array([longest - width, longest - height] * 2, np.float32) / (2 * longest)
    return (corners * scale + offset).astype(np.float32)
