"""Class folders: `<class>/<image>`, nested as deep as one likes, with or without `train/`, `val/` and `test/` above them."""

from collections import Counter

from components.data.files import is_image, visible
from components.data.formats.listing import Collector, Listing, unique_names
from components.data.formats.splits import SPLIT_NAMES
from components.data.formats.tree import Tree
from components.errors import DataError

TOP, LEAF = "folder", "leaf-folder"


def read(tree: Tree, layout: str = TOP) -> Listing:
    """Read class folders.

    Where folders nest, `layout` says which is the class: "folder", the one at the top (or next below the split),
    whatever lies deeper belonging to it; or "leaf-folder", the one that holds the image. A nested dataset is noted,
    since both can be meant. Raises DataError when split folders and class folders stand side by side, or two classes
    differ only in case.
    """
    gathered = Collector()
    splits = split_folders(tree)
    nested: Counter[str] = Counter()
    for path in tree.paths:
        parts = path.split("/")
        split = SPLIT_NAMES[parts[0].lower()] if splits and len(parts) > 1 and parts[0] in splits else None
        folders = parts[1 if split else 0 : -1]
        if folders and is_image(tree.root / path):
            gathered.image(path, folders[0 if layout == TOP else -1], split)
            nested.update([folders[0]] if len(folders) > 1 else [])
        else:
            _odd(tree, path, folders, gathered)
    _note_nested(nested, layout, gathered)
    _note_empty(tree, splits, gathered)
    classes = sorted({str(row[1]) for row in gathered.images})
    return gathered.listing(layout, unique_names(classes, str(tree.root)))


def split_folders(tree: Tree) -> list[str]:
    """The dataset's own train, val and test folders; none when its top folders are classes.

    Raises DataError when there are both.
    """
    tops = dict.fromkeys(path.split("/")[0] for path in tree.images if "/" in path)
    splits = [name for name in tops if name.lower() in SPLIT_NAMES]
    others = [name for name in tops if name.lower() not in SPLIT_NAMES]
    if splits and others:
        raise DataError(
            f"{tree.root} has the split folders {', '.join(splits)} beside {', '.join(others[:5])}, which hold images too: expected "
            "either class folders only, or train, val and test with the class folders inside; move or remove the others"
        )
    return splits


def _odd(tree: Tree, path: str, folders: list[str], gathered: Collector) -> None:
    if not is_image(tree.root / path):
        if folders:
            suffix = (tree.root / path).suffix
            gathered.find("unknown-file", path, f"{suffix or 'no suffix'} is not a known image type")
    else:
        folder, _, name = path.rpartition("/")
        place = f"{folder}/CLASS/{name}" if folder else f"CLASS/{name}"
        gathered.find("no-class", path, "image lies in no class folder", place=place)


def _note_nested(nested: Counter[str], layout: str, gathered: Collector) -> None:
    if not nested:
        return
    name, count = nested.most_common(1)[0]
    taken = f"are taken as class {name!r}" if layout == TOP else "are taken as the classes of the folders that hold them"
    other = LEAF if layout == TOP else TOP
    gathered.find("folders-nested", name, f"holds {count:,} images in folders below it, which {taken}", other=other)


def _note_empty(tree: Tree, splits: list[str], gathered: Collector) -> None:
    for top in [tree.root / name for name in splits] or [tree.root]:
        for entry in sorted(top.iterdir()):
            name = entry.relative_to(tree.root).as_posix()
            if entry.is_dir() and visible(entry.name) and name not in tree.image_folders:
                gathered.find("empty-class", name, "class folder holds no image")
