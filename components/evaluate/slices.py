"""Slices: sets of test images that have something in common, so that a good mean hides no bad part.

Where images are dark or bright, small or large is decided by the thirds of the **training** images: a slice means the
same while the test set grows, and two models of one split are compared on the same slices.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from components.data.tables import CLASSIFICATION, PREFIX, SEVERAL, column_of, refuse_unknown_columns
from components.evaluate.detection import LARGE, SMALL, is_ignored, pixel_boxes

COLUMNS = ["image_id", "slice"]
THIRDS = {  # column of the images table -> the slices' name, and its lower, middle and upper third
    "brightness": ("brightness", ("dark", "middling", "bright")),
    "contrast": ("contrast", ("low", "middling", "high")),
    "sharpness": ("sharpness", ("blurred", "middling", "sharp")),
}
SIZES = ("small", "medium", "large")
BESIDES = ("class", "image size", "boxes", "source")  # what there are slices by anyhow; a column of that name keeps its prefix
MOST_VALUES = 12  # of a source or a column that is no number: more are no slices but a list


def slices(test: pd.DataFrame, train: pd.DataFrame, boxes: pd.DataFrame, columns: Sequence[str] = ()) -> pd.DataFrame:
    """image_id and slice ("brightness: dark") of the test images, one row a membership, sorted by slice.

    test, train: rows of the images table; boxes: the test images'. By class (the images that hold one), size, brightness,
    contrast, sharpness, box size, source, and further `columns`, by the names that components.data.tables.column_of knows: numbers by
    their thirds, else by value. What all test images share is left out. Raises UsageError for a column that the table has not.
    """
    refuse_unknown_columns(columns, {str(test["task"].iloc[0]) if len(test) else "test": test})
    found = [pd.DataFrame({"image_id": test["image_id"].to_numpy(), "slice": names}) for names in _values(test, train, boxes, columns)]
    of_boxes = boxes[["image_id", "label"]].drop_duplicates()
    found.append(pd.DataFrame({"image_id": of_boxes["image_id"].to_numpy(), "slice": "class: " + of_boxes["label"].astype(str).to_numpy()}))
    rows = pd.concat(found, ignore_index=True).dropna()
    common = {name for name, count in rows["slice"].value_counts().items() if count == len(test)}
    order = {image: number for number, image in enumerate(test["image_id"])}
    kept = rows[~rows["slice"].isin(common)]
    kept = kept.assign(order=kept["image_id"].map(order)).sort_values(["slice", "order"])
    return kept[COLUMNS].astype(str).reset_index(drop=True)


def dimension(name: str) -> str:
    """What a slice divides by: "brightness" of "brightness: dark"."""
    return name.partition(": ")[0]


def too_many(test: pd.DataFrame, columns: Sequence[str]) -> dict[str, int]:
    """Of the columns those whose texts are too many to be slices, with their number."""
    found = {}
    for name in columns:
        values, _ = _column(test, test, name)
        if not is_numeric_dtype(values) and values.nunique() > MOST_VALUES:
            found[name] = int(values.nunique())
    return found


def _column(test: pd.DataFrame, train: pd.DataFrame, name: str) -> tuple["pd.Series[Any]", "pd.Series[Any]"]:
    """The values of test and training images; those of the dataset's own columns as numbers where all are, and too many to be names."""
    column = column_of(test, name)
    assert column is not None
    values, of_train = test[column], train[column]
    if not column.startswith(PREFIX) or values.nunique() <= MOST_VALUES:
        return values, of_train
    numbers, numbers_of_train = (pd.to_numeric(part, errors="coerce") for part in (values, of_train))
    texts = values[numbers.isna()].dropna()
    return (numbers, numbers_of_train) if (texts == SEVERAL).all() else (values, of_train)


def _values(test: pd.DataFrame, train: pd.DataFrame, boxes: pd.DataFrame, columns: Sequence[str]) -> Iterator[list[str | None]]:
    """For each dimension the slice of every test image, None for no slice."""
    if set(test["task"]) == {CLASSIFICATION}:
        yield [f"class: {label}" for label in test["label"]]
    ours, of_train = ((frame["width"] * frame["height"]) ** 0.5 for frame in (test, train))
    yield _thirds("image size", ours, of_train, SIZES)
    for column, (name, words) in THIRDS.items():
        yield _thirds(name, test[column], train[column], words)
    if len(boxes):
        yield _box_sizes(test, boxes)
    yield _sources(test)
    for column in columns:
        values, of_train = _column(test, train, column)
        name = str(column_of(test, column)) if column in BESIDES else column
        if is_numeric_dtype(values) and not is_bool_dtype(values) and values.nunique() > len(SIZES):
            yield _thirds(name, values, of_train, ("low", "middling", "high"))
        else:
            yield _by_value(name, [None if value is None or value != value else str(value) for value in values])


def _thirds(name: str, values: "pd.Series[float]", of_train: "pd.Series[float]", words: Sequence[str]) -> list[str | None]:
    known = of_train.dropna() if of_train.notna().any() else values.dropna()
    if known.empty:
        return [None] * len(values)
    low, high = np.quantile(known.to_numpy(np.float64), (1 / 3, 2 / 3))
    # A value that many share is no third: all of them stand on the same side.
    places = np.where(values <= low, 0, np.where(values > high, 2, 1))
    return [None if value != value else f"{name}: {words[place]}" for value, place in zip(values, places, strict=True)]


def _box_sizes(test: pd.DataFrame, boxes: pd.DataFrame) -> list[str | None]:
    """By the median box of an image that is to be found, in COCO's sizes."""
    counted = boxes[~is_ignored(boxes)]
    area = pd.Series(pixel_boxes(counted, test)[:, 2:].prod(axis=1), index=counted["image_id"].to_numpy()).groupby(level=0).median()
    middle = test["image_id"].map(area)
    words = np.select([middle.isna(), middle <= SMALL, middle <= LARGE], ["none", *SIZES[:2]], SIZES[2])
    return [f"boxes: {word}" for word in words]


def _sources(test: pd.DataFrame) -> list[str | None]:
    """By group where there are few, else by the outermost folder that is neither the class nor common to all."""
    groups = test["group_id"].nunique()
    if 1 < groups <= min(MOST_VALUES, len(test) // 2):
        return _by_value("source", test["group_id"].astype(str).tolist())
    folders = [str(path).split("/")[:-1] for path in test["path"]]
    for level in range(max(map(len, folders), default=0)):
        names = [parts[level] if level < len(parts) else "" for parts in folders]
        if len(set(names)) > 1:
            return [None] * len(test) if names == test["label"].tolist() else _by_value("source", names)
    return [None] * len(test)


def _by_value(name: str, values: Sequence[str | None]) -> list[str | None]:
    few = len({value for value in values if value}) <= MOST_VALUES
    return [f"{name}: {value}" if few and value else None for value in values]
