"""What a COCO JSON file says, element by element, checked for form; nothing is resolved yet."""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from components.data.formats import segments
from components.data.boxes import Corners
from components.data.formats.box_checks import Size
from components.data.formats.json_stream import Element, elements
from components.data.formats.listing import Collector
from components.data.formats.text import LabelError
from components.data.formats.tree import Tree
from components.errors import DataError

LISTS = ("images", "annotations", "categories")
Id = int | str
_FORMS = {
    "images": "an object with id and file_name",
    "annotations": "an object with image_id, category_id, and bbox [x, y, width, height] or a segmentation",
    "categories": "an object with a whole number as id, and a name",
}


class Image(NamedTuple):
    """An entry of `images`; `size` is what it claims in pixels, `split` None where it says nothing of it."""

    line: int
    name: str
    size: Size | None
    split: str | None
    says_split: bool


class Annotation(NamedTuple):
    """An entry of `annotations`; its box in pixels (x_min, y_min, x_max, y_max), `confirmed` where its segmentation has the same."""

    line: int
    number: int
    id: object
    image_id: Id
    category_id: Id
    corners: Corners
    is_crowd: bool
    is_difficult: bool
    confirmed: bool

    @property
    def words(self) -> str:
        """What to call it."""
        return _words(self.number, self.id)


@dataclass
class Document:
    """One file: its images by id, its annotations in order, its categories by id."""

    path: str
    images: dict[Id, Image] = field(default_factory=dict)
    annotations: deque[Annotation] = field(default_factory=deque)
    categories: dict[int, str] = field(default_factory=dict)


def load(tree: Tree, path: str, gathered: Collector) -> Document:
    """Read a file; what is wrong with single elements is found. Raises DataError when the file as a whole cannot be used."""
    document = Document(path)
    ids: set[Id] = set()
    try:
        odd, stream = elements(tree.root / path, LISTS)
        gathered.tally(path, *odd)
        for element in stream:
            try:
                _add(document, element, ids, gathered)
            except (_FormError, OverflowError) as error:  # a whole number can be too large for a float
                _tell(path, element, str(error), gathered)
    except LabelError as error:
        where = f"{tree.root / path}:{error.line}" if error.line else f"{tree.root / path}"
        raise DataError(f"{where} {error.found}; expected COCO's JSON: mend it or export it again") from error
    return document


class _FormError(ValueError):
    pass


def _add(document: Document, element: Element, ids: set[Id], gathered: Collector) -> None:
    value = element.value
    if not isinstance(value, dict):
        raise _FormError(f"is {str(value)[:60]!r}")
    if element.name == "annotations":
        own = value.get("id")
        if isinstance(own, Id):
            if own in ids:
                gathered.find("id-repeated", document.path, f"annotations[{element.number}] has the id {own!r} again", element.line)
            ids.add(own)
        _add_annotation(document, element, gathered)
    elif element.name == "images":
        number = _id(value, "id")
        if number in document.images:
            found = f"images[{element.number}] has the id {number!r} of {document.images[number].name!r}: passed over"
            gathered.find("id-duplicate", document.path, found, element.line)
            return
        document.images[number] = _image(value, element.line)
    else:
        _add_category(document, value)


def _add_category(document: Document, value: dict[str, Any]) -> None:
    number, name = _id(value, "id"), value.get("name")
    if not isinstance(number, int) or not isinstance(name, str) or not name.strip():
        raise _FormError(f"has id {number!r} and name {str(name)[:60]!r}")
    if document.categories.setdefault(number, name.strip()) != name.strip():
        raise DataError(
            f"conflicting class maps: {document.path} gives the id {number} to {document.categories[number]!r} and to {name!r}; "
            "expected one name each: correct the categories"
        )


def _image(value: dict[str, Any], line: int) -> Image:
    name, width, height = value.get("file_name"), value.get("width"), value.get("height")
    if not isinstance(name, str) or not name.strip():
        raise _FormError(f"has the file_name {str(name)[:60]!r}")
    claimed = (width, height) if type(width) is int and type(height) is int and width > 0 and height > 0 else None
    split = value.get("split")
    known = split in ("train", "val", "test")
    return Image(line, name, claimed, split if known else None, known or ("split" in value and split is None))


def _add_annotation(document: Document, element: Element, gathered: Collector) -> None:
    value = element.value
    image_id, category_id = _id(value, "image_id"), _id(value, "category_id")
    drawn = segments.bounds(value.get("segmentation")) if _wants_segmentation(value) else None
    given = value.get("bbox")
    corners = _corners(given) if given not in (None, []) else drawn
    if corners is None:
        raise _FormError(f"has the bbox {str(given)[:60]!r} and no segmentation that can be read")
    overlap = _overlap(drawn, corners) if drawn is not None and given else 0.5
    if drawn is not None and overlap < 0.5:
        found = f"{_words(element.number, value.get('id'))} has a segmentation from {_shown(drawn)}, and a bbox from {_shown(corners)}"
        gathered.find("segmentation-disagrees", document.path, found, element.line)
    crowd, difficult = value.get("iscrowd") in (1, True), any(value.get(name) in (1, True) for name in ("ignore", "difficult"))
    identity = (element.line, element.number, value.get("id"), image_id, category_id)
    document.annotations.append(Annotation(*identity, corners, crowd, difficult, overlap > 0.5))


def _wants_segmentation(value: dict[str, Any]) -> bool:
    """Masks are drawn only where there is no bbox; polygons always, for they cost little."""
    return isinstance(value.get("segmentation"), list) or not value.get("bbox")


def _id(value: dict[str, Any], key: str) -> Id:
    found = value.get(key)
    if isinstance(found, float) and found.is_integer():
        return int(found)
    if isinstance(found, bool) or not isinstance(found, Id):
        raise _FormError(f"has the {key} {str(found)[:60]!r}")
    return found


def _corners(bbox: Any) -> Corners | None:
    if not isinstance(bbox, list) or len(bbox) != 4 or not all(type(value) in (int, float) for value in bbox):
        return None
    x, y, width, height = map(float, bbox)
    return x, y, x + width, y + height


def _overlap(one: Corners, other: Corners) -> float:
    """Intersection over union; 1 where either is degenerate, which is told elsewhere."""
    areas = [max(box[2] - box[0], 0) * max(box[3] - box[1], 0) for box in (one, other)]
    width, height = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    union = sum(areas) - shared
    return shared / union if min(areas) > 0 and math.isfinite(union) else 1.0


def _words(number: int, own: object) -> str:
    return f"annotations[{number}]" + (f" (id {own!r})" if isinstance(own, Id) else "")


def _shown(corners: Corners) -> str:
    return f"({corners[0]:.4g}, {corners[1]:.4g}) to ({corners[2]:.4g}, {corners[3]:.4g})"


def _tell(path: str, element: Element, found: str, gathered: Collector) -> None:
    gathered.find("record-unreadable", path, f"{element.name}[{element.number}] {found}", element.line, form=_FORMS[element.name])
