"""What a YOLO dataset says of itself: the class names, and which images are in which split."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.data.files import inside
from components.data.formats import yaml_file
from components.data.formats.listing import merged_names, unique_names
from components.data.formats.text import LabelError
from components.data.formats.tree import Tree
from components.errors import DataError

EXAMPLE = "expected `names: [cat, dog]` and folders or list files under `train:`, `val:` and `test:`"
KEYS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "unsplit": None}
NAME_FILES = ("classes.txt", "obj.names", "_darknet.labels")
LIST_LIMIT = 256 * 1024 * 1024  # bytes of a list of images
_NOTHING = ("", "~", "null", "none")


@dataclass(frozen=True)
class Source:
    """The file a dataset's names come from, its document (empty for a plain list of names), and the names in order."""

    path: str
    document: dict[str, Any]
    names: list[str]


def find(tree: Tree) -> list[str]:
    """The files that may say what the classes are: those with `names` among the YAML files, else plain lists of names."""
    found = [path for path in tree.with_suffix(".yaml", ".yml") if _has_names(tree, path)]
    if not found:
        found = [path for path in tree.paths if posixpath.basename(path).lower() in NAME_FILES]
    return sorted(found, key=lambda path: (path.count("/"), path))


def read(tree: Tree) -> Source:
    """Read them all: the one nearest to the top counts, and no other may contradict it.

    Raises DataError where there is none, several equally near, one that cannot be used, or two that disagree.
    """
    found = find(tree)
    nearest = [path for path in found if path.count("/") == found[0].count("/")] if found else []
    chosen = [path for path in nearest if posixpath.basename(path).startswith("data.")] or nearest
    if not chosen or (len(chosen) > 1 and chosen[0].endswith((".yaml", ".yml"))):
        named = ", ".join(chosen) or "none"
        raise DataError(f"{tree.root} holds {named}, expected exactly one data.yaml; {EXAMPLE}")
    listed = [path for path in tree.paths if posixpath.basename(path).lower() in NAME_FILES]
    sources = {path: _source(tree, path) for path in dict.fromkeys((chosen[0], *found, *listed))}
    merged_names({str(tree.root / path): dict(enumerate(one.names)) for path, one in sources.items()})
    return sources[chosen[0]]


def places(tree: Tree, source: Source) -> Iterator[tuple[str | None, str, str, str, int | None]]:
    """Every entry of every split: the split, the path as written, where from, the file that says so and the line in it.

    A folder gives one entry an image. Raises DataError for a folder or list that is not in the dataset, or is empty.
    """
    near = posixpath.dirname(source.path)
    base = str(source.document.get("path") or "")
    for key, split in KEYS.items():
        value = source.document.get(key)
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, dict | list):
                raise DataError(f"{tree.root / source.path}: {key} is {entry!r}; {EXAMPLE}")
            if entry is None or entry.strip().lower() in _NOTHING:
                continue
            place = _resolve(tree, entry, near, base, source.path)
            yield from _listed(tree, place, split) if (tree.root / place).is_file() else _in_folder(tree, place, split, source.path, key)


def _has_names(tree: Tree, path: str) -> bool:
    try:
        text = tree.text(path, yaml_file.LIMIT).text
    except LabelError:
        return Path(path).stem in ("data", "dataset")
    return any(line.lstrip("{ ").startswith(("names:", "names :", '"names"', "'names'")) for line in text.splitlines())


def _source(tree: Tree, path: str) -> Source:
    where = str(tree.root / path)
    try:
        text = tree.text(path, yaml_file.LIMIT)
    except LabelError as error:
        raise DataError(f"{where} {error.found}; {EXAMPLE}") from error
    if not path.lower().endswith((".yaml", ".yml")):
        names = [line.strip() for line in text.text.rstrip().splitlines()]
        return Source(path, {}, unique_names(names, where))
    document = yaml_file.load(text.text, where)
    return Source(path, document, _names(where, document))


def _names(where: str, document: dict[str, Any]) -> list[str]:
    names = document.get("names")
    if isinstance(names, dict):
        try:
            numbered = {int(key): name for key, name in names.items()}
        except ValueError:
            raise DataError(f"{where}: names has the keys {', '.join(map(repr, list(names)[:8]))}, expected numbers from 0") from None
        if sorted(numbered) != list(range(len(names))):
            raise DataError(f"{where}: names has the keys {sorted(numbered)[:8]}, expected 0 to {len(names) - 1} without gaps")
        names = [numbered[number] for number in range(len(names))]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{where}: names is {str(names)[:80]!r}; {EXAMPLE}")
    return unique_names([name.strip() for name in names], f"{where}: names")


def _resolve(tree: Tree, entry: str, near: str, base: str, source: str) -> str:
    """Where an entry points to inside the dataset.

    Exported datasets say `../train/images`, `path: ../datasets/x`, or a folder of the machine they came from, in the
    spelling of that machine; the part that exists inside the dataset is meant.
    """
    entry = entry.strip().replace("\\", "/")
    tails = entry.split("/")
    under = [posixpath.join(near, entry), posixpath.join(near, base.strip().replace("\\", "/"), entry)]
    for candidate in (*under, *(posixpath.join(top, *tails[start:]) for top in (near, "") for start in range(len(tails)))):
        place = posixpath.normpath(candidate)
        if not place.startswith(("/", "..")) and _exists(tree.root / place) and inside(tree.root, tree.root / place):
            return "" if place == "." else place
    raise DataError(f"{tree.root / source} names {entry!r}, which does not exist inside {tree.root}; correct the path or add the files")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name too long, for instance
        return False


def _listed(tree: Tree, place: str, split: str | None) -> Iterator[tuple[str | None, str, str, str, int | None]]:
    try:
        lines = tree.text(place, LIST_LIMIT).lines()
    except LabelError as error:
        raise DataError(f"{tree.root / place} {error.found}, expected a list of images, one a line") from error
    near = posixpath.dirname(place)
    if not any(line.strip() for line in lines):
        raise DataError(f"{tree.root / place} lists no image: fill it, or remove it from data.yaml")
    yield from ((split, line.strip(), near, place, number) for number, line in enumerate(lines, 1) if line.strip())


def _in_folder(tree: Tree, place: str, split: str | None, source: str, key: str) -> Iterator[tuple[str | None, str, str, str, int | None]]:
    start = f"{place}/" if place else ""
    found = [path for path in tree.images if path.startswith(start)]
    if not found:
        raise DataError(f"{tree.root / source}: {key} is {place!r}, which holds no image: add some, or remove it from data.yaml")
    yield from ((split, path, "", source, None) for path in found)
