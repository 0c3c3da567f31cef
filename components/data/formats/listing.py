"""What every layout's reader answers: images, boxes and findings, and how they are gathered."""

import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from components.data.findings import BAD, CODES, Finding, finding
from components.data.boxes import Corners
from components.data.formats.box_checks import CORNERS, Size, judge, sub_pixel
from components.data.formats.text import LabelError
from components.errors import DataError

__all__ = ["CORNERS", "Collector", "Listing", "merged_names", "unique_names"]

IMAGE_COLUMNS = ["path", "label", "given_split", "group", "problems"]
BOX_COLUMNS = ["path", "label", *CORNERS, "is_crowd", "is_difficult", "source", "line", "problems"]
REPEATED = 1000  # findings of one code in one file that are told one by one
_SMALL = 1 / 16  # of the image: only such boxes can be thinner than a pixel


@dataclass(frozen=True)
class Listing:
    """A dataset as its labels describe it; no pixel has been read.

    `images`: path (POSIX, relative to the dataset), label (null for detection), given_split (or null), group (null
    unless a CSV file has such a column), problems, and a CSV file's further columns (components.data.tables), texts or null.
    `boxes`: path, label, x_min, y_min, x_max, y_max (0..1 of the upright image), is_crowd, is_difficult, source (the
    label file), line (in it), problems. A row with problems is to be quarantined.
    """

    layout: str
    classes: list[str]
    images: pd.DataFrame
    boxes: pd.DataFrame
    findings: list[Finding]


@dataclass
class Collector:
    """Gathers a reader's rows."""

    images: list[tuple[Any, ...]] = field(default_factory=list)
    boxes: list[tuple[Any, ...]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    _tally: dict[str, list[str]] = field(default_factory=dict)
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _rest: dict[tuple[str, str], Finding] = field(default_factory=dict)

    def image(self, path: str, label: str | None, split: str | None, *problems: str, group: str | None = None) -> None:
        """Add an image; one with problems is left out of everything later."""
        self.images.append((path, label, split, group, list(problems)))

    def box(
        self, path: str, label: str | None, corners: Corners, where: tuple[str, int], size: Callable[[], Size | None],
        *, crowd: bool = False, difficult: bool = False,
    ) -> None:  # fmt: skip
        """Add a box, judged; `where` is its label file and line, `size` answers the image's in pixels, asked only of small boxes."""
        corners, code, found = judge(corners)
        bad = code is not None and CODES[code].severity == BAD
        if not bad and min(corners[2] - corners[0], corners[3] - corners[1]) < _SMALL and (pixels := size()):
            thin = sub_pixel(corners, pixels)
            code, found = ("box-sub-pixel", thin) if thin else (code, found)
        if code:
            self.find(code, where[0], found, where[1])
        self._box(path, label, corners, where, crowd, difficult, [code] if bad else [])

    def reject(self, path: str, label: str | None, corners: Corners, where: tuple[str, int], code: str, found: str) -> None:
        """Add a box that cannot be used, and why."""
        self.find(code, where[0], found, where[1])
        self._box(path, label, corners, where, False, False, [code])

    def find(self, code: str, file: str, found: str, line: int | None = None, **values: object) -> None:
        """Add a finding of a known code, as `components.data.findings.finding` makes it.

        Of one code and file REPEATED are added, then one that counts the rest.
        """
        count = self._counts[code, file] = self._counts.get((code, file), 0) + 1
        if count <= REPEATED:
            self.findings.append(finding(code, file, found, line, **values))
        else:
            self._rest[code, file] = finding(code, file, f"{count - REPEATED:,} more of the same in this file", None, **values)

    def refuse(self, file: str, error: LabelError, line: int | None = None) -> None:
        """Add the finding that a LabelError stands for."""
        self.find(error.code, file, error.found, error.line or line, **error.values)

    def tally(self, file: str, *codes: str) -> None:
        """Count a habit of label files that is told once for the whole dataset."""
        for code in codes:
            files = self._tally.setdefault(code, [])
            if not files or files[-1] != file:
                files.append(file)

    def listing(self, layout: str, classes: list[str]) -> Listing:
        """Everything gathered, images in the order of their paths; a box that repeats another is left out."""
        for code, files in self._tally.items():
            others = f", as do {len(files) - 1:,} other files" if len(files) > 1 else ""
            self.find(code, files[0], f"{_HABITS[code]}{others}")
        images = pd.DataFrame(self.images, columns=IMAGE_COLUMNS).sort_values("path", kind="stable", ignore_index=True)
        boxes = self._without_repeats(pd.DataFrame(self.boxes, columns=BOX_COLUMNS))
        boxes = boxes.sort_values("path", kind="stable", ignore_index=True)
        return Listing(layout, classes, images, boxes, [*self.findings, *self._rest.values()])

    def _box(
        self, path: str, label: str | None, corners: Corners, where: tuple[str, int], crowd: bool, difficult: bool, problems: list[Any]
    ) -> None:
        self.boxes.append((path, label, *corners, crowd, difficult, sys.intern(where[0]), where[1], problems))

    def _without_repeats(self, boxes: pd.DataFrame) -> pd.DataFrame:
        sound = boxes[~boxes["problems"].astype(bool)]
        place = ["path", *CORNERS]
        again = sound[sound.duplicated([*place, "label"])]
        self._tell_boxes(again, "box-duplicate", "repeats a box of {!r}")
        left = sound.drop(again.index)
        self._tell_boxes(left[left.duplicated(place)], "box-two-classes", "has the place of a box of another class than {!r}")
        return boxes.drop(again.index)

    def _tell_boxes(self, rows: pd.DataFrame, code: str, words: str) -> None:
        for source, line, label in zip(rows["source"], rows["line"], rows["label"], strict=True):
            self.find(code, source, words.format(label), int(line))


_HABITS = {
    "label-bom": "begins with a byte-order mark",
    "label-utf16": "is written in UTF-16 or UTF-32",
    "label-crlf": "ends its lines by CR LF",
    "label-tabs": "separates values by tabs",
    "label-commas": "separates values by commas or semicolons",
    "label-decimal-comma": "writes decimals with a comma",
    "label-negative": "lists labels of confidence 0, that is, what an image does not show",
}


def unique_names(names: list[str], where: str) -> list[str]:
    """The names, or DataError when two differ in nothing but case or surrounding blanks, or one is empty."""
    seen: dict[str, str] = {}
    for name in names:
        if not name.strip() or any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
            raise DataError(f"{where} has the class name {name[:40]!r}, expected a word or more without control characters: give it one")
        other = seen.setdefault(name.strip().casefold(), name)
        if other is not name:
            raise DataError(f"{where} names the classes {other!r} and {name!r}, expected each class once: give them one name")
    return names


def merged_names(sources: dict[str, dict[int, str]]) -> dict[int, str]:
    """The classes by number that several files name alike. Raises DataError when two files contradict one another."""
    names: dict[int, tuple[str, str]] = {}
    numbers: dict[str, tuple[int, str]] = {}
    for source, own in sources.items():
        for number, name in own.items():
            other, first = names.setdefault(number, (name, source))
            other_number, second = numbers.setdefault(name, (number, source))
            if other != name:
                raise DataError(_conflict(f"{first} calls class {number} {other!r}, {source} calls it {name!r}"))
            if other_number != number:
                raise DataError(_conflict(f"{second} gives {name!r} the number {other_number}, {source} the number {number}"))
    return {number: name for number, (name, _) in sorted(names.items())}


def _conflict(what: str) -> str:
    return f"conflicting class maps: {what}; expected one map for the whole dataset: export all its parts with the same classes"
