"""Pascal VOC: an XML file an image, ImageSets/Main with a list a split, and CVAT's labelmap.txt for the order of the classes."""

import posixpath
from collections.abc import Iterator
from xml.sax.saxutils import escape

from components.data.export.pictures import Box, Picture, number
from components.data.formats.box_checks import Size
from components.data.formats.voc import LABEL_MAP, LABEL_MAP_HEADER

_UNSPLIT = "default"
_THIN = 1 + 1e-6  # pixels


def files(pictures: list[Picture], classes: list[str]) -> Iterator[tuple[str, str]]:
    """Each file's path and text."""
    lists: dict[str, list[str]] = {}
    for picture in pictures:
        stem = posixpath.splitext(picture.name)[0]
        lists.setdefault(picture.split or _UNSPLIT, []).append(f"{stem}\n")
        yield f"Annotations/{stem}.xml", _annotation(picture)
    for name, lines in lists.items():
        yield f"ImageSets/Main/{name}.txt", "".join(lines)
    yield LABEL_MAP, f"{LABEL_MAP_HEADER}\n" + "".join(f"{name}:::\n" for name in classes)


def _annotation(picture: Picture) -> str:
    width, height = picture.size
    name = escape(posixpath.basename(picture.name))
    size = f"\t<size>\n\t\t<width>{width}</width>\n\t\t<height>{height}</height>\n\t\t<depth>3</depth>\n\t</size>\n"
    objects = "".join(_object(box, picture.size) for box in picture.boxes)
    return f"<annotation>\n\t<folder>JPEGImages</folder>\n\t<filename>{name}</filename>\n{size}{objects}</annotation>\n"


def _object(box: Box, size: Size) -> str:
    """One-based pixels, the last of them inside the box: a whole pixel stays a whole number."""
    x0, y0, x1, y1 = box.corners
    xs, ys = _side(x0, x1, size[0]), _side(y0, y1, size[1])
    corners = "".join(
        f"\t\t\t<{name}>{value}</{name}>\n"
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), (xs[0], ys[0], xs[1], ys[1]), strict=True)
    )
    crowd = "\t\t<iscrowd>1</iscrowd>\n" if box.is_crowd else ""
    return (
        f"\t<object>\n\t\t<name>{escape(box.label)}</name>\n\t\t<pose>Unspecified</pose>\n\t\t<truncated>0</truncated>\n"
        f"\t\t<difficult>{int(box.is_difficult)}</difficult>\n{crowd}\t\t<bndbox>\n{corners}\t\t</bndbox>\n\t</object>\n"
    )


def _side(low: float, high: float, pixels: int) -> tuple[str, str]:
    """A side of at most one pixel is written with decimals, or it would read as a click without a drag."""
    thin = (high - low) * pixels <= _THIN
    return number(low * pixels + 1, decimals=thin), number(high * pixels, decimals=thin)
