"""From what labels say and what pixels measure to the two tables: who is kept, who is quarantined and why."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from components.data.facts import Facts
from components.data.findings import Finding, finding
from components.data.formats.listing import CORNERS, Listing
from components.data.tables import BOXES, IMAGES, OK, QUARANTINED, frame
from components.errors import UsageError

DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Rules:
    """What quarantines an image or a box: sides in pixels; `labels` None allows every class.

    `group_pattern` is a regular expression whose first group, searched in the file's name without suffix, then in its
    path, names the images that belong together; None makes each image its own group.
    """

    min_side: int
    max_side: int
    labels: Sequence[str] | None = None
    group_pattern: str | None = None


@dataclass(frozen=True)
class Catalog:
    """The two tables (schemas of components.data.tables), the classes that occur, and every finding."""

    images: pd.DataFrame
    boxes: pd.DataFrame
    classes: list[str]
    findings: list[Finding]


def build(task: str, listing: Listing, facts: Sequence[Facts], rules: Rules) -> Catalog:
    """Join a dataset's listing with `facts` (one an image, in the order of `listing.images`).

    Paths become relative to data/, that is, start with the task. Raises UsageError for a group pattern that is no
    regular expression.
    """
    found = [replace(one, file=f"{task}/{one.file}") for one in listing.findings]
    rows = [_image_row(task, row, one, rules, found) for row, one in zip(_records(listing.images), facts, strict=True)]
    _mark_copies(rows, found)
    images = frame(rows, IMAGES)
    boxes = frame(_box_rows(task, _records(listing.boxes), rows, rules, found), BOXES)
    return Catalog(images, boxes, _classes(listing, images, boxes, rules, found), found)


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
        problems.append(limit.code)
        found.append(limit)
    if row["label"] is not None and rules.labels is not None and row["label"] not in rules.labels:
        problems.append("label-not-allowed")
        found.append(_not_allowed(path, None, row["label"], rules))
    status = QUARANTINED if problems else OK
    own = {"path": path, "task": task, "label": row["label"], "given_split": row["given_split"]}
    return facts | own | {"group_id": _group(path, facts, rules), "status": status, "problems": problems}


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


def _group(path: str, facts: Facts, rules: Rules) -> str:
    alone = str(facts["image_id"] or path)
    if not rules.group_pattern:
        return alone
    stem = path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    try:
        match = re.search(rules.group_pattern, stem) or re.search(rules.group_pattern, path)
    except re.error as error:
        raise UsageError(f"group_pattern {rules.group_pattern!r} is no regular expression ({error}); correct it in params.yaml") from error
    return alone if match is None else match.group(1 if match.re.groups else 0)


def _mark_copies(rows: list[Row], found: list[Finding]) -> None:
    """Quarantine all but the first of byte-identical images, and all of them where their labels disagree.

    Copies in different given splits are left: they are leakage, which the split refuses.
    """
    groups: dict[object, list[Row]] = {}
    for row in rows:
        if row["status"] == OK:
            groups.setdefault(row["image_id"], []).append(row)
    for same in (group for group in groups.values() if len(group) > 1):
        labels = sorted({str(row["label"]) for row in same})
        if len(labels) > 1:
            paths = ", ".join(str(row["path"]) for row in same[:5])
            for row in same:
                message = f"the same image stands in the classes {', '.join(labels)}: {paths}"
                _quarantine(row, finding("conflicting-labels", str(row["path"]), message), found)
            continue
        first: dict[object, Row] = {}
        for row in same:
            kept = first.setdefault(row["given_split"], row)
            if kept is not row:
                message = f"has the same bytes as {kept['path']}"
                _quarantine(row, finding(DUPLICATE, str(row["path"]), message), found)


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


def _classes(listing: Listing, images: pd.DataFrame, boxes: pd.DataFrame, rules: Rules, found: list[Finding]) -> list[str]:
    used = set(images["label"].dropna()) | set(boxes["label"].dropna())
    for name in (name for name in listing.classes if name not in used):
        found.append(finding("class-unused", listing.layout, f"class {name} has no label"))
    if rules.labels is not None:
        return [name for name in rules.labels if name in used]
    return [name for name in listing.classes if name in used]
