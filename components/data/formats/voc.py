"""Pascal VOC: one XML file an image, in `Annotations/` beside `JPEGImages/`, or beside the image itself."""

import posixpath
from collections.abc import Iterator
from functools import cache

from components.data.formats import voc_xml
from components.data.formats.listing import Collector, Listing, unique_names
from components.data.formats.splits import split_of_path
from components.data.formats.text import LabelError, encoding
from components.data.formats.tree import Tree
from components.errors import DataError

ANNOTATIONS = "annotations"
IMAGE_FOLDERS = ("JPEGImages", "images", "Images", "imgs", "img")
LABEL_MAP = "labelmap.txt"  # as CVAT writes it, with a class of its own for what is no object
LABEL_MAP_HEADER = "# label:color_rgb:parts:actions"
_BACKGROUND = ("background", "0,0,0")
_LISTS = {"train": "train", "val": "val", "test": "test", "trainval": "train", "default": None}
_LIST_LIMIT = 256 * 1024 * 1024  # bytes
_LOOKED_AT = 20  # files


def find(tree: Tree) -> Iterator[str]:
    """The XML files of the dataset."""
    return tree.with_suffix(".xml")


def looks_like(tree: Tree) -> bool:
    """Whether one of the first XML files speaks of an annotation, or lies in a folder `Annotations`."""
    for path, _ in zip(find(tree), range(_LOOKED_AT), strict=False):
        if ANNOTATIONS in path.lower().split("/")[:-1]:
            return True
        try:
            if b"<annotation" in tree.read(path, voc_xml.LIMIT).replace(b"\0", b""):
                return True
        except LabelError:
            continue
    return False


def read(tree: Tree) -> Listing:
    """Read Pascal VOC annotations. Their pixels are one-based and inclusive: x_min becomes (xmin - 1) / width.

    The true size of the image is what counts; an annotation that claims another is a finding, and its image is left
    out. `ImageSets/Main/{train,val,test}.txt` give the split, or, where there are none, folders of these names. The
    classes stand in the order of a labelmap.txt, then of the alphabet. `truncated` and `pose` have no place in the
    tables and are passed over.
    """
    gathered = Collector()
    splits = _Splits(tree)
    labelled = _pairs(tree, gathered)
    for image, path in labelled.items():
        _read_annotation(tree, path, image, splits.of(image), gathered)
    for image in (image for image in tree.images if image not in labelled):
        gathered.find("no-annotation", image, "has no annotation: what it shows is not known")
        gathered.image(image, None, splits.of(image), "no-annotation")
    return gathered.listing("voc", _classes(tree, gathered))


def base_of(path: str) -> tuple[str, str]:
    """The folder that holds `Annotations/`, `JPEGImages/` and `ImageSets/`, and the rest of the path below one of the first two."""
    parts = path.split("/")
    for at in reversed(range(len(parts) - 1)):
        if parts[at].lower() == ANNOTATIONS or parts[at] in IMAGE_FOLDERS:
            return "/".join(parts[:at]), "/".join(parts[at + 1 :])
    return posixpath.dirname(posixpath.dirname(path)), parts[-1]


