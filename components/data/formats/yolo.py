"""YOLO: a `data.yaml` with class names, images, and a text file of boxes beside or parallel to each image."""

import math
from collections.abc import Iterator
from pathlib import Path

import yaml

from components.data.files import inside, is_image, relative, walk
from components.data.formats.listing import Collector, Corners, Listing, unique_names
from components.errors import DataError

_EXAMPLE = "expected `names: [cat, dog]` and folders or list files under `train:`, `val:` and `test:`"
_KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


def find_yaml(root: Path) -> list[Path]:
    """The files at the dataset's top that may be its data.yaml."""
    return sorted(path for path in (*root.glob("*.yaml"), *root.glob("*.yml")) if _has_names(path))


def read(root: Path) -> Listing:
    """Read a YOLO dataset. A box is `class x_center y_center width height` in fractions, or `class` and a polygon.

    An image without a label file shows nothing to detect. Raises DataError for a missing or unusable data.yaml.
    """
    path, document = _document(root)
    names = _names(path, document)
    gathered = Collector()
    if (root / "images").is_dir() and not any(document.get(key) for key in _KEYS):
        document = {"train": "images"}
        places: list[tuple[str | None, Path]] = [(None, image) for image in _images(root, document["train"], path)]
    else:
        places = [(split, image) for key, split in _KEYS.items() for image in _images(root, document.get(key), path)]
    seen: dict[Path, str | None] = {}
    for split, image in places:
        if image in seen:
            raise DataError(f"{path}: {relative(root, image)} stands in both {seen[image]} and {split}; expected each image once")
        seen[image] = split
        _read_image(root, image, split, names, gathered)
    return gathered.listing("yolo", names)


def _has_names(path: Path) -> bool:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return path.stem in ("data", "dataset")
    return isinstance(document, dict) and "names" in document


def _document(root: Path) -> tuple[Path, dict[str, object]]:
    found = find_yaml(root)
    if len(found) != 1:
        named = ", ".join(path.name for path in found) or "none"
        raise DataError(f"{root} holds {named}, expected exactly one data.yaml; {_EXAMPLE}")
    try:
        document = yaml.safe_load(found[0].read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DataError(f"{found[0]} is not valid YAML: {error}; {_EXAMPLE}") from error
    return found[0], document


def _names(path: Path, document: dict[str, object]) -> list[str]:
    names = document["names"]
    if isinstance(names, dict):
        if sorted(names) != list(range(len(names))):
            raise DataError(f"{path}: names has the keys {list(names)}, expected 0 to {len(names) - 1} without gaps")
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: names is {names!r}; {_EXAMPLE}")
    return unique_names([str(name) for name in names], f"{path}: names")


def _images(root: Path, value: object, source: Path) -> Iterator[Path]:
    for entry in value if isinstance(value, list) else [value] if value else []:
        place = _resolve(root, str(entry), source)
        if place.is_dir():
            yield from (path for path in walk(place, root) if is_image(path))
        else:
            lines = place.read_text(encoding="utf-8").splitlines()
            yield from (_resolve(root, line.strip(), place) for line in lines if line.strip())


def _resolve(root: Path, entry: str, source: Path) -> Path:
    """Where an entry of data.yaml or a list file points to: relative to the dataset or to the file that names it.

    Exported datasets often say `../train/images` or a folder of the machine they came from; the part that exists
    inside the dataset is meant.
    """
    parts = Path(entry).parts
    candidates = [source.parent / entry, *(root.joinpath(*parts[start:]) for start in range(len(parts)))]
    for candidate in candidates:
        if candidate.exists() and inside(root, candidate):
            return root / candidate.resolve().relative_to(root.resolve())
    raise DataError(f"{source} names {entry!r}, which does not exist inside {root}; correct the path or add the files")


def _label_file(root: Path, image: Path) -> Path:
    """`labels/` in place of the last `images/` of the path; beside the image where there is no such folder."""
    parts = list(image.relative_to(root).parts[:-1])
    for index in reversed(range(len(parts))):
        if parts[index] == "images":
            parts[index] = "labels"
            break
    return root.joinpath(*parts, f"{image.stem}.txt")


def _read_image(root: Path, image: Path, split: str | None, names: list[str], gathered: Collector) -> None:
    where, labels = relative(root, image), _label_file(root, image)
    if not labels.is_file():
        found = "has no label file: taken as an image with nothing to detect"
        gathered.find("no-label-file", where, found, place=relative(root, labels))
        gathered.image(where, None, split)
        return
    try:
        lines = labels.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        gathered.find("label-not-text", relative(root, labels), "is not UTF-8 text")
        gathered.image(where, None, split, "label-not-text")
        return
    gathered.image(where, None, split)
    seen: set[str] = set()
    for number, line in enumerate(lines, 1):
        if line.strip():
            _read_line(where, line, (relative(root, labels), number), names, gathered, duplicate=line.strip() in seen)
            seen.add(line.strip())


def _read_line(path: str, line: str, source: tuple[str, int], names: list[str], gathered: Collector, *, duplicate: bool) -> None:
    if duplicate:
        gathered.find("box-duplicate", source[0], f"repeats the box {line.strip()!r}", source[1])
        return
    try:
        values = [float(value) for value in line.split()]
    except ValueError:
        values = []
    corners = _corners(values[1:])
    if corners is None:
        form = "`class x_center y_center width height` or `class` and three or more points"
        gathered.find("label-unreadable", source[0], f"received {line.strip()[:80]!r}", source[1], form=form)
    elif not (values[0].is_integer() and 0 <= values[0] < len(names)):
        known = {"last": len(names) - 1, "names": ", ".join(names[:8])}
        gathered.find("class-unknown", source[0], f"class {line.split()[0]} is unknown", source[1], **known)
    else:
        gathered.box(path, names[int(values[0])], corners, *source)


def _corners(values: list[float]) -> Corners | None:
    if len(values) == 4:
        x, y, width, height = values
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2
    if len(values) >= 6 and len(values) % 2 == 0 and all(map(math.isfinite, values)):
        return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
    return None
