"""The two tables every step speaks of images through: `images` and `boxes`, stored as Parquet.

`images` has one row an image file; `boxes` has one row a labelled box, its corners as fractions 0..1 of the
upright image. A classification dataset has an empty `boxes` table.
"""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from components.errors import DataError

CLASSIFICATION = "classification"
DETECTION = "detection"
TASKS = (CLASSIFICATION, DETECTION)
SPLITS = ("train", "val", "test")
OK = "ok"
QUARANTINED = "quarantined"

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
    """Rows as a data frame with exactly the schema's columns; columns a row lacks are null."""
    if not rows:  # without rows pandas would guess float columns, which Parquet refuses
        return schema.empty_table().to_pandas()
    columns = {name: [row.get(name) for row in rows] for name in schema.names}
    return pd.DataFrame(columns, columns=schema.names)


def write(table: pd.DataFrame, path: Path, schema: pa.Schema) -> None:
    """Write the table as Parquet; the same rows give the same bytes."""
    arrow = pa.Table.from_pandas(table[schema.names], schema=schema, preserve_index=False)
    pq.write_table(arrow.replace_schema_metadata(None), path, compression="zstd")


def read(path: Path, schema: pa.Schema) -> pd.DataFrame:
    """Read a table written by `write`.

    Raises DataError when the file is missing or does not hold the schema's columns.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist: run the stage that writes it (`dvc repro`)")
    arrow = pq.read_table(path)
    if arrow.schema.names != schema.names:
        raise DataError(f"{path} holds the columns {arrow.schema.names}, expected {schema.names}: delete it and run `dvc repro`")
    return arrow.to_pandas()


def usable(images: pd.DataFrame, boxes: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows that are not quarantined; boxes of quarantined images are left out too."""
    images = images[images["status"] == OK]
    boxes = boxes[(boxes["status"] == OK) & boxes["image_id"].isin(images["image_id"])]
    return images.reset_index(drop=True), boxes.reset_index(drop=True)
