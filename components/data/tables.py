"""The two tables every step speaks of images through: `images` and `boxes`, stored as Parquet.

`images` has one row an image file; `boxes` has one row a labelled box, its corners as fractions 0..1 of the
upright image. A classification dataset has an empty `boxes` table. After the columns of its schema `images` has the
dataset's own: what a CSV file's header names and nothing here means, as texts to slice by, under a prefix, so that none of
them is taken for a column of the schema.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import DataError, UsageError

CLASSIFICATION = "classification"
DETECTION = "detection"
TASKS = (CLASSIFICATION, DETECTION)
SPLITS = ("train", "val", "test")
OK = "ok"
QUARANTINED = "quarantined"
PREFIX = "csv."  # of the dataset's own columns
SEVERAL = "several values"  # in such a column, of an image whose rows disagree: each of its boxes has a row
HIDDEN = ("image_id", "path", "phash", "problems", "status", "split", "task")  # what names, judges or counts an image makes no slices

IMAGES = pa.schema(
    [
        pa.field("image_id", pa.string(), metadata={"is": "SHA-256 of the file's bytes, hexadecimal"}),
        pa.field("path", pa.string(), metadata={"is": "POSIX path relative to data/"}),
        pa.field("task", pa.string()),
        pa.field("label", pa.string(), metadata={"is": "class name; null for detection"}),
        pa.field("given_split", pa.string(), metadata={"is": "train, val or test by the dataset itself, or null"}),
        pa.field("group_id", pa.string(), metadata={"is": "images that must share a split share this"}),
        pa.field("width", pa.int32(), metadata={"is": "pixels, upright"}),
        pa.field("height", pa.int32(), metadata={"is": "pixels, upright"}),
        pa.field("channels", pa.int32()),
        pa.field("format", pa.string()),
        pa.field("bytes", pa.int64()),
        pa.field("orientation", pa.int32(), metadata={"is": "EXIF orientation, 1..8"}),
        pa.field("phash", pa.string(), metadata={"is": "64-bit perceptual hash of the upright luma, hexadecimal"}),
        pa.field("brightness", pa.float64(), metadata={"is": "mean luma (of a JPEG its own), 0..1"}),
        pa.field("contrast", pa.float64(), metadata={"is": "standard deviation of luma, 0..0.5"}),
        pa.field("sharpness", pa.float64(), metadata={"is": "variance of the Laplacian of luma in 0..255"}),
        pa.field("status", pa.string(), metadata={"is": "ok or quarantined"}),
        pa.field("problems", pa.list_(pa.string()), metadata={"is": "codes of what was found"}),
        pa.field("split", pa.string(), metadata={"is": "train, val or test; null before the split and for what it leaves out"}),
    ]
)

BOXES = pa.schema(
    [
        pa.field("image_id", pa.string()),
        pa.field("box_id", pa.string(), metadata={"is": "unique in the table"}),
        pa.field("label", pa.string()),
        pa.field("x_min", pa.float64()),
        pa.field("y_min", pa.float64()),
        pa.field("x_max", pa.float64()),
        pa.field("y_max", pa.float64()),
        pa.field("is_crowd", pa.bool_()),
        pa.field("is_difficult", pa.bool_()),
        pa.field("status", pa.string()),
        pa.field("problems", pa.list_(pa.string())),
    ]
)


def frame(rows: list[dict[str, object]], schema: pa.Schema) -> pd.DataFrame:
    """Rows as a data frame with the schema's columns, then the dataset's own; columns a row lacks are null."""
    if not rows:  # without rows pandas would guess float columns, which Parquet refuses
        return schema.empty_table().to_pandas()
    names = [*schema.names, *own_columns(rows[0])]
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names}, columns=names)


def write(table: pd.DataFrame, path: Path, schema: pa.Schema) -> None:
    """Write the schema's columns and the dataset's own, which are texts, as Parquet; the same rows give the same bytes."""
    for name in own_columns(table):
        schema = schema.append(pa.field(name, pa.string()))
    arrow = pa.Table.from_pandas(table[schema.names], schema=schema, preserve_index=False)
    pq.write_table(arrow.replace_schema_metadata(None), path, compression="zstd")


def read(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """Read a table written by `write`.

    Raises DataError when the file is missing or does not hold the schema's columns, and those of the dataset after them alone.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: run the stage that writes it (`dvc repro`)")
    arrow = pq.read_table(path)
    if arrow.schema.names != [*schema.names, *own_columns(arrow.schema.names)]:
        raise DataError(f"{path} holds the columns {arrow.schema.names}, expected {schema.names}: delete it and run `dvc repro`")
    return arrow.to_pandas()


def usable(images: pd.DataFrame, boxes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that are not quarantined; boxes of quarantined images are left out too."""
    images = images[images["status"] == OK]
    boxes = boxes[(boxes["status"] == OK) & boxes["image_id"].isin(images["image_id"])]
    return images.reset_index(drop=True), boxes.reset_index(drop=True)


def own_columns(names: Iterable[object]) -> list[str]:
    """Those of the images table's columns that the dataset brought, with their prefix."""
    return [name for name in map(str, names) if name.startswith(PREFIX)]


def column_of(images: pd.DataFrame, name: str) -> str | None:
    """The column of the images table that a name means, None for none: the schema's, else the dataset's own of that name."""
    if name in images and name not in HIDDEN:
        return name
    return PREFIX + name if PREFIX + name in images else None


def column_names(images: pd.DataFrame) -> list[str]:
    """The names that `column_of` knows, each column once; one of the dataset's that the schema has too keeps its prefix."""
    names = [str(name) for name in images if name not in HIDDEN]
    short = {name: name.removeprefix(PREFIX) for name in names}
    return [short[name] if column_of(images, short[name]) == name else name for name in names]


def refuse_unknown_columns(names: Sequence[str], tables: Mapping[str, pd.DataFrame]) -> None:
    """Raise UsageError for a name of evaluate.slices that none of the images tables, by task, has a column for."""
    for name in names:
        if any(column_of(images, name) for images in tables.values()):
            continue
        known = {task: column_names(images) for task, images in tables.items()}
        near = get_close_matches(name, sorted({one for every in known.values() for one in every}), n=1)
        hint = f"did you mean {near[0]}?" if near else "correct it in params.yaml"
        listed = "; ".join(f"{task} has {', '.join(every)}" for task, every in known.items())
        raise UsageError(f"evaluate.slices names {name!r}, expected columns of the images table: {listed}; {hint}")
