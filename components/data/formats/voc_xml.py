"""One Pascal VOC annotation: XML with one-based, inclusive pixels."""

import re
import xml.etree.ElementTree as ElementTree
from typing import NamedTuple
from xml.parsers import expat

from components.data.boxes import Corners
from components.data.formats.box_checks import Size, looks_like_fractions
from components.data.formats.text import LabelError

LIMIT = 4 * 1024 * 1024  # bytes: ten thousand objects and more
FORM = "an annotation in Pascal VOC's XML"
_DEPTH = 32
_LINE = "line"
_BREAKS = re.compile(r"\s*[\t\r\n]\s*")  # a name may be laid out over several lines
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+")


class Object(NamedTuple):
    """An `object` of an annotation; its corners are fractions of the image. `code` says why it cannot be used, if it cannot."""

    label: str
    corners: Corners
    line: int
    is_difficult: bool
    is_crowd: bool
    code: str | None
    found: str
    oddities: tuple[str, ...]


def parse(data: bytes) -> ElementTree.Element:
    """Parse XML, each element's attribute `line` its line; a DOCTYPE is refused, and with it every entity.

    Raises LabelError.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEPTH:
            raise LabelError("label-too-deep", f"nests deeper than {_DEPTH} elements", parser.CurrentLineNumber, limit=_DEPTH)
        builder.start(tag, attributes | {_LINE: str(parser.CurrentLineNumber)})

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def refuse(*_: object) -> None:
        raise LabelError("xml-doctype", "has a DOCTYPE", parser.CurrentLineNumber)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise LabelError("label-unreadable", f"is not valid XML ({error})", max(error.lineno, 1), form=FORM) from error
    except (LookupError, ValueError) as error:  # an encoding nobody knows, or knows by several bytes a letter
        raise LabelError("label-not-text", f"is not in an encoding that can be read ({error})", 1) from error
    return builder.close()


def annotation(data: bytes) -> ElementTree.Element:
    """`parse`, and the root must be an `annotation`. Raises LabelError."""
    root = parse(data)
    if root.tag.lower() != "annotation":
        raise LabelError("label-unreadable", f"holds <{root.tag[:40]}>, not <annotation>", _line(root), form=FORM)
    return root


def check_size(root: ElementTree.Element, size: Size) -> None:
    """Raise LabelError when the annotation claims another size than the upright image's (width, height) in pixels."""
    element = root.find("size")
    claimed = [root.findtext(f"size/{name}", "").strip() for name in ("width", "height")]
    if element is None or not set(claimed) - {"", "0"}:
        return
    numbers = [value for text in claimed if (value := _number(text)) is not None]
    if numbers != list(size):
        turned = " turned by a quarter (its EXIF orientation)" if numbers == list(size[::-1]) else ""
        found = f"claims {claimed[0]} x {claimed[1]} pixels, the upright image has {size[0]} x {size[1]}{turned}"
        raise LabelError("size-disagrees", found, _line(element))


def objects(root: ElementTree.Element, size: Size) -> list[Object]:
    """The objects of an annotation of an image of `size` (width, height) pixels."""
    return [_object(entry, size) for entry in root.iter("object")]


def _object(entry: ElementTree.Element, size: Size) -> Object:
    label = _BREAKS.sub(" ", entry.findtext("name", "").strip())
    difficult, crowd = (entry.findtext(name, "0").strip().lower() in ("1", "true") for name in ("difficult", "iscrowd"))
    texts = [entry.findtext(f"bndbox/{name}", "").strip() for name in ("xmin", "ymin", "xmax", "ymax")]
    commas = any(map(_DECIMAL_COMMA.fullmatch, texts))
    values = [_number(text.replace(",", ".") if _DECIMAL_COMMA.fullmatch(text) else text) for text in texts]
    code, found, corners = None, "", (0.0, 0.0, 0.0, 0.0)
    numbers = [value for value in values if value is not None]
    if not label:
        code, found = "class-missing", "object has no name"
    elif "" in texts:
        code, found = "corner-missing", f"object {label!r} lacks a corner of its bndbox"
    elif len(numbers) < 4:
        code, found = "not-a-number", f"object {label!r} has the corners {', '.join(texts)[:80]}"
    else:
        corners = _corners(numbers, texts, size)
        if looks_like_fractions((numbers[0], numbers[1], numbers[2], numbers[3])) and min(numbers[:2]) < 1:  # the first pixel is 1
            code, found = "box-in-fractions", f"object {label!r} has the corners {', '.join(texts)}"
    return Object(label, corners, _line(entry), difficult, crowd, code, found, ("label-decimal-comma",) if commas else ())


def _corners(values: list[float], texts: list[str], size: Size) -> Corners:
    """From one-based pixels, the last of them inside the box, to fractions.

    Whole numbers repeated (xmin = xmax) are a click without a drag in every tool seen, never an object one pixel wide;
    one that is meant is written with decimals ("5.0"), as `components.data.export` does.
    """
    starts = []
    for low, high in ((0, 2), (1, 3)):
        whole = "." not in texts[low] and "." not in texts[high]
        starts.append(values[low] - 1 if not whole or values[low] < values[high] else values[low])
    return starts[0] / size[0], starts[1] / size[1], values[2] / size[0], values[3] / size[1]


def _number(text: str) -> float | None:
    try:
        return None if "_" in text else float(text)
    except ValueError:
        return None


def _line(element: ElementTree.Element) -> int:
    return int(element.get(_LINE, "1"))
