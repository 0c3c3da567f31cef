"""The files of a dataset, listed once, and the ways its labels may name them."""

import posixpath
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from components.data.decode import DecodeError, read_size
from components.data.files import LeftOut, explore, is_image, relative
from components.data.formats import corrections_csv
from components.data.formats.text import LIMIT, LabelError, Text, decode, read_bytes

_MANY = 20  # namesakes that are looked at one by one


@dataclass(frozen=True)
class Tree:
    """The usable files below `root`: POSIX paths relative to it, in the order of the walk; `left_out` says why others are not."""

    root: Path
    paths: tuple[str, ...]
    left_out: dict[str, str]

    @classmethod
    def of(cls, root: Path) -> "Tree":
        """List the files once; nothing is opened."""
        paths: list[str] = []
        left_out: dict[str, str] = {}
        for entry in explore(root):
            if isinstance(entry, LeftOut):
                left_out[relative(root, entry.path)] = entry.found
            else:
                paths.append(relative(root, entry))
        return cls(root, tuple(paths), left_out)

    @cached_property
    def known(self) -> frozenset[str]:
        """All paths."""
        return frozenset(self.paths)

    @cached_property
    def images(self) -> tuple[str, ...]:
        """The paths whose names say image."""
        return tuple(path for path in self.paths if is_image(Path(path)))

    @cached_property
    def image_folders(self) -> frozenset[str]:
        """Every folder that holds an image, near or deep; the top is the empty name."""
        found = {""}
        for folder in {posixpath.dirname(path) for path in self.images}:
            while folder not in found:
                found.add(folder)
                folder = posixpath.dirname(folder)
        return frozenset(found)

    def with_suffix(self, *suffixes: str) -> Iterator[str]:
        """The paths that end so, whatever their case; not the overlay of corrections."""
        return (path for path in self.paths if path.lower().endswith(suffixes) and path != corrections_csv.FILE)

    def read(self, path: str, limit: int = LIMIT) -> bytes:
        """A label file's bytes. Raises LabelError, also for what the walk leaves out, such as a link out of the dataset."""
        if path in self.left_out:
            raise LabelError("label-left-out", self.left_out[path])
        if path not in self.known:
            raise LabelError("unreadable", "is not in the dataset")
        return read_bytes(self.root / path, limit)

    def text(self, path: str, limit: int = LIMIT) -> Text:
        """A label file's text. Raises LabelError."""
        return decode(self.read(path, limit))

    def size(self, path: str) -> tuple[int, int] | None:
        """An image's upright (width, height) in pixels, from its header; None when that cannot be read."""
        try:
            return read_size(self.root / path)
        except DecodeError:
            return None

    def twins(self, path: str) -> list[str]:
        """The images whose path without suffix is that of `path`."""
        return self._by_stem.get(posixpath.splitext(path)[0], [])

    def find(self, entry: str, near: str = "", hint: str | None = None) -> list[str]:
        """The images that a path written in a label file may mean: one when all is well, none, or several.

        The path is looked up from the folder `near`, then from the top; then whatever image shares its last parts, for
        paths are often those of another machine. Names may lack their suffix, or differ in Unicode form or case. Of
        several, those in a folder whose name begins with `hint` come first. Nothing outside the dataset is ever meant.
        """
        entry = entry.replace("\\", "/") if "\\" in entry and "/" not in entry else entry
        for base in (near, ""):
            direct = posixpath.normpath(posixpath.join(base, entry))
            if direct in self._images:
                return [direct]
        found: list[str] = []
        parts = entry.split("/")
        for count in range(1, len(parts) + 1):
            longer = self._by_end(count).get(_folded("/".join(parts[-count:])), [])
            if not longer:
                break
            found = longer
        exact = [path for path in found[:_MANY] if posixpath.basename(path) in (parts[-1], entry)]
        found = exact if exact and len(found) <= _MANY else found
        hinted = [path for path in found[:_MANY] if hint and any(part.lower().startswith(hint) for part in path.split("/")[:-1])]
        return hinted or found

    @cached_property
    def _images(self) -> frozenset[str]:
        return frozenset(self.images)

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _grouped((posixpath.splitext(path)[0], path) for path in self.images)

    @cached_property
    def _ends(self) -> dict[int, dict[str, list[str]]]:
        return {}

    def _by_end(self, count: int) -> dict[str, list[str]]:
        """The images by the last `count` parts of their paths, with and without suffix."""
        if count not in self._ends:
            ends = [(_folded("/".join(path.split("/")[-count:])), path) for path in self.images if path.count("/") >= count - 1]
            self._ends[count] = _grouped([*ends, *((posixpath.splitext(end)[0], path) for end, path in ends)])
        return self._ends[count]


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, path in pairs:
        found.setdefault(key, []).append(path)
    return found


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
