"""The files of a dataset: which are looked at, which are images, what their paths are called."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
    + (".avif", ".mpo")
)
_SYSTEM = frozenset(("thumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found"))
_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFBLK: "a block device",
    stat.S_IFCHR: "a character device",
}


@dataclass(frozen=True)
class LeftOut:
    """Something in a dataset that is not looked at: `code` and `found` as in a finding."""

    path: Path
    code: str
    found: str


def walk(folder: Path, root: Path | None = None) -> Iterator[Path]:
    """Every usable file under `folder`, in the order of names: regular ones, and links to such in the dataset at `root`.

    `root` is `folder` when not said. Hidden and system files are skipped, as is what `explore` says must be; folder
    links are not followed. Nothing is opened, so nothing can make it wait.
    """
    return (entry for entry in explore(folder, root) if isinstance(entry, Path))


def explore(folder: Path, root: Path | None = None) -> Iterator[Path | LeftOut]:
    """What `walk` yields and, among it, all that it does not, with the reason."""
    real = os.path.realpath(root or folder)
    folders = [folder]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as entries:
                within = sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            yield LeftOut(folder, "folder-unreadable", f"cannot be listed ({error.strerror})")
            continue
        below = []
        for entry in within:
            out = _left_out(entry, real)
            if out is not None:
                yield LeftOut(folder / entry.name, *out)
            elif entry.is_dir():
                below.append(folder / entry.name)
            else:
                yield folder / entry.name
        folders += reversed(below)


def _left_out(entry: os.DirEntry[str], real: str) -> tuple[str, str] | None:
    """Code and words for what is not looked at; None for a usable file and a folder to look into."""
    if not is_utf8(entry.name):
        return "name-not-utf8", f"is named {os.fsencode(entry.name)!r}"
    if not visible(entry.name):
        return ("hidden-file", "is hidden") if entry.name.startswith(".") else ("system-file", "is a system's own")
    try:
        if entry.is_symlink():
            return _link(entry, real)
        if entry.is_file() or entry.is_dir():
            return None
        return "special-file", f"is {_KINDS.get(stat.S_IFMT(entry.stat().st_mode), 'no regular file')}"
    except OSError as error:
        return "unreadable", f"cannot be looked at ({error.strerror})"


def _link(entry: os.DirEntry[str], real: str) -> tuple[str, str] | None:
    try:
        target = os.path.realpath(entry.path, strict=True)
    except FileNotFoundError:
        return "link-broken", f"is a link to {os.readlink(entry.path)!r}, which does not exist"
    except OSError:
        return "link-loop", f"is a link to {os.readlink(entry.path)!r}, which leads back to itself"
    if not _lies_in(target, real):
        return "link-outside", f"is a link to {target!r}, outside the dataset"
    if entry.is_dir():
        above = _lies_in(os.path.realpath(os.path.dirname(entry.path)), target)
        return ("link-loop", "is a link to a folder that it lies in") if above else ("link-folder", f"is a link to the folder {target!r}")
    return None if entry.is_file() else ("special-file", "is a link to what is no regular file")


def _lies_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))


def visible(name: str) -> bool:
    """Whether a file or folder name is neither hidden nor a system's litter, and can be written as text."""
    return not name.startswith(".") and name.lower() not in _SYSTEM and is_utf8(name)


def is_utf8(name: str) -> bool:
    """Whether the bytes of a name are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_image(path: Path) -> bool:
    """Whether the file's name says image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def inside(root: Path, path: Path) -> bool:
    """Whether the path, its links resolved, lies in `root`."""
    return path.resolve().is_relative_to(root.resolve())


def relative(root: Path, path: Path) -> str:
    """POSIX path relative to the dataset."""
    return path.relative_to(root).as_posix()
