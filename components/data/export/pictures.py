"""A listing as pictures with their boxes, under names that every format can carry."""

import posixpath
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from components.data.decode import DecodeError, read_size
from components.data.formats import Listing
from components.data.boxes import Corners
from components.data.formats.box_checks import CORNERS, Size
from components.errors import DataError

# Folders by which the formats find one thing from another: they may not occur below the folder of the images.
_FOLDERS = frozenset(("images", "jpegimages", "imgs", "img", "annotations", "labels", "imagesets"))


class Box(NamedTuple):
    """One box, in fractions of the image."""

    label: str
    corners: Corners
    is_crowd: bool
    is_difficult: bool


@dataclass(frozen=True)
class Picture:
    """One image: its path in the source, its name in the export, its split, its size (width, height) in pixels, its boxes."""

    path: str
    name: str
    split: str | None
    size: Size
    boxes: list[Box]


def gather(root: Path, listing: Listing) -> tuple[list[Picture], list[str]]:
    """The pictures of a listing, without what it marks as bad, and in words what that was. Raises DataError when none is left."""
    sound = listing.images[~listing.images["problems"].astype(bool)]
    boxes = _boxes(listing)
    names = _Names()
    pictures, unreadable = [], []
    for row in sound.itertuples():
        path = str(row.path)
        try:
            size = read_size(root / path)
        except DecodeError:
            unreadable.append(path)
            continue
        split = row.given_split if isinstance(row.given_split, str) else None
        pictures.append(Picture(path, names.of(path), split, size, boxes.get(path, [])))
    if not pictures:
        raise DataError(f"{root} holds no usable image to export: see `visionloop data check {root}`")
    return pictures, _notes(root, listing, pictures, unreadable, names.changed)


def number(value: float, *, decimals: bool = False) -> str:
    """A number in as few digits as name it to 15 places, never with an exponent; with `decimals` at least one after the point."""
    return np.format_float_positional(float(f"{value:.15g}"), trim="0" if decimals else "-")


class _Names:
    """Names of images: unique without their suffix, whatever the case, for a label file bears the same."""

    def __init__(self) -> None:
        self.changed: dict[str, str] = {}
        self._taken: set[str] = set()

    def of(self, path: str) -> str:
        parts = ["".join("_" if unicodedata.category(one) in ("Cc", "Cs") else one for one in part) for part in path.split("/")]
        plain = "/".join([*(part for part in parts[:-1] if part.lower() not in _FOLDERS), parts[-1]])
        stem, suffix = posixpath.splitext(plain)
        name, count = plain, 1
        while posixpath.splitext(name)[0].casefold() in self._taken:
            count += 1
            name = f"{stem}_{count}{suffix}"
        self._taken.add(posixpath.splitext(name)[0].casefold())
        if posixpath.basename(name) != posixpath.basename(path):
            self.changed[path] = name
        return name


def _boxes(listing: Listing) -> dict[str, list[Box]]:
    found: dict[str, list[Box]] = {}
    sound = listing.boxes[~listing.boxes["problems"].astype(bool)]
    columns = [sound[name].tolist() for name in ("path", "label", *CORNERS, "is_crowd", "is_difficult")]
    for path, label, x0, y0, x1, y1, crowd, difficult in zip(*columns, strict=True):
        found.setdefault(path, []).append(Box(label, (x0, y0, x1, y1), crowd, difficult))
    return found


def _notes(root: Path, listing: Listing, pictures: list[Picture], unreadable: list[str], changed: dict[str, str]) -> list[str]:
    notes = []
    lost = len(listing.images) - len(pictures)
    bad = int(listing.boxes["problems"].astype(bool).sum())
    if lost or bad:
        named = f", {unreadable[0]} among them," if unreadable else ""
        notes.append(f"{lost:,} images and {bad:,} boxes that cannot be used{named} are left out: see `visionloop data check {root}`")
    if changed:
        path, name = next(iter(changed.items()))
        notes.append(
            f"{len(changed):,} images are renamed, such as {path} to {name}: another has its name, or it cannot be written in a list"
        )
    if listing.images["group"].notna().any():
        notes.append("the groups of images are not carried: no format of these has a place for them")
    return notes
