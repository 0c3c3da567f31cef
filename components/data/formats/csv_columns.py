"""Which column of a CSV file of labels means what: by its header, or by what the first rows hold."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.data.formats.splits import SPLIT_NAMES
from components.data.tables import SEVERAL

# Names as written in the wild, in the order of preference; case, blanks and punctuation do not count.
_IMAGE = ("imagepath", "filepath", "path", "filename", "file", "image", "img", "imagename", "imagefile", "imageid", "id")
_LABEL = ("label", "class", "classname", "labelname", "category", "categoryname", "target", "species")
_SPLIT = ("split", "set", "subset", "partition", "usage")
_GROUP = ("group", "groupid", "patient", "patientid", "subject", "subjectid")
_CROWD = ("isgroupof", "iscrowd", "crowd")
_DIFFICULT = ("isdifficult", "difficult")
_CONFIDENCE = ("confidence",)
_CORNERS = (
    ("xmin", "ymin", "xmax", "ymax"),
    ("x1", "y1", "x2", "y2"),
    ("x0", "y0", "x1", "y1"),
    ("left", "top", "right", "bottom"),
    ("bboxx1", "bboxy1", "bboxx2", "bboxy2"),
)
_EXTENTS = (
    ("x", "y", "w", "h"),
    ("x", "y", "width", "height"),
    ("left", "top", "width", "height"),
    ("bboxx", "bboxy", "bboxwidth", "bboxheight"),
    ("bboxx", "bboxy", "bboxw", "bboxh"),
)
_CENTERS = (
    ("xcenter", "ycenter", "width", "height"),
    ("cx", "cy", "w", "h"),
    ("xc", "yc", "w", "h"),
    ("centerx", "centery", "width", "height"),
)
_SIZES = (("imagewidth", "imageheight"), ("imgwidth", "imgheight"), ("width", "height"))
# Google AutoML's rows have no header: set, path, label, then the corners, of which the second and fourth are often left empty.
_AUTOML = 11
_PUNCTUATION = re.compile(r"[^a-z0-9]")
EXPECTED = (
    "a header with image (or path, filename, image_id), label (or class), for detection also xmin, ymin, xmax, ymax (or x, y, w, h, or "
    "x_center, y_center, width, height), and if you like split and group; or rows without header in the order image, label or "
    "image, xmin, ymin, xmax, ymax, label"
)


@dataclass(frozen=True)
class Columns:
    """The place of each column, None where there is none. `box` is four places, read as `kind` says: corners, extents or centers.

    `size` is the image's width and height in pixels.
    """

    image: int
    label: int | None
    header: bool
    box: tuple[int, int, int, int] | None = None
    kind: str = "corners"
    split: int | None = None
    group: int | None = None
    crowd: int | None = None
    difficult: int | None = None
    confidence: int | None = None
    size: tuple[int, int] | None = None
    width: int = 0


def recognise(rows: Sequence[list[str]], is_image: Callable[[str], bool]) -> Columns | None:
    """The columns of a file whose first rows these are; None when they are not labels of images.

    `is_image` answers whether a text names an image of the dataset.
    """
    if not rows:
        return None
    by_header = _of_header([_plain(name) for name in rows[0]])
    return by_header or _of_rows([row for row in rows if row], is_image)


def joined(before: str | None, value: str) -> str | None:
    """What an image's rows say together in such a column: a blank says nothing, two different texts say SEVERAL."""
    if not value or before == value:
        return before
    return value if before is None else SEVERAL


def _plain(name: str) -> str:
    return _PUNCTUATION.sub("", name.lower())


def further(columns: Columns, header: Sequence[str]) -> dict[str, int]:
    """The place of each named column that means nothing here, but for the group if it bears a name of its own; of two of one name the first."""
    names = [name.strip() for name in header]
    known = {columns.image, columns.label, columns.split, columns.crowd, columns.difficult, columns.confidence}
    known |= {*(columns.box or ()), *(columns.size or ())}
    known |= {at for at in (columns.group,) if at is not None and _plain(names[at]) in _GROUP}
    return {name: at for at, name in enumerate(names) if name and at not in known and names.index(name) == at}


def _of_header(names: list[str]) -> Columns | None:
    place = {name: at for at, name in reversed(list(enumerate(names)))}

    def first(wanted: tuple[str, ...]) -> int | None:
        return next((place[name] for name in wanted if name in place), None)

    image, label = first(_IMAGE), first(_LABEL)
    kind, box = _box(place)
    if image is None or (label is None and box is None) or image == label:
        return None
    size = next(((place[w], place[h]) for w, h in _SIZES if w in place and h in place), None)
    size = None if size and box and set(size) & set(box) else size
    split, group = first(_SPLIT), first(_GROUP)
    crowd, difficult, confidence = first(_CROWD), first(_DIFFICULT), first(_CONFIDENCE)
    return Columns(image, label, True, box, kind, split, group, crowd, difficult, confidence, size, len(names))


def _box(place: dict[str, int]) -> tuple[str, tuple[int, int, int, int] | None]:
    for kind, systems in (("corners", _CORNERS), ("centers", _CENTERS), ("extents", _EXTENTS)):
        for a, b, c, d in systems:
            if {a, b, c, d} <= place.keys():
                return kind, (place[a], place[b], place[c], place[d])
    return "corners", None


def _of_rows(rows: list[list[str]], is_image: Callable[[str], bool]) -> Columns | None:
    width = len(rows[0])
    if any(len(row) != width for row in rows):
        return None
    columns = [[row[at].strip() for row in rows] for at in range(width)]
    image = next((at for at, values in enumerate(columns) if any(is_image(value) for value in values if value)), None)
    if image is None:
        return None
    split = next((at for at, values in enumerate(columns) if all(value.lower() in SPLIT_NAMES for value in values)), None)
    if width == _AUTOML and (split, image) == (0, 1):
        return Columns(1, 2, False, (3, 4, 7, 8), split=0, width=width)
    rest = [at for at in range(width) if at not in (image, split)]
    if len(rest) == 1:
        return Columns(image, rest[0], False, split=split, width=width)
    numbers = [at for at in rest if all(_is_number(value) for value in columns[at] if value)]
    if len(rest) != 5 or len(numbers) < 4:
        return None
    # Where the classes are numbers too, the label stands last (RetinaNet's order), the one that tools write.
    label = next((at for at in rest if at not in numbers), rest[-1])
    a, b, c, d = (at for at in rest if at != label)
    return Columns(image, label, False, (a, b, c, d), split=split, width=width)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
