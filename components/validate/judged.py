"""The tables that expectations are about: what was found, what is kept, and the classes, with the columns people ask for.

`expectations/README.md` says what every column holds.
"""

from collections.abc import Sequence

import pandas as pd

from components.data.tables import CLASSIFICATION, OK, own_columns, usable

# Table -> the columns that name one of its rows to a person.
KEYS: dict[str, tuple[str, ...]] = {
    "images_found": ("path",),
    "images_kept": ("path",),
    "classes": ("label",),
    "boxes_found": ("path", "box_id"),
    "boxes_kept": ("path", "box_id"),
}


def judged_tables(task: str, images: pd.DataFrame, boxes: pd.DataFrame, classes: Sequence[str]) -> dict[str, pd.DataFrame]:
    """By name, the tables of KEYS that a task has, from those of components.data.tables; classification has no boxes.

    `classes` are those that must occur, one row each in the table of that name.
    """
    kept_images, kept_boxes = usable(images, boxes)
    tables = {
        "images_found": _with_image_columns(images, boxes),
        "images_kept": _with_image_columns(kept_images, kept_boxes),
        "classes": class_table(kept_images, kept_boxes, classes),
    }
    if task == CLASSIFICATION:
        return tables
    return tables | {"boxes_found": _with_box_columns(boxes, images), "boxes_kept": _with_box_columns(kept_boxes, kept_images)}


def class_table(images: pd.DataFrame, boxes: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Kept images and boxes by class, one row for each of `classes`: label, images, boxes, image_share, box_share, balance.

    An image counts for a class by its label, or by the boxes on it. Shares are of all kept images and boxes; `balance`
    is the class's images (boxes, where there are any) over those of the largest class. All three lie in 0..1.
    """
    images, boxes = usable(images, boxes)
    labelled = pd.concat([images[["image_id", "label"]], boxes[["image_id", "label"]]]).dropna(subset=["label"])
    table = pd.DataFrame({"label": list(classes)})
    for name, counted in (("images", labelled.drop_duplicates()["label"]), ("boxes", boxes["label"])):
        counts = counted.value_counts().to_dict()
        table[name] = pd.Series([counts.get(label, 0) for label in classes], dtype="int64")
    table["image_share"] = table["images"] / max(len(images), 1)
    table["box_share"] = table["boxes"] / max(len(boxes), 1)
    deciding = table["boxes" if len(boxes) else "images"]
    table["balance"] = deciding / max(int(deciding.max()) if len(deciding) else 0, 1)
    return table


def _with_image_columns(images: pd.DataFrame, boxes: pd.DataFrame) -> pd.DataFrame:
    ids = boxes.loc[boxes["status"] == OK, "image_id"]
    width, height = _numbers(images["width"]), _numbers(images["height"])
    return _in_words(images.drop(columns=own_columns(images))).assign(
        aspect_ratio=width / height,
        megapixels=width * height / 1e6,
        boxes=images["image_id"].map(ids.value_counts()).fillna(0).astype("int64"),
    )


def _with_box_columns(boxes: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    image = boxes[["image_id"]].merge(images.drop_duplicates("image_id")[["image_id", "path", "width", "height"]], how="left")
    width, height = (_numbers(boxes[f"{axis}_max"]) - _numbers(boxes[f"{axis}_min"]) for axis in "xy")
    # Rounded, so that a box of 20 pixels is not a hair narrower for having been a fraction.
    wide, high = ((_numbers(image[name]).set_axis(boxes.index) * side).round(3) for name, side in (("width", width), ("height", height)))
    return _in_words(boxes).assign(
        path=image["path"].to_numpy(),
        width=width,
        height=height,
        area=width * height,
        width_px=wide,
        height_px=high,
        aspect_ratio=(wide / high).where(high > 0),
    )


def _in_words(table: pd.DataFrame) -> pd.DataFrame:
    """The list of problems as text, null where there is none, since expectations cannot be about lists."""
    return table.assign(problems=pd.Series([", ".join(codes) or None for codes in table["problems"]], index=table.index, dtype=object))


def _numbers(column: pd.Series) -> pd.Series:
    return pd.to_numeric(column).astype("float64")
