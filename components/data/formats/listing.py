"""What every layout's reader answers: images, boxes and findings, and the checks they share."""

from dataclasses import dataclass, field

import pandas as pd

from components.data.findings import Finding, finding
from components.errors import DataError

SPLIT_NAMES = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test"}


@dataclass(frozen=True)
class Listing:
    """A dataset as its labels describe it; no pixel has been read.

    `images`: path (POSIX, relative to the dataset), label (null for detection), given_split (or null), problems.
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

    images: list[dict[str, object]] = field(default_factory=list)
    boxes: list[dict[str, object]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def image(self, path: str, label: str | None, split: str | None, *problems: str) -> None:
        """Add an image; one with problems is left out of everything later."""
        self.images.append({"path": path, "label": label, "given_split": split, "problems": list(problems)})

    def box(self, path: str, label: str | None, corners: "Corners", source: str, line: int | None, difficult: bool = False) -> None:
        """Add a box, checked: one that is empty or leaves the image is quarantined and found."""
        corners, code, found = check_corners(corners)
        self.boxes.append(
            {"path": path, "label": label, **dict(zip(CORNERS, corners, strict=True)), "is_crowd": False}
            | {"is_difficult": difficult, "source": source, "line": line, "problems": [code] if code else []}
        )
        if code:
            self.find(code, source, found, line)

    def find(self, code: str, file: str, found: str, line: int | None = None, **values: object) -> None:
        """Add a finding of a known code, as `components.data.findings.finding` makes it."""
        self.findings.append(finding(code, file, found, line, **values))

    def listing(self, layout: str, classes: list[str]) -> Listing:
        """Everything gathered, images in the order of their paths."""
        images = pd.DataFrame(self.images, columns=["path", "label", "given_split", "problems"])
        columns = ["path", "label", *CORNERS, "is_crowd", "is_difficult", "source", "line", "problems"]
        boxes = pd.DataFrame(self.boxes, columns=columns)
        images = images.sort_values("path", kind="stable", ignore_index=True)
        return Listing(layout, classes, images, boxes.sort_values("path", kind="stable", ignore_index=True), self.findings)


CORNERS = ("x_min", "y_min", "x_max", "y_max")
Corners = tuple[float, float, float, float]
OVERHANG = 0.005


def check_corners(corners: Corners) -> tuple[Corners, str | None, str]:
    """Clip what overhangs the image by at most OVERHANG (rounding); name what is empty, outside or not finite."""
    x0, y0, x1, y1 = corners
    shown = ", ".join(f"{value:.4g}" for value in corners)
    if not all(abs(value) < float("inf") for value in corners):
        return corners, "box-not-finite", f"box ({shown}) is not finite"
    if x1 <= x0 or y1 <= y0:
        return corners, "box-empty", f"box ({shown}) has no area"
    if min(corners) < -OVERHANG or max(corners) > 1 + OVERHANG:
        return corners, "box-outside", f"box ({shown}) leaves the image"
    clipped = (max(x0, 0.0), max(y0, 0.0), min(x1, 1.0), min(y1, 1.0))
    if clipped[2] <= clipped[0] or clipped[3] <= clipped[1]:
        return corners, "box-outside", f"box ({shown}) leaves the image"
    return clipped, None, ""


def unique_names(names: list[str], where: str) -> list[str]:
    """The names, or DataError when two differ in nothing but case or surrounding blanks."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.strip().casefold(), name)
        if other is not name:
            raise DataError(f"{where} names the classes {other!r} and {name!r}, expected each class once: give them one name")
    return names
