"""The memory of a split: where each image was placed, for good, and on which terms."""

from typing import Any

import pandas as pd
import pyarrow as pa

from components.data.tables import frame

PLACEMENTS = pa.schema(
    [
        pa.field("image_id", pa.string(), metadata={"is": "SHA-256 of the file's bytes, hexadecimal"}),
        pa.field("split", pa.string(), metadata={"is": "train, val or test"}),
        pa.field("terms", pa.string(), metadata={"is": "JSON: the seed, fractions and grouping it was dealt by"}),
    ]
)


def no_placements() -> pd.DataFrame:
    """A memory in which nothing is placed."""
    return frame([], PLACEMENTS)


def recall(memory: pd.DataFrame, terms: str) -> tuple[dict[str, str], list[str]]:
    """Each remembered image's split if it was dealt on these terms, and the other terms that the memory holds."""
    same = memory[memory["terms"] == terms]
    others = sorted(set(memory["terms"]) - {terms})
    return dict(zip(same["image_id"], same["split"], strict=True)), others


def remember(known: dict[str, str], placed: dict[str, str], terms: str) -> pd.DataFrame:
    """The memory after this split: what was known and what is placed now, in the order of image_id."""
    rows: list[dict[str, Any]] = [{"image_id": image, "split": split, "terms": terms} for image, split in sorted((known | placed).items())]
    return frame(rows, PLACEMENTS)