class _Splits:
    """Which split an image is in."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._given = cache(self._lists)
        self._any = any("/ImageSets/Main/" in f"/{path}" and posixpath.basename(path)[:-4] in _LISTS for path in tree.with_suffix(".txt"))

    def of(self, image: str) -> str | None:
        """Raises DataError when a list cannot be read or two disagree."""
        if not self._any:
            return split_of_path(image)
        base, rest = base_of(image)
        given, stem = self._given(base), posixpath.splitext(rest)[0]
        return given[stem] if stem in given else given.get(posixpath.basename(stem))

    def _lists(self, base: str) -> dict[str, str | None]:
        given: dict[str, str | None] = {}
        for name, split in _LISTS.items():
            path = posixpath.join(base, "ImageSets", "Main", f"{name}.txt")
            for entry in self._entries(base, path) if path in self._tree.known else ():
                other = given.setdefault(entry, split)
                if other != split and not (name == "trainval" and other == "val"):
                    raise DataError(
                        f"{self._tree.root / path}: {entry} stands in {other} too, expected it in one split: take it out of one"
                    )
        return given

    def _entries(self, base: str, path: str) -> Iterator[str]:
        """Names without suffix; lists of one class add `1`, `0` or `-1` to each, where that is not part of the name."""
        try:
            lines = self._tree.text(path, _LIST_LIMIT).lines()
        except LabelError as error:
            raise DataError(f"{self._tree.root / path} {error.found}, expected the names of images, one a line") from error
        for line in filter(None, map(str.strip, lines)):
            words = line.rsplit(maxsplit=1)
            flagged = len(words) == 2 and words[1] in ("1", "0", "-1")
            is_name = flagged and any(self._tree.twins(posixpath.join(base, folder, f"{line}.xml")) for folder in IMAGE_FOLDERS)
            yield words[0] if flagged and not is_name else line


def _pairs(tree: Tree, gathered: Collector) -> dict[str, str]:
    """The annotation of each image: the one that bears its name, else one that names it as its `filename`."""
    labelled: dict[str, str] = {}
    others = []
    for path in find(tree):
        twins = _twins(tree, path)
        image = twins[0] if len(twins) == 1 else _named(tree, path, twins)
        if not twins:
            others.append((path, image))
        elif labelled.setdefault(str(image), path) != path:
            gathered.find("image-listed-twice", path, f"annotates {image}, as {labelled[str(image)]} does: passed over")
    for path, image in others:
        if image is None or labelled.setdefault(image, path) != path:
            gathered.find("no-image", path, "annotates an image that is not there")
    return labelled


def _twins(tree: Tree, annotation: str) -> list[str]:
    """The images that bear an annotation's name: beside it, or in the folder of images beside its own."""
    parts = annotation.split("/")
    at = next((at for at in reversed(range(len(parts) - 1)) if parts[at].lower() == ANNOTATIONS), len(parts) - 2)
    above = ["/".join([*parts[:at], name, *parts[at + 1 :]]) for name in IMAGE_FOLDERS] if at >= 0 else []
    return next(filter(None, map(tree.twins, [annotation, *above])), [])


def _named(tree: Tree, annotation: str, among: list[str]) -> str | None:
    """The image that an annotation names, of some of its name or of all; of some the first if it names none of them."""
    try:
        name = voc_xml.parse(tree.read(annotation, voc_xml.LIMIT)).findtext("filename", "").strip()
    except LabelError:
        name = ""
    if among:
        return next((image for image in among if posixpath.basename(image) == name), among[0])
    found = tree.find(name, posixpath.dirname(annotation)) if name else []
    return found[0] if len(found) == 1 else None


def _read_annotation(tree: Tree, path: str, image: str, split: str | None, gathered: Collector) -> None:
    size = tree.size(image)
    try:
        data = tree.read(path, voc_xml.LIMIT)
        root = voc_xml.annotation(data)
        if size is not None:
            voc_xml.check_size(root, size)
    except LabelError as error:
        gathered.refuse(path, error)
        gathered.image(image, None, split, error.code)
        return
    gathered.image(image, None, split)
    gathered.tally(path, *encoding(data[:64])[2])
    for one in voc_xml.objects(root, size) if size else ():  # what is wrong with the image is found where images are measured
        gathered.tally(path, *one.oddities)
        if one.code is None:
            gathered.box(image, one.label, one.corners, (path, one.line), lambda: size, crowd=one.is_crowd, difficult=one.is_difficult)
        elif one.code == "box-in-fractions":
            gathered.reject(image, one.label, one.corners, (path, one.line), one.code, one.found)
        else:
            gathered.find(one.code, path, one.found, one.line)


def _classes(tree: Tree, gathered: Collector) -> list[str]:
    """Names that a labelmap.txt lists, in its order, then the others that sound boxes bear, in the alphabet's."""
    used = {str(row[1]) for row in gathered.boxes if not row[-1]}
    listed: list[str] = []
    if LABEL_MAP in tree.known:
        try:
            lines = tree.text(LABEL_MAP, voc_xml.LIMIT).lines()
        except LabelError as error:
            raise DataError(f"{tree.root / LABEL_MAP} {error.found}, expected `name:color:parts:actions`, one a line") from error
        rows = [line.rsplit(":", 3) for line in lines if not line.startswith(LABEL_MAP_HEADER)]
        listed = [row[0].strip() for row in rows if len(row) == 4 and (tuple(row[:2]) != _BACKGROUND or row[0] in used)]
        listed = list(dict.fromkeys(listed))
    return unique_names([*listed, *sorted(used - set(listed))], str(tree.root))
