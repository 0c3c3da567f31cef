"""Pascal VOC: one XML file an image, in `Annotations/` beside `JPEGImages/`, or beside the image itself."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from xml.parsers import expat

from components.data.decode import DecodeError, read_size
from components.data.files import inside, is_image, relative, walk
from components.data.formats.listing import SPLIT_NAMES, Collector, Corners, Listing, unique_names

_LINE = "line"
_LISTS = {"train": "train", "val": "val", "test": "test", "trainval": "train"}


class AnnotationError(ValueError):
    """An XML file that is not a usable annotation; the message says why, `line` where, `code` what kind of finding it is."""

    def __init__(self, line: int, message: str, code: str = "label-unreadable") -> None:
        """Say what is wrong, and in which line."""
        super().__init__(message)
        self.line = line
        self.code = code


def read(root: Path) -> Listing:
    """Read Pascal VOC annotations. Their pixels are one-based and inclusive: x_min becomes (xmin - 1) / width.

    The true size of the image is what counts; an annotation that claims another is a finding, and its image is left
    out. `ImageSets/Main/{train,val,test}.txt`, or folders of these names, give the split.
    """
    gathered = Collector()
    labelled: set[Path] = set()
    split_of = _splitter(root)
    for annotation, image in _pairs(root):
        if image is None:
            gathered.find("no-image", relative(root, annotation), "annotates an image that is not there")
        elif image not in labelled:
            labelled.add(image)
            _read_annotation(root, annotation, image, split_of(image), gathered)
    for image in (path for path in walk(root) if is_image(path) and path not in labelled):
        gathered.find("no-annotation", relative(root, image), "has no annotation: what it shows is not known")
        gathered.image(relative(root, image), None, split_of(image), "no-annotation")
    classes = sorted({str(row["label"]) for row in gathered.boxes if not row["problems"]})
    return gathered.listing("voc", unique_names(classes, str(root)))


def find_annotations(root: Path) -> Iterator[Path]:
    """The XML files of the dataset."""
    return (path for path in walk(root) if path.suffix.lower() == ".xml")


def parse(data: bytes) -> ElementTree.Element:
    """Parse XML, each element's attribute `line` its line; a DOCTYPE is refused, and with it every entity.

    Raises AnnotationError.
    """
    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate()

    def start(tag: str, attributes: dict[str, str]) -> None:
        builder.start(tag, attributes | {_LINE: str(parser.CurrentLineNumber)})

    def refuse(*_: object) -> None:
        raise AnnotationError(parser.CurrentLineNumber, "has a DOCTYPE, which an annotation does not need and which can hide entities")

    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise AnnotationError(error.lineno, f"is not valid XML ({error})") from error
    return builder.close()


def _pairs(root: Path) -> Iterator[tuple[Path, Path | None]]:
    images = cache(lambda folder: {path.stem: path for path in sorted(folder.iterdir()) if is_image(path)} if folder.is_dir() else {})
    for annotation in find_annotations(root):
        above = annotation.parent.parent
        folders = [annotation.parent]
        if annotation.parent != root:
            folders += [above / name for name in ("JPEGImages", "images", "Images")]
        yield annotation, next((images(folder)[annotation.stem] for folder in folders if annotation.stem in images(folder)), None)


def _splitter(root: Path) -> Callable[[Path], str | None]:
    lists = cache(_split_lists)

    def split_of(image: Path) -> str | None:
        above = image.parent.parent if image.parent != root else root
        named = [SPLIT_NAMES[part.lower()] for part in image.parent.relative_to(root).parts if part.lower() in SPLIT_NAMES]
        return lists(above / "ImageSets" / "Main").get(image.stem) or (named[0] if named else None)

    return split_of


def _split_lists(folder: Path) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, split in _LISTS.items():
        path = folder / f"{name}.txt"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        for line in lines:
            if line.strip():
                given.setdefault(line.split()[0], split)
    return given


def _read_annotation(root: Path, annotation: Path, image: Path, split: str | None, gathered: Collector) -> None:
    where, path = relative(root, annotation), relative(root, image)
    if not inside(root, image):
        gathered.find("link-outside", path, "is a link that leaves the dataset")
        return
    try:
        tree = parse(annotation.read_bytes())
        width, height = _size(tree, image)
    except AnnotationError as error:
        gathered.find(error.code, where, str(error), error.line, form="an annotation in Pascal VOC's XML")
        gathered.image(path, None, split, error.code)
        return
    except DecodeError:
        gathered.image(path, None, split)  # what is wrong with the image is found where images are measured
        return
    gathered.image(path, None, split)
    for entry in tree.iter("object"):
        _read_object(path, entry, (where, int(entry.get(_LINE, "1"))), (width, height), gathered)


def _size(tree: ElementTree.Element, image: Path) -> tuple[int, int]:
    width, height = read_size(image)
    size = tree.find("size")
    claimed = (tree.findtext("size/width", "").strip(), tree.findtext("size/height", "").strip())
    if size is not None and set(claimed) - {"", "0"} and claimed != (str(width), str(height)):
        found = f"claims {claimed[0]} x {claimed[1]} pixels, the upright image has {width} x {height}"
        raise AnnotationError(int(size.get(_LINE, "1")), found, "size-disagrees")
    return width, height


def _read_object(path: str, entry: ElementTree.Element, source: tuple[str, int], size: tuple[int, int], gathered: Collector) -> None:
    label = entry.findtext("name", "").strip()
    corners = _corners(entry, size)
    if not label or corners is None:
        form = "a name, and numbers for xmin, ymin, xmax and ymax in bndbox"
        gathered.find("label-unreadable", source[0], "object lacks a name or a corner", source[1], form=form)
        return
    gathered.box(path, label, corners, *source, entry.findtext("difficult", "0").strip() == "1")


def _corners(entry: ElementTree.Element, size: tuple[int, int]) -> Corners | None:
    try:
        x0, y0, x1, y1 = (float(entry.findtext(f"bndbox/{name}", "")) for name in ("xmin", "ymin", "xmax", "ymax"))
    except ValueError:
        return None
    # A corner repeated (xmin = xmax) is a click without a drag in every tool seen, never an object one pixel wide.
    x0, y0 = (x0 - 1 if x0 < x1 else x1), (y0 - 1 if y0 < y1 else y1)
    return x0 / size[0], y0 / size[1], x1 / size[0], y1 / size[1]
