"""YOLO: a `data.yaml` with class names, images, and a text file of boxes beside or parallel to each image."""

import csv
import posixpath
from collections.abc import Callable
from functools import lru_cache

from components.data.formats import yolo_yaml
from components.data.formats.box_checks import Size
from components.data.formats.listing import Collector, Listing
from components.data.formats.missing import missing, note_unlisted
from components.data.formats.text import LIMIT, LabelError
from components.data.formats.tree import Tree
from components.data.formats.yolo_rows import BoxError, parse
from components.data.formats.yolo_yaml import Source
from components.errors import DataError

FLAGS = "box_flags"  # in data.yaml: a CSV of label file, line and what the format itself cannot say of that box
FLAG_NAMES = ("crowd", "difficult")
Flags = dict[tuple[str, int], set[str]]


def read(tree: Tree) -> Listing:
    """Read a YOLO dataset. A box is `class x_center y_center width height` in fractions, or `class` and a polygon.

    An image without a label file shows nothing to detect. Without `train`, `val` and `test` every image belongs, to no
    split. Raises DataError for a missing or unusable data.yaml, an image in two splits, or no label file at all.
    """
    source = yolo_yaml.read(tree)
    gathered = Collector()
    split_of = _splits(tree, source, gathered)
    labels = {image: label_file(tree, image) for image in split_of}
    if split_of and not any(labels.values()):
        first = next(iter(split_of))
        raise DataError(
            f"{tree.root}: none of {len(split_of):,} images has a label file, expected {expected_label(first)} for {first} and so on: "
            "put the labels there"
        )
    flags = _flags(tree, source)
    for image, split in split_of.items():
        _read_image(tree, image, split, labels[image], source, flags, gathered)
    note_unlisted(tree.images, split_of, "data.yaml", gathered)
    _find_orphans(tree, {path for path in labels.values() if path}, gathered)
    if (count := source.document.get("nc")) is not None and str(count) != str(len(source.names)):
        gathered.find("names-count", source.path, f"says nc: {count} and names {len(source.names)} classes")
    return gathered.listing("yolo", source.names)


def label_file(tree: Tree, image: str) -> str | None:
    """The label file of an image: parallel to it, or beside it; None where there is neither."""
    beside = f"{posixpath.splitext(image)[0]}.txt"
    return next((path for path in (expected_label(image), beside) if path in tree.known or path in tree.left_out), None)


def expected_label(image: str) -> str:
    """`labels/` in place of the last `images/` of the path; beside the image where there is no such folder."""
    parts = f"{posixpath.splitext(image)[0]}.txt".split("/")
    for index in reversed(range(len(parts) - 1)):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return "/".join(parts)


def _splits(tree: Tree, source: Source, gathered: Collector) -> dict[str, str | None]:
    """Each image's split. Raises DataError when an image stands in two."""
    found: dict[str, str | None] = {}
    if not any(source.document.get(key) for key in yolo_yaml.KEYS):
        return dict.fromkeys(tree.images)
    for split, entry, near, file, line in yolo_yaml.places(tree, source):
        images = [entry] if line is None else tree.find(entry, near, split)
        if len(images) != 1:
            code, words = missing(entry, images)
            gathered.find(code, file, words, line)
        elif images[0] not in found:
            found[images[0]] = split
        elif found[images[0]] != split:
            raise DataError(
                f"{tree.root / source.path}: {images[0]} stands in both {found[images[0]]} and {split}, expected each image in one split: "
                "take it out of one, or remove that line of data.yaml"
            )
        else:
            gathered.find("image-listed-twice", file, f"lists {images[0]} again", line)
    return found


def _read_image(tree: Tree, image: str, split: str | None, label: str | None, source: Source, flags: Flags, gathered: Collector) -> None:
    if label is None:
        place = expected_label(image)
        gathered.find("no-label-file", image, "has no label file: taken as an image with nothing to detect", place=place)
        gathered.image(image, None, split)
        return
    try:
        text = tree.text(label, LIMIT)
    except LabelError as error:
        gathered.refuse(label, error)
        gathered.image(image, None, split, error.code)
        return
    gathered.image(image, None, split)
    gathered.tally(label, *text.oddities)
    size = lru_cache(maxsize=1)(lambda: tree.size(image))
    for number, line in enumerate(text.lines(), 1):
        if line and not line.isspace():
            _read_row(image, line, (label, number), source, size, flags.get((label, number), set()), gathered)


def _read_row(
    image: str, line: str, where: tuple[str, int], source: Source, size: Callable[[], Size | None], flags: set[str], gathered: Collector
) -> None:
    try:
        row = parse(line, source.names, keypoints="kpt_shape" in source.document)
    except BoxError as error:
        gathered.reject(image, source.names[error.row.number], error.row.corners, where, error.code, error.found)
    except LabelError as error:
        gathered.refuse(where[0], error, where[1])
    else:
        gathered.tally(where[0], *row.oddities)
        name = source.names[row.number]
        gathered.box(image, name, row.corners, where, size, crowd="crowd" in flags, difficult="difficult" in flags)


def _flags(tree: Tree, source: Source) -> Flags:
    """What data.yaml's `box_flags` file says of single boxes. Raises DataError when it cannot be read."""
    named = source.document.get(FLAGS)
    if named is None:
        return {}
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source.path), str(named)))
    try:
        rows = list(csv.reader(tree.text(path, yolo_yaml.LIST_LIMIT).lines()))
        found: Flags = {}
        for file, line, flag in (row for row in rows[1:] if row):
            found.setdefault((file, int(line)), set()).add(flag)
    except LabelError as error:
        raise DataError(f"{tree.root / path} {error.found}: mend it, or remove {FLAGS} from data.yaml") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{tree.root / path} is not a table of file, line and flag ({error}): mend it, or remove {FLAGS}") from error
    return found


def _find_orphans(tree: Tree, used: set[str], gathered: Collector) -> None:
    """Label files without an image: in `labels/`, or beside images that have theirs."""
    beside = {posixpath.dirname(path) for path in used}
    for path in tree.with_suffix(".txt"):
        folder, name = posixpath.split(path)
        if path in used or name.lower() in yolo_yaml.NAME_FILES or not ("labels" in folder.split("/") or folder in beside):
            continue
        if not _has_image(tree, path) and _is_label(tree, path):
            gathered.find("no-image", path, "labels an image that is not there")


def _has_image(tree: Tree, label: str) -> bool:
    parts = label.split("/")
    places = [label, *("/".join([*parts[:at], "images", *parts[at + 1 :]]) for at, part in enumerate(parts) if part == "labels")]
    return any(tree.twins(place) for place in places)


def _is_label(tree: Tree, path: str) -> bool:
    try:
        lines = [line for line in tree.text(path).lines() if line.strip()]
        return not lines or bool(lines[0].split()[0].isdigit())
    except LabelError:
        return False
