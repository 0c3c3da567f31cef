"""COCO: one or several JSON files with images, annotations and categories; boxes are `[x, y, width, height]` in pixels."""

import mmap
import posixpath

from components.data.formats import coco_json
from components.data.boxes import Corners
from components.data.formats.box_checks import Size, looks_like_fractions
from components.data.formats.coco_json import Annotation, Document, Id, Image
from components.data.formats.listing import Collector, Listing, merged_names, unique_names
from components.data.formats.missing import missing, note_unlisted
from components.data.formats.splits import split_of_name, split_of_path
from components.data.formats.tree import Tree
from components.errors import DataError

_KEYS = ('"images"', '"annotations"', '"categories"')
_PREFERRED = "instances"  # COCO lays captions_ and person_keypoints_ of the same images beside them


def find(tree: Tree) -> list[str]:
    """The JSON files that speak of images, annotations and categories; of COCO's own, those of instances."""
    found = [path for path in tree.with_suffix(".json") if _has_keys(tree, path)]
    return [path for path in found if posixpath.basename(path).startswith(_PREFERRED)] or found


def read(tree: Tree) -> Listing:
    """Read COCO JSON files. A box becomes its pixels by the true size of the upright image.

    Annotations without a bbox are bounded by their segmentation, polygons or masks. `iscrowd` is kept, `ignore` or
    `difficult` becomes is_difficult. An entry's `split` counts first, then what the file's name or folder says, then
    the image's folder. The classes stand in the order of their ids. Raises DataError when a file cannot be used, two
    contradict one another in their categories, or an image stands in two splits.
    """
    gathered = Collector()
    paths = find(tree) or list(tree.with_suffix(".json"))
    if not paths:
        raise DataError(f"{tree.root} holds no JSON file, expected one with the lists {', '.join(_KEYS)}: export the labels as COCO JSON")
    documents = [coco_json.load(tree, path, gathered) for path in paths]
    names = merged_names({str(tree.root / one.path): one.categories for one in documents})
    if not names:
        raise DataError(f"{tree.root / paths[0]} holds no categories, expected a list of objects with id and name")
    for path in (path for path in tree.with_suffix(".json") if path not in paths and _has_keys(tree, path)):
        gathered.find("file-ignored", path, f"is passed over beside {paths[0]}")
    splits: dict[str, str | None] = {}
    for document in documents:
        _read_document(tree, document, names, splits, gathered)
    note_unlisted(tree.images, splits, "no JSON file", gathered)
    return gathered.listing("coco", unique_names(list(names.values()), str(tree.root / paths[0])))


def _has_keys(tree: Tree, path: str) -> bool:
    """Whether the keys stand anywhere in the file, which is not parsed: it may have hundreds of megabytes."""
    try:
        with (tree.root / path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            codecs = ("utf-8", "utf-16-le", "utf-16-be")
            return any(all(data.find(key.encode(codec)) >= 0 for key in _KEYS) for codec in codecs)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def _read_document(tree: Tree, document: Document, names: dict[int, str], splits: dict[str, str | None], gathered: Collector) -> None:
    stem = posixpath.splitext(posixpath.basename(document.path))[0]
    of_file = split_of_name(stem) or split_of_path(document.path)
    placed: dict[Id, tuple[str, Size | None]] = {}
    lost: set[Id] = set()
    for number, image in document.images.items():
        found = tree.find(image.name, posixpath.dirname(document.path), of_file)
        if len(found) == 1:
            split = image.split if image.says_split else of_file or split_of_path(found[0])
            placed[number] = (found[0], _place(tree, document, image, found[0], split, splits, gathered))
            continue
        lost.add(number)
        code, words = missing(image.name, found)
        gathered.find(code, document.path, words, image.line)
    while document.annotations:  # each is let go of as it is read: there may be a million
        one = document.annotations.popleft()
        if one.image_id in placed:
            _read_box(document.path, one, *placed[one.image_id], names, gathered)
        elif one.image_id not in lost:
            gathered.find("id-dangling", document.path, f"{one.words} has the image_id {one.image_id!r} of no image", one.line)


def _place(
    tree: Tree, document: Document, image: Image, path: str, split: str | None, splits: dict[str, str | None], gathered: Collector
) -> Size | None:
    """Add an image; answers its size in pixels, None when its boxes cannot be placed."""
    size = tree.size(path)
    if path in splits:
        if splits[path] != split:
            raise DataError(
                f"{tree.root / document.path}:{image.line} has {path} in {split}, which stands in {splits[path]} too, expected each "
                "image in one split: take it out of one"
            )
        gathered.find("image-listed-twice", document.path, f"lists {path} again", image.line)
        return size or image.size
    splits[path] = split
    if size and image.size and size != image.size:
        turned = " turned by a quarter (its EXIF orientation)" if size == image.size[::-1] else ""
        found = f"claims {image.size[0]} x {image.size[1]} pixels for {path}, the upright image has {size[0]} x {size[1]}{turned}"
        gathered.find("size-disagrees", document.path, found, image.line)
        gathered.image(path, None, split, "size-disagrees")
        return None
    gathered.image(path, None, split)
    return size or image.size


def _read_box(source: str, one: Annotation, path: str, size: Size | None, names: dict[int, str], gathered: Collector) -> None:
    if one.category_id not in names:
        gathered.find("id-dangling", source, f"{one.words} has the category_id {one.category_id!r} of no category", one.line)
        return
    if size is None:
        return
    label = names[int(one.category_id)]
    corners: Corners = (one.corners[0] / size[0], one.corners[1] / size[1], one.corners[2] / size[0], one.corners[3] / size[1])
    width, height = one.corners[2] - one.corners[0], one.corners[3] - one.corners[1]
    if width < 0 or height < 0:
        gathered.reject(path, label, corners, (source, one.line), "box-negative", f"{one.words} is {width:.4g} wide and {height:.4g} high")
    elif looks_like_fractions(one.corners) and min(size) > 1 and not one.confirmed:
        found = f"{one.words} reaches to ({one.corners[2]:.4g}, {one.corners[3]:.4g})"
        gathered.reject(path, label, corners, (source, one.line), "box-in-fractions", found)
    else:
        gathered.box(path, label, corners, (source, one.line), lambda: size, crowd=one.is_crowd, difficult=one.is_difficult)
