"""Class folders: `<class>/<image>`, with or without `train/`, `val/` and `test/` above them."""

from pathlib import Path

from components.data.files import inside, is_image, relative, visible, walk
from components.data.formats.listing import SPLIT_NAMES, Collector, Listing, unique_names
from components.errors import DataError


def read(root: Path) -> Listing:
    """Read class folders; the folder's name is the class, whatever lies deeper in it belongs to it.

    Raises DataError when split folders and class folders stand side by side, or two classes differ only in case.
    """
    gathered = Collector()
    splits = split_folders(root)
    places: list[tuple[str | None, Path]] = [*splits] or [(None, root)]
    for split, folder in places:
        _read_classes(root, folder, split, gathered)
    classes = sorted({str(row["label"]) for row in gathered.images})
    return gathered.listing("folder", unique_names(classes, str(root)))


def split_folders(root: Path) -> list[tuple[str, Path]]:
    """The dataset's own train, val and test folders; none when its top folders are classes.

    Raises DataError when there are both.
    """
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and visible(folder.name))
    splits = [(SPLIT_NAMES[folder.name.lower()], folder) for folder in folders if folder.name.lower() in SPLIT_NAMES]
    others = [folder.name for folder in folders if folder.name.lower() not in SPLIT_NAMES and any(map(is_image, walk(folder, root)))]
    if splits and others:
        names = ", ".join(folder.name for _, folder in splits)
        raise DataError(
            f"{root} has the split folders {names} beside {', '.join(others[:5])}, which hold images too: expected either "
            "class folders only, or train, val and test with the class folders inside; move or remove the others"
        )
    return splits


def _read_classes(root: Path, folder: Path, split: str | None, gathered: Collector) -> None:
    for entry in sorted(entry for entry in folder.iterdir() if visible(entry.name)):
        if entry.is_dir():
            _read_class(root, entry, split, gathered)
        elif is_image(entry):
            place = relative(root, folder / "CLASS" / entry.name)
            gathered.find("no-class", relative(root, entry), "image lies in no class folder", place=place)


def _read_class(root: Path, folder: Path, split: str | None, gathered: Collector) -> None:
    found = 0
    for path in walk(folder, root):
        where = relative(root, path)
        if not is_image(path):
            gathered.find("unknown-file", where, f"{path.suffix or 'no suffix'} is not a known image type")
        elif not inside(root, path):
            gathered.find("link-outside", where, "is a link that leaves the dataset")
        else:
            gathered.image(where, folder.name, split)
            found += 1
    if not found:
        gathered.find("empty-class", relative(root, folder), "class folder holds no image")
