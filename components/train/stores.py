"""Decoded pixels on disk: a folder of two files, whole when it has its name, checked whenever it is opened.

`pixels` holds the images one after the other, `index.npy` the name and the CRC-32 of each. A store that someone maps
is locked (shared) as long as the map lives, and is not removed to make room.
"""

import fcntl
import mmap
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
PIXELS, INDEX, LOCKS, PARTIAL = "pixels", "index.npy", "locks", ".partial"
ENTRY = np.dtype([("image_id", "S64"), ("crc", "<u4")])


@dataclass(frozen=True)
class Store:
    """Images (N, S, S, 3) uint8, mapped and read-only, and what they should be (N,) of ENTRY."""

    pixels: Pixels
    index: NDArray[np.void]

    def intact(self) -> NDArray[np.bool_]:
        """Which images (N,) have the check sum that they were written with."""
        return np.array([zlib.crc32(one.data) == crc for one, crc in zip(self.pixels, self.index["crc"].tolist(), strict=True)], bool)


def opened(place: Path, size: int) -> Store | None:
    """The store at `place`, or None where there is none, or one that is cut off or whose index cannot be read."""
    try:
        index = np.load(place / INDEX, allow_pickle=False)
        with (place / PIXELS).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # lives on in the map's own copy of the file descriptor
            if index.dtype != ENTRY or not len(index) or os.fstat(file.fileno()).st_size != len(index) * size * size * 3:
                return None
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError, EOFError):
        return None
    return Store(np.frombuffer(mapped, np.uint8).reshape(-1, size, size, 3), index)


def used(place: Path) -> None:
    """Note that a store was used now."""
    os.utime(place)


@contextmanager
def building(place: Path) -> Iterator[Path]:
    """A new folder that becomes the store at `place` when all went well; who comes second waits until then.

    What builders that were killed left behind is removed.
    """
    folder = place.parent
    (folder / LOCKS).mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    partial = place.with_name(place.name + PARTIAL)
    with _lock(partial):
        _sweep(folder)
        shutil.rmtree(partial, ignore_errors=True)
        try:
            yield partial
            if partial.is_dir():
                _remove(place)
                partial.replace(place)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def trim(folder: Path, limit: float) -> None:
    """Remove stores until the others have `limit` bytes together: first what was not used for longest, nothing that is used now."""
    entries = _entries(folder)
    left = sum(entries.values())
    for entry in sorted(entries, key=_last_used):
        if left <= limit:
            return
        if _is_free(entry):
            _remove(entry)
            left -= entries[entry]


def make_room(folder: Path, needed: float) -> float:
    """Remove what was not used for longest where the disk has less than `needed` bytes left; answers how many it then has."""
    if (short := needed - _left(folder)) > 0:
        trim(folder, sum(_entries(folder).values()) - short)
    return _left(folder)


def _left(folder: Path) -> float:
    disk = os.statvfs(folder)
    return float(disk.f_bavail * disk.f_frsize)


def _entries(folder: Path) -> dict[Path, int]:
    """What lies in the folder and is not being built, with its bytes."""
    return {entry: _bytes(entry) for entry in folder.glob("*") if entry.name != LOCKS and not entry.name.endswith(PARTIAL)}


def _lock(partial: Path) -> FileLock:
    """One of 16 locks, by the last digit of the store's name: files of locks cannot be removed safely, so they stay few."""
    return FileLock(partial.parent / LOCKS / f"{partial.name.removesuffix(PARTIAL)[-1]}.lock", mode=0o600)


def _sweep(folder: Path) -> None:
    for partial in folder.glob(f"*{PARTIAL}"):
        try:
            with _lock(partial).acquire(timeout=0):
                shutil.rmtree(partial, ignore_errors=True)
        except Timeout:
            continue  # its builder lives


def _is_free(entry: Path) -> bool:
    try:
        with (entry / PIXELS if entry.is_dir() else entry).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no store, or no longer
    return True


def _remove(entry: Path) -> None:
    """Remove at once for whoever looks for it, and then from the disk."""
    doomed = entry.with_name(f"{entry.name}.{os.getpid()}{PARTIAL}")
    try:
        entry.replace(doomed)
    except OSError:
        return  # another was quicker
    if doomed.is_dir():
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        doomed.unlink(missing_ok=True)


def _bytes(entry: Path) -> int:
    try:
        return sum(file.stat().st_size for file in ([*entry.iterdir()] if entry.is_dir() else [entry]))
    except OSError:
        return 0


def _last_used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0
