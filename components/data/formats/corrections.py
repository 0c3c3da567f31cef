"""Label corrections laid over what a dataset's own label files say; the originals stay as they are.

A row is applied only where it fits: what no longer stands as it stood when the row was written is a finding, never a guess.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.data.boxes import SAME_BOX, Corners, iou
from components.data.findings import Finding, finding
from components.data.formats.corrections_csv import FILE, Correction, read
from components.data.formats.listing import CORNERS, Listing

APPLIED = "corrections-applied"
_SAME_PLACE = 0.99  # IoU: a box that is to be added, or moved there, and stands there already
_SHOWN = 20


@dataclass(frozen=True)
class _Target:
    """What a row is about: an image by its row in `images`, or a box by its row in `boxes`; None for a box to be added."""

    image: int
    box: int | None
    stands: str | None


def corrected(root: Path, listing: Listing) -> Listing:
    """The listing with the rows of `<root>/corrections.csv` applied, and findings about those that were not.

    Without that file it is the listing itself. Images and boxes to be deleted are left out without a trace but the
    count in the finding `corrections-applied`.
    """
    path = root / FILE
    if not path.is_file():
        return listing
    rows, findings = read(path)
    fitting, misfits = _fitting(listing, rows)
    mended = _apply(listing, fitting)
    if fitting:
        told = [f"{what} {count}" for what, count in sorted(Counter(_done(one) for one, _ in fitting).items())]
        found = f"corrections applied: {len(fitting)} ({', '.join(told)})"
        findings.append(finding(APPLIED, FILE, found))
    return replace(mended, findings=[*_unsettled(listing, fitting), *findings, *misfits])


def applied(findings: Sequence[Finding]) -> str | None:
    """In words, how many corrections a listing's findings say were applied; None when there were none."""
    return next((one.found for one in findings if one.code == APPLIED), None)


Fitting = tuple[Correction, _Target]


def _fitting(listing: Listing, rows: Sequence[Correction]) -> tuple[list[Fitting], list[Finding]]:
    """The rows that can be applied, each with its target, and findings about the others."""
    images = {str(path): place for place, path in enumerate(listing.images["path"])}
    boxes: dict[str, list[int]] = defaultdict(list)
    for place, path in enumerate(listing.boxes["path"]):
        boxes[str(path)].append(place)
    targets: list[Fitting] = []
    found: list[Finding] = []
    for row in rows:
        target = _target(listing, row, images, boxes)
        if isinstance(target, Finding):
            found.append(target)
        else:
            targets.append((row, target))
    fitting, conflicts = _without_conflicts(targets)
    return fitting, found + conflicts


def _target(listing: Listing, row: Correction, images: dict[str, int], boxes: dict[str, list[int]]) -> _Target | Finding:
    if row.path not in images:
        name = row.path.rpartition("/")[2]
        near = next((f" (perhaps {path})" for path in images if path.rpartition("/")[2] == name), "")
        return finding("correction-unknown-image", FILE, f"the dataset has no image {row.path}", row.line, near=near)
    is_detection = bool(listing.images["label"].isna().all())
    if problem := _out_of_place(row, is_detection):
        return problem
    if row.label is not None and row.label not in listing.classes:
        names = ", ".join(listing.classes[:_SHOWN])
        return finding("correction-unknown-class", FILE, f"{row.label!r} is no class of the dataset", row.line, names=names)
    image, own = images[row.path], boxes.get(row.path, [])
    if row.box is None:
        target = _Target(image, None, None if row.action == "add" else listing.images["label"].iloc[image])
    else:
        place = _overlapping(listing.boxes, own, row.box, SAME_BOX, None)
        if place is None:
            found = f"none of the {len(own)} boxes of {row.path} overlaps {_shown(row.box)}"
            return finding("correction-unknown-box", FILE, found, row.line, least=SAME_BOX)
        target = _Target(image, place, str(listing.boxes["label"].iloc[place]))
    return _standing(listing, row, target, own) or target


def _out_of_place(row: Correction, is_detection: bool) -> Finding | None:
    speaks_of_boxes = row.box is not None or row.new_box is not None
    if speaks_of_boxes and not is_detection:
        return _unreadable(row, "names a box", "no box: images as a whole have classes here")
    if is_detection and row.action == "relabel" and not speaks_of_boxes:
        return _unreadable(row, "relabels an image", "a box as well: only boxes have classes here")
    return None


def _standing(listing: Listing, row: Correction, target: _Target, own: Sequence[int]) -> Finding | None:
    """A finding when what is to be corrected is not what was expected, or needs no correction any more."""
    there = row.new_box and _overlapping(listing.boxes, own, row.new_box, _SAME_PLACE, row.label or target.stands)
    if (row.action == "relabel" and target.stands == row.label) or there is not None:
        return finding("correction-idle", FILE, f"{row.action} of {row.path} asks for what stands there already", row.line)
    if row.expected is not None and row.action != "add" and target.stands is not None and target.stands != row.expected:
        found = f"{row.path} says {target.stands!r} now"
        return finding("correction-outdated", FILE, found, row.line, stood=row.expected)
    return None


