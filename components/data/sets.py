"""What is wrong with a dataset as a whole, though every file of it is sound: copies, near-copies, classes."""

from collections import Counter
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

import pandas as pd

from components.data.duplicates import ORIENTATIONS, Pairs
from components.data.findings import Finding, finding
from components.data.tables import CLASSIFICATION, OK, SPLITS, usable

DUPLICATE = "duplicate"
IMBALANCE = 20  # to 1
Row = dict[str, Any]


def same_bytes(rows: list[Row]) -> Iterator[tuple[Row, Finding]]:
    """Byte-identical images that have to be left out: all but the first, and all of them where their labels disagree.

    Copies in different given splits stay: they are leakage, which the split refuses or repairs.
    """
    for same in _identical(rows):
        labels = sorted({str(row["label"]) for row in same})
        if len(labels) > 1:
            paths = ", ".join(str(row["path"]) for row in same[:5])
            for row in same:
                yield (
                    row,
                    finding("conflicting-labels", str(row["path"]), f"the same image stands in the classes {', '.join(labels)}: {paths}"),
                )
            continue
        first: dict[object, Row] = {}
        for row in same:
            kept = first.setdefault(row["given_split"], row)
            if kept is not row:
                yield row, finding(DUPLICATE, str(row["path"]), f"has the same bytes as {kept['path']}")


def in_two_splits(rows: list[Row]) -> list[Finding]:
    """The images that stand in more than one of the dataset's own splits."""
    return [
        finding("in-two-splits", row["path"], f"has the same bytes as {same[0]['path']}")
        for same in _identical(rows)
        for row in same[1:]
        if row["given_split"] != same[0]["given_split"]
    ]


def near_copies(rows: list[Row], pairs: Pairs) -> list[Finding]:
    """For each image the most similar one before it in the order of paths, in its class and split, and in another."""
    best: dict[tuple[str, str], tuple[float, str, str]] = {}
    columns = (pairs.first, pairs.second, pairs.orientation, pairs.agreement)
    for first, second, turn, agreement in zip(*(column.tolist() for column in columns), strict=True):
        earlier, later = sorted((rows[first], rows[second]), key=lambda row: str(row["path"]))
        likeness = (-agreement, str(earlier["path"]), ORIENTATIONS[turn])
        for code in _kinds(earlier, later):
            key = (str(later["path"]), code)
            best[key] = min(best.get(key, likeness), likeness)
    return [
        finding(code, path, f"shows the same picture as {original}{how and f', {how}'}")
        for (path, code), (_, original, how) in sorted(best.items())
    ]


def _kinds(one: Row, other: Row) -> list[str]:
    found = ["near-copy-other-class"] if one["label"] != other["label"] else []
    found += ["near-copy-in-two-splits"] if one["given_split"] != other["given_split"] else []
    return found or ["near-copy"]


def classes(task: str, images: pd.DataFrame, boxes: pd.DataFrame) -> list[Finding]:
    """What of the kept images' classes makes learning or testing hard."""
    kept, kept_boxes = usable(images, boxes)
    labels = (
        kept if task == CLASSIFICATION else kept_boxes.merge(kept[["image_id", "given_split"]].drop_duplicates("image_id"), on="image_id")
    )
    counts = Counter(sorted(labels["label"]))
    what = "images" if task == CLASSIFICATION else "boxes"
    found = [
        finding("class-of-one", task, f"class {name} is in one image")
        for name, number in labels.groupby("label")["image_id"].nunique().items()
        if number == 1
    ]
    if task == CLASSIFICATION and len(counts) == 1:
        found.append(finding("one-class", task, f"every image has the class {next(iter(counts))}"))
    if counts and max(counts.values()) > IMBALANCE * min(counts.values()):
        (most, many), (least, few) = max(counts.items(), key=itemgetter(1)), min(counts.items(), key=itemgetter(1))
        text = f"class {most} has {many} {what}, class {least} {few}: {many / few:.0f} to 1"
        found.append(finding("imbalance", task, text, limit=IMBALANCE))
    return [*found, *_drift(task, labels)]


def _drift(task: str, labels: pd.DataFrame) -> Iterator[Finding]:
    """Classes that some of the dataset's own splits lack."""
    splits = [name for name in SPLITS if name in set(labels["given_split"])]
    for label, own in labels.groupby("label")["given_split"]:
        held = set(own.dropna())
        if held and (missing := [name for name in splits if name not in held]):
            having = ", ".join(name for name in splits if name in held)
            yield finding("class-not-in-split", task, f"class {label} is in {having}, not in {' or '.join(missing)}")


def _identical(rows: list[Row]) -> list[list[Row]]:
    groups: dict[object, list[Row]] = {}
    for row in rows:
        if row["status"] == OK:
            groups.setdefault(row["image_id"], []).append(row)
    return [same for same in groups.values() if len(same) > 1]
