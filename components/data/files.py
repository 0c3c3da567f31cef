"""The files of a dataset: which are looked at, which are images, what their paths are called."""

import os
from collections.abc import Iterator
from pathlib import Path

IMAGE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".avif", ".mpo"))
_SYSTEM = frozenset(("thumbs.db", "desktop.ini", "__macosx", "__pycache__", "@eadir"))


def walk(root: Path) -> Iterator[Path]:
    """Every file under `root` in the order of names; hidden and system files are skipped, folder links not followed."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if visible(name))
        yield from (Path(folder, name) for name in sorted(files) if visible(name))


def visible(name: str) -> bool:
    """Whether a file or folder name is neither hidden nor a system's litter."""
    return not name.startswith((".", "._")) and name.lower() not in _SYSTEM


def is_image(path: Path) -> bool:
    """Whether the file's name says image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def inside(root: Path, path: Path) -> bool:
    """Whether the path, its links resolved, lies in `root`."""
    return path.resolve().is_relative_to(root.resolve())


def relative(root: Path, path: Path) -> str:
    """POSIX path relative to the dataset."""
    return path.relative_to(root).as_posix()
