"""CSV: one or several tables of images and labels, or of images, labels and boxes; Open Images' files among them."""

import csv
import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pandas as pd

from components.data.formats import csv_boxes, csv_file
from components.data.boxes import Corners
from components.data.formats.box_checks import Size
from components.data.formats.csv_columns import EXPECTED, further, joined
from components.data.formats.csv_file import Table
from components.data.formats.listing import Collector, Listing, unique_names
from components.data.formats.missing import missing, note_unlisted
from components.data.formats.splits import SPLIT_NAMES, split_of_name, split_of_path
from components.data.formats.text import LabelError
from components.data.formats.tree import Tree
from components.data.tables import PREFIX
from components.errors import DataError

_HOPELESS = 10_000  # rows: where so many and more than half are bad, the table is another than it seems
DESCRIPTIONS = "class-descriptions"  # Open Images: a file with the name of each LabelName


def find(tree: Tree, *, boxes: bool) -> list[Table]:
    """The CSV files that list labels of images, with boxes or without."""
    found = []
    for path in tree.with_suffix(".csv", ".tsv"):
        if posixpath.basename(path).startswith(DESCRIPTIONS):
            continue
        try:
            table = csv_file.look(tree, path, lambda text: bool(tree.find(text, posixpath.dirname(path))))  # noqa: B023 used at once
        except LabelError:
            continue
        if table is not None and (table.columns.box is not None) == boxes:
            found.append(table)
    return found


def read(tree: Tree, *, boxes: bool, group_column: str | None = None) -> Listing:
    """Read CSV tables of labels, or of boxes.

    The columns are recognised by their header, or by what they hold (components.data.formats.csv_columns). Corners
    are fractions where those of a file's first 1,000 rows are, else pixels from 0, the right and bottom ones outside
    the box. A column `split` counts first, then what the file's name says, then the image's folder; a column `group`,
    or `group_column` if given, names images that belong together. `IsGroupOf` becomes is_crowd. A detection row without
    label and corners lists an image with nothing to detect. What else the header names is carried along
    (components.data.tables). Raises DataError when no table is found, one cannot be read, or an image stands in two splits.
    """
    gathered = Collector()
    tables = find(tree, boxes=boxes)
    if not tables:
        named = ", ".join(list(tree.with_suffix(".csv", ".tsv"))[:5]) or "none"
        raise DataError(f"{tree.root} holds no CSV file of labels (found: {named}), expected {EXPECTED}")
    reading = _Reading(tree, _descriptions(tree), gathered)
    for table in tables:
        reading.read(_grouped(tree, table, group_column) if group_column else table)
    reading.finish()
    note_unlisted(tree.images, reading.images, "no CSV file", gathered)
    source = str(tree.root / tables[0].path)
    rows = gathered.boxes if boxes else gathered.images
    classes = unique_names(sorted({str(row[1]) for row in rows if row[1] is not None and not row[-1]}), source)
    return _with_own_columns(gathered.listing("csv", classes), reading.images)


def _with_own_columns(listing: Listing, images: "dict[str, _Image]") -> Listing:
    names = dict.fromkeys(name for image in images.values() for name in image.own)
    columns = {PREFIX + name: [images[path].own.get(name) for path in listing.images["path"]] for name in names}
    return replace(listing, images=listing.images.assign(**{name: pd.Series(values, dtype=object) for name, values in columns.items()}))


def _grouped(tree: Tree, table: Table, column: str) -> Table:
    names = [name.strip() for name in table.header]
    if column not in names:
        found = ", ".join(names) or "no header"
        raise DataError(f"{tree.root / table.path} has {found}, expected a column {column!r}: correct data.<task>.group_column in params.yaml")
    return replace(table, columns=replace(table.columns, group=names.index(column)))


