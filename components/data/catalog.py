"""From what labels say and what pixels measure to the two tables: who is kept, who is quarantined and why."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from components.data import groups, sets
from components.data.codes.code import NOTE
from components.data.facts import Facts
from components.data.findings import Finding, finding
from components.data.formats.listing import CORNERS, Listing
from components.data.tables import BOXES, IMAGES, OK, QUARANTINED, frame, own_columns


@dataclass(frozen=True)
class Rules:
    """What quarantines an image or a box: sides in pixels; `labels` None allows every class.

    `group_pattern` is a regular expression whose first group, searched in the file's name without suffix, then in its
    path, names the images that belong together, where the dataset itself does not. `near_duplicates` also groups what
    looks alike, as `components.data.groups` says. An image outside the sides is kept, and its finding a note, where
    `keep_beyond` says so.
    """

    min_side: int
    max_side: int
    labels: Sequence[str] | None = None
    group_pattern: str | None = None
    near_duplicates: bool = True
    keep_beyond: bool = False


@dataclass(frozen=True)
class Catalog:
    """The two tables (schemas of components.data.tables), the classes that occur, every finding, and why images are grouped.

    `grouped` counts, for each reason, the groups of two or more images that it helped to make.
    """

    images: pd.DataFrame
    boxes: pd.DataFrame
    classes: list[str]
    findings: list[Finding]
    grouped: dict[str, int] = field(default_factory=dict)


def build(task: str, listing: Listing, facts: Sequence[Facts], rules: Rules) -> Catalog:
    """Join a dataset's listing with `facts` (one an image, in the order of `listing.images`).

    Paths become relative to data/, that is, start with the task. Raises UsageError for a group pattern that is no
    regular expression.
    """
    found = [replace(one, file=f"{task}/{one.file}") for one in listing.findings]
    rows = [_image_row(task, row, one, rules, found) for row, one in zip(_records(listing.images), facts, strict=True)]
    for row, one in list(sets.same_bytes(rows)):
        _quarantine(row, one, found)
    grouping = _group(rows, [row.get("group") for row in _records(listing.images)], facts, rules)
    for row, group in zip(rows, grouping.ids, strict=True):
        row["group_id"] = group
    found += [*sets.in_two_splits(rows), *sets.near_copies(rows, grouping.copies)]
    if grouping.cut:
        found.append(finding("look-alikes", task, f"{grouping.cut} pairs of pictures in crowds too large to be copies", task=task))
    images = frame(rows, IMAGES)
    boxes = frame(_box_rows(task, _records(listing.boxes), rows, rules, found), BOXES)
    classes = _classes(task, listing, images, boxes, rules, found)
    return Catalog(images, boxes, classes, found + sets.classes(task, images, boxes), grouping.reasons)


def empty() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The tables of a dataset that is not there."""
    return frame([], IMAGES), frame([], BOXES)


Row = dict[str, Any]


def _records(table: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _image_row(task: str, row: Row, facts: Facts, rules: Rules, found: list[Finding]) -> Row:
    path = f"{task}/{row['path']}"
    problems = [*row["problems"], *facts["problems"]]
    found += [finding(code, path, text, **values) for code, text, values in facts["findings"]]
    if not facts["problems"] and (limit := _side_problem(path, facts, rules)) is not None:
        problems += [] if rules.keep_beyond else [limit.code]
        found.append(replace(limit, severity=NOTE) if rules.keep_beyond else limit)
    if row["label"] is not None and rules.labels is not None and row["label"] not in rules.labels:
        problems.append("label-not-allowed")
        found.append(_not_allowed(path, None, row["label"], rules))
    status = QUARANTINED if problems else OK
    said = {name: row[name] for name in ("label", "given_split", *own_columns(row))}
    return facts | said | {"path": path, "task": task, "status": status, "problems": problems}


def _side_problem(path: str, facts: Facts, rules: Rules) -> Finding | None:
    sides = (facts["width"], facts["height"])
    shown = f"is {sides[0]} x {sides[1]} pixels"
    if min(sides) < rules.min_side:
        return finding("too-small", path, shown, limit=rules.min_side)
    if max(sides) > rules.max_side:
        return finding("too-large", path, shown, limit=rules.max_side)
    return None


def _not_allowed(file: str, line: int | None, label: object, rules: Rules) -> Finding:
    return finding("label-not-allowed", file, f"label {label!r} is not allowed", line, names=", ".join(rules.labels or ()))


def _group(rows: list[Row], given: list[str | None], facts: Sequence[Facts], rules: Rules) -> groups.Grouping:
    paths = [str(row["path"]) for row in rows]
    named = groups.names_from(rules.group_pattern, paths) if rules.group_pattern else [None] * len(rows)
    names = [own if isinstance(own, str) else other for own, other in zip(given, named, strict=True)]
    kept = [one if row["status"] == OK else {**one, "thumbnail": None} for row, one in zip(rows, facts, strict=True)]
    return groups.group(paths, kept, names, rules.near_duplicates)


def _quarantine(row: Row, finding: Finding, found: list[Finding]) -> None:
    row["status"], row["problems"] = QUARANTINED, [*row["problems"], finding.code]
    found.append(finding)


def _box_rows(task: str, boxes: list[Row], images: list[Row], rules: Rules, found: list[Finding]) -> list[Row]:
    by_path = {row["path"]: row for row in images}
    numbers: dict[object, int] = {}
    rows = []
    for box in boxes:
        image = by_path[f"{task}/{box['path']}"]
        key = str(image["image_id"] or image["path"])
        numbers[key] = numbers.get(key, -1) + 1
        problems = list(box["problems"])
        if rules.labels is not None and box["label"] not in rules.labels:
            problems.append("label-not-allowed")
            found.append(_not_allowed(f"{task}/{box['source']}", box["line"], box["label"], rules))
        if image["status"] != OK:
            problems.append("image-quarantined")
        row = {name: box[name] for name in ("label", *CORNERS, "is_crowd", "is_difficult")}
        row |= {"image_id": image["image_id"], "box_id": f"{key[:16]}-{numbers[key]}"}
        rows.append(row | {"status": QUARANTINED if problems else OK, "problems": problems})
    return rows


def _classes(task: str, listing: Listing, images: pd.DataFrame, boxes: pd.DataFrame, rules: Rules, found: list[Finding]) -> list[str]:
    used = set(images["label"].dropna()) | set(boxes["label"].dropna())
    for name in (name for name in listing.classes if name not in used):
        found.append(finding("class-unused", task, f"class {name} has no label"))
    if rules.labels is not None:
        return [name for name in rules.labels if name in used]
    return [name for name in listing.classes if name in used]