def _overlapping(boxes: pd.DataFrame, own: Sequence[int], corners: Corners, least: float, label: str | None) -> int | None:
    """The place of the image's box that overlaps `corners` most, by IoU `least` or more; of this label, if one is given."""
    own = [place for place in own if label is None or boxes["label"].iloc[place] == label]
    if not own:
        return None
    overlap = iou(np.array([corners]), boxes[list(CORNERS)].iloc[own].to_numpy(np.float64))[0]
    best = int(np.nanargmax(overlap)) if np.isfinite(overlap).any() else 0
    return own[best] if overlap[best] >= least else None


def _without_conflicts(targets: Sequence[Fitting]) -> tuple[list[Fitting], list[Finding]]:
    """None of several rows about the same image or box is applied, nor one about a box of an image that is to be left out."""
    groups: dict[object, list[Fitting]] = defaultdict(list)
    for row, target in targets:
        groups[("add", row.line) if row.action == "add" else (target.image, target.box)].append((row, target))
    gone = {target.image: row.line for row, target in targets if row.action == "delete" and row.box is None}
    fitting, found = [], []
    for row, target in targets:
        same = groups.get((target.image, target.box), []) if row.action != "add" else []
        lines = {other.line for other, _ in same} | ({gone[target.image]} if target.image in gone else set())
        if lines - {row.line}:
            others = ", ".join(map(str, sorted(lines - {row.line})))
            found.append(finding("correction-conflict", FILE, f"{row.path} is corrected in line {others} too", row.line))
        else:
            fitting.append((row, target))
    return fitting, found


def _apply(listing: Listing, fitting: Sequence[Fitting]) -> Listing:
    images, boxes = listing.images.copy(), listing.boxes.copy()
    _put(images, "label", {target.image: row.label for row, target in fitting if row.action == "relabel" and target.box is None})
    _put(boxes, "label", {target.box: row.label for row, target in fitting if row.action == "relabel" and target.box is not None})
    moved = {target.box: row.new_box for row, target in fitting if row.new_box is not None and target.box is not None}
    for number, name in enumerate(CORNERS):
        _put(boxes, name, {place: corners[number] for place, corners in moved.items()})
    _put(boxes, "problems", {place: [] for place in moved})
    gone = [target for row, target in fitting if row.action == "delete"]
    lost = {images["path"].iloc[target.image] for target in gone if target.box is None}
    boxes = boxes.drop(index=[target.box for target in gone if target.box is not None])
    if added := [_new_box(row) for row, _ in fitting if row.action == "add"]:
        fresh = pd.DataFrame(added, columns=boxes.columns)
        boxes = pd.concat([boxes, fresh]).sort_values("path", kind="stable") if len(boxes) else fresh
    images, boxes = images[~images["path"].isin(lost)], boxes[~boxes["path"].isin(lost)]
    return replace(listing, images=images.reset_index(drop=True), boxes=boxes.reset_index(drop=True))


def _put(table: pd.DataFrame, column: str, values: Mapping[int, object]) -> None:
    """Set cells of a column by their place, its type unchanged."""
    cells = table[column].tolist()
    for place, value in values.items():
        cells[place] = value
    table[column] = pd.Series(cells, index=table.index, dtype=table[column].dtype)


def _unsettled(listing: Listing, fitting: Sequence[Fitting]) -> list[Finding]:
    """The findings of the label files but for those about images and boxes that were left out, and boxes that were moved."""
    settled: set[tuple[str, int | None]] = set()
    for row, target in fitting:
        if target.box is not None and row.action in ("move", "delete"):
            source, line = listing.boxes[["source", "line"]].iloc[target.box]
            settled.add((source, line))
        elif row.action == "delete":
            settled.add((row.path, None))
    return [one for one in listing.findings if (one.file, one.line) not in settled]


def _new_box(row: Correction) -> dict[str, Any]:
    assert row.new_box is not None
    known = {"path": row.path, "label": row.label, **dict(zip(CORNERS, row.new_box, strict=True)), "is_crowd": False}
    return known | {"is_difficult": False, "source": FILE, "line": row.line, "problems": []}


def _done(row: Correction) -> str:
    done = {"relabel": "relabelled", "delete": "left out", "move": "moved", "add": "added"}[row.action]
    return f"{'images' if row.box is None and row.action != 'add' else 'boxes'} {done}:"


def _shown(corners: Corners) -> str:
    return " ".join(f"{value:.4g}" for value in corners)


def _unreadable(row: Correction, found: str, form: str) -> Finding:
    return finding("correction-unreadable", FILE, f"{row.action} {found}", row.line, form=form)