@dataclass
class _Image:
    split: str | None
    group: str | None
    where: tuple[str, int]
    labels: dict[str, tuple[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    own: dict[str, str | None] = field(default_factory=dict)
    size: Size | None = None
    is_measured: bool = False


@dataclass
class _Reading:
    tree: Tree
    names: dict[str, str]
    gathered: Collector
    images: dict[str, _Image] = field(default_factory=dict)
    boxes: bool = False
    further: dict[str, int] = field(default_factory=dict)
    last: tuple[tuple[str, str], str] = (("", ""), "")

    def read(self, table: Table) -> None:
        """Raises DataError when the table as a whole cannot be read."""
        columns, path = table.columns, table.path
        self.boxes, self.further = columns.box is not None, further(columns, table.header)
        self.gathered.tally(path, *table.oddities)
        in_pixels = table.columns.box is not None and csv_boxes.in_pixels(table.sample, table.columns.box)
        of_file = split_of_name(posixpath.splitext(posixpath.basename(path))[0]) or split_of_path(path)
        bad = 0
        try:
            for count, (line, row) in enumerate(self._rows(table), 1):
                try:
                    self._row(table, row, (path, line), of_file, in_pixels)
                except LabelError as error:
                    self.gathered.refuse(path, error, line)
                    bad += 1
                    if bad > _HOPELESS and bad > count / 2:
                        found = f"has {bad:,} rows that cannot be used among {count:,}, the last: {error.found}"
                        raise LabelError(error.code, found, line) from None
        except LabelError as error:
            where = f"{self.tree.root / path}:{error.line}" if error.line else f"{self.tree.root / path}"
            raise DataError(f"{where} {error.found}; expected CSV in UTF-8 with {EXPECTED}") from error

    def finish(self) -> None:
        """Add the images, now that all their rows are known."""
        for path, image in self.images.items():
            if len(image.labels) > 1:
                listed = ", ".join(f"{name!r} ({file}:{line})" for name, (file, line) in image.labels.items())
                self.gathered.find("conflicting-labels", image.where[0], f"{path} has the classes {listed}", image.where[1])
                image.problems.append("conflicting-labels")
            label = next(iter(image.labels), None)
            if label is None and not self.boxes and not image.problems:
                continue
            self.gathered.image(path, label, image.split, *image.problems, group=image.group)

    def _rows(self, table: Table) -> Iterator[tuple[int, list[str]]]:
        _, rows = csv_file.read(self.tree, table.path, table.separator)
        for number, (line, row) in enumerate(rows):
            if isinstance(row, LabelError):
                self.gathered.refuse(table.path, row, line)
            elif number or not table.columns.header:
                yield line, row

    def _row(self, table: Table, row: list[str], where: tuple[str, int], of_file: str | None, in_pixels: bool) -> None:
        columns = table.columns
        shown = ", ".join(row)[:80]
        if len(row) != columns.width:
            code = "row-short" if len(row) < columns.width else "row-long"
            raise LabelError(code, f"received {len(row)} values: {shown!r}", form=f"{columns.width} values")
        if columns.confidence is not None and row[columns.confidence].strip() in ("0", "0.0"):
            self.gathered.tally(where[0], "label-negative")
            return
        path = self._find(row[columns.image].strip(), where, of_file)
        image = self._image(path, table, row, where, of_file)
        text = row[columns.label].strip() if columns.label is not None else "object"
        label = self.names.get(text, text)
        if columns.box is not None:
            self._box(path, image, label, table, row, where, in_pixels)
        elif not label:
            raise LabelError("class-missing", f"{path} has no class")
        elif label in image.labels:
            self.gathered.find("image-listed-twice", where[0], f"lists {path} as {label!r} again", where[1])
        else:
            image.labels[label] = where

    def _find(self, entry: str, where: tuple[str, int], hint: str | None) -> str:
        key = (entry, where[0])
        if key != self.last[0]:  # the boxes of an image stand together
            found = self.tree.find(entry, posixpath.dirname(where[0]), hint) if entry else []
            if len(found) != 1:
                raise LabelError(*missing(entry, found))
            self.last = (key, found[0])
        return self.last[1]

    def _image(self, path: str, table: Table, row: list[str], where: tuple[str, int], of_file: str | None) -> _Image:
        columns = table.columns
        split = of_file or split_of_path(path)
        if columns.split is not None:
            text = row[columns.split].strip()
            split = SPLIT_NAMES.get(text.lower())
            if text and split is None:
                self.gathered.find("split-unknown", where[0], f"received the split {text[:40]!r}", where[1])
        group = row[columns.group].strip() or None if columns.group is not None else None
        image = self.images.get(path)
        if image is None:
            image = self.images[path] = _Image(split, group, where)
        elif image.split != split:
            raise DataError(
                f"{self.tree.root / where[0]}:{where[1]} has {path} in {split}, which {image.where[0]}:{image.where[1]} has in "
                f"{image.split}; expected each image in one split: take it out of one"
            )
        for name, at in self.further.items():
            image.own[name] = joined(image.own.get(name), row[at].strip())
        self._check_size(path, image, table, row, where)
        return image

    def _check_size(self, path: str, image: _Image, table: Table, row: list[str], where: tuple[str, int]) -> None:
        if table.columns.size is None or "size-disagrees" in image.problems or (size := self._size(path, image)) is None:
            return
        claimed = [csv_boxes.number(row[at])[0] for at in table.columns.size]
        if None in claimed or claimed == [0, 0] or claimed == list(size):
            return
        turned = " turned by a quarter (its EXIF orientation)" if claimed == list(size[::-1]) else ""
        found = f"claims {claimed[0]:g} x {claimed[1]:g} pixels for {path}, the upright image has {size[0]} x {size[1]}{turned}"
        self.gathered.find("size-disagrees", where[0], found, where[1])
        image.problems.append("size-disagrees")

    def _box(self, path: str, image: _Image, label: str, table: Table, row: list[str], where: tuple[str, int], in_pixels: bool) -> None:
        columns = table.columns
        texts = [row[at].strip() for at in columns.box or ()]
        if not any(texts) and not label:
            return
        box = csv_boxes.parse(texts, columns.kind, in_pixels=in_pixels)
        if not label:
            raise LabelError("class-missing", f"the box {', '.join(texts)[:80]} has no class")
        self.gathered.tally(where[0], *box.oddities)
        size = self._size(path, image) if in_pixels else (1, 1)
        if size is None:
            return  # what is wrong with the image is found where images are measured
        corners: Corners = (box.corners[0] / size[0], box.corners[1] / size[1], box.corners[2] / size[0], box.corners[3] / size[1])
        if box.code:
            self.gathered.reject(path, label, corners, where, box.code, box.found)
            return
        crowd, difficult = (csv_boxes.is_set(row, at) for at in (columns.crowd, columns.difficult))
        self.gathered.box(path, label, corners, where, lambda: self._size(path, image), crowd=crowd, difficult=difficult)

    def _size(self, path: str, image: _Image) -> Size | None:
        if not image.is_measured:
            image.size, image.is_measured = self.tree.size(path), True
        return image.size


def _descriptions(tree: Tree) -> dict[str, str]:
    """Open Images' names: `/m/0k4j` is "Car". Raises DataError when a file of them contradicts another."""
    names: dict[str, str] = {}
    for path in tree.with_suffix(".csv"):
        if not posixpath.basename(path).startswith(DESCRIPTIONS):
            continue
        try:
            rows = [row for row in csv.reader(tree.text(path, csv_file.LIMIT).lines()) if len(row) == 2]
        except (LabelError, csv.Error) as error:
            raise DataError(f"{tree.root / path} cannot be read ({error}), expected rows of LabelName and DisplayName") from error
        for code, name in rows:
            if names.setdefault(code, name.strip()) != name.strip():
                raise DataError(f"conflicting class maps: {tree.root / path} calls {code} {name!r}, before it was {names[code]!r}")
    return names
