"""Checkpoints that are whole whenever they exist: written aside, flushed to the disk, renamed, checked when read.

A checkpoint is a folder named by its number with `arrays.npz` and `about.json`, which holds the SHA-256 of the arrays.
The two newest are kept, so that one damaged by the disk costs a step back and not the training.
"""

import hashlib
import io
import json
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]
KEPT = 2
FORMAT = 1
ABOUT = "about"  # among the arrays that are sent


@dataclass(frozen=True)
class Checkpoint:
    """Everything that decides how a training goes on: arrays by name, and numbers that JSON can hold."""

    arrays: Arrays
    about: dict[str, Any]


def save(folder: Path, checkpoint: Checkpoint) -> Path:
    """Write the next checkpoint into `folder` and remove all but the newest two; answers its place.

    Raises OSError, for instance when the disk is full; then the earlier checkpoints are as they were.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    place = folder / f"{_numbers(folder)[-1] + 1 if _numbers(folder) else 0:08d}"
    for left in folder.glob("partial.*"):  # by a writer that was killed: one training at a time writes here
        shutil.rmtree(left, ignore_errors=True)
    partial = folder / f"partial.{os.getpid()}"
    try:
        partial.mkdir()
        _write(partial, checkpoint)
        partial.rename(place)
        _sync(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    for number in _numbers(folder)[:-KEPT]:
        shutil.rmtree(folder / f"{number:08d}", ignore_errors=True)
    return place


def newest(folder: Path, key: str) -> Checkpoint | None:
    """The newest whole checkpoint whose `about` has this `key`; None when there is none."""
    for number in reversed(_numbers(folder)):
        found = _read(folder / f"{number:08d}")
        if found is not None and found.about.get("key") == key:
            return found
    return None


def to_bytes(checkpoint: Checkpoint | None) -> bytes:
    """A checkpoint, or that there is none, for another machine."""
    if checkpoint is None:
        return b""
    buffer = io.BytesIO()
    about = np.frombuffer(json.dumps(checkpoint.about).encode(), np.uint8)
    np.savez(buffer, allow_pickle=False, **checkpoint.arrays, **{ABOUT: about})
    return buffer.getvalue()


def from_bytes(content: bytes) -> Checkpoint | None:
    """What `to_bytes` was given."""
    if not content:
        return None
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return Checkpoint(arrays, json.loads(arrays.pop(ABOUT).tobytes()))


def remove(folder: Path) -> None:
    """Forget every checkpoint, also what a killed writer left."""
    shutil.rmtree(folder, ignore_errors=True)


def _numbers(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdigit()) if folder.is_dir() else []


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    arrays = folder / "arrays.npz"
    with arrays.open("wb") as file:
        np.savez(file, allow_pickle=False, **checkpoint.arrays)
        file.flush()
        os.fsync(file.fileno())
    with (folder / "about.json").open("w", encoding="utf-8") as file:
        json.dump({**checkpoint.about, "format": FORMAT, "sha256": _sha256(arrays)}, file)
        file.flush()
        os.fsync(file.fileno())
    _sync(folder)


def _read(folder: Path) -> Checkpoint | None:
    try:
        about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
        if about.get("format") != FORMAT or about["sha256"] != _sha256(folder / "arrays.npz"):
            return None
        with np.load(folder / "arrays.npz", allow_pickle=False) as archive:
            return Checkpoint({name: archive[name] for name in archive.files}, about)
    except (OSError, ValueError, KeyError, AttributeError, EOFError, zipfile.BadZipFile):
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
