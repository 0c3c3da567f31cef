"""One pass over a dataset's names, nothing decoded: what is left out and why, and which names will make trouble elsewhere."""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from components.data.files import LeftOut, explore, is_image, relative
from components.data.findings import Finding, finding
from components.data.structure import HEAD, SUFFIXES, is_decoded, signature

NAME_BYTES = 240  # a file system takes 255, and what is made of an image adds a suffix to its name
# Not worth a look: what labels, and notes about a dataset, are named.
_OTHER = frozenset((".txt", ".xml", ".json", ".csv", ".yaml", ".yml", ".md", ".html", ".names", ".cache", ".dvc", ".py", ".rst", ".lock"))
_ODD = re.compile(r'^\s|\s$|\.$|[\x00-\x1f\x7f-\x9f<>:"|?*\\\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]')


def survey(root: Path) -> Iterator[Finding]:
    """Findings about a dataset's files and folders, in the order of `files.walk`; at most one folder's names are held at a time."""
    names = _Names()
    for entry in explore(root):
        if isinstance(entry, LeftOut):
            yield finding(entry.code, shown(relative(root, entry.path)), entry.found)
            continue
        yield from names.check(root, entry)
        if not is_image(entry) and entry.suffix.lower() not in _OTHER:
            yield from _unnamed(root, entry)


def shown(path: str) -> str:
    """A path as text that can be written: bytes that are no UTF-8 as escapes."""
    return path.encode(errors="surrogateescape").decode(errors="backslashreplace")


class _Names:
    """Names as they come: those that are odd in themselves, and those too like another in their folder."""

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.files: dict[str, str] = {}
        self.folders: dict[tuple[Path, str], str] = {}

    def check(self, root: Path, path: Path) -> Iterator[Finding]:
        """Findings about a file's name, and about its folders' where they are new."""
        if path.parent != self.folder:
            self.folder, self.files = path.parent, {}
            for folder in reversed((path.parent, *path.parent.parents)):
                if folder != root and folder.is_relative_to(root):
                    yield from self._folder(root, folder)
        where = relative(root, path)
        yield from _odd(where, path.name)
        other = self.files.setdefault(_folded(path.name), path.name)
        if other != path.name:
            yield _alike(where, path.name, other)

    def _folder(self, root: Path, folder: Path) -> Iterator[Finding]:
        key = (folder.parent, _folded(folder.name))
        other = self.folders.get(key)
        if other is None:
            self.folders[key] = folder.name
            yield from _odd(relative(root, folder), folder.name)
        elif other != folder.name:
            yield _alike(relative(root, folder), folder.name, other)


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _odd(where: str, name: str) -> Iterator[Finding]:
    match = _ODD.search(name)
    if match is not None:
        yield finding("name-odd", where, f"has {match[0]!r} in its name")
    size = len(name.encode())
    if size > NAME_BYTES:
        yield finding("name-too-long", where, f"has a name of {size} bytes", limit=NAME_BYTES)


def _alike(where: str, name: str, other: str) -> Finding:
    same = unicodedata.normalize("NFC", name) == unicodedata.normalize("NFC", other)
    code, how = ("name-twin", "Unicode form") if same else ("name-case", "case")
    return finding(code, where, f"differs from {other!r} only in {how}")


def _unnamed(root: Path, path: Path) -> Iterator[Finding]:
    try:
        with path.open("rb") as file:
            name = signature(file.read(HEAD))
    except OSError as error:
        yield finding("unreadable", relative(root, path), f"cannot be read ({error.strerror})")
        return
    if name is None:
        return
    if is_decoded(name):
        found = f"is {name}, but its name ends in {path.suffix}" if path.suffix else f"is {name}, but its name has no suffix"
        yield finding("extension-missing", relative(root, path), found, suffix=SUFFIXES[name][0])
    else:
        yield finding("unsupported-format", relative(root, path), f"is {name}")
