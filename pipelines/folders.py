"""Folders that are either complete or not there."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """An empty folder beside `target` that takes its place when the block ends; after an exception nothing changed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fresh = aside / "new"
        fresh.mkdir()
        yield fresh
        swap(fresh, target, aside / "old")
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def swap(fresh: Path, target: Path, old: Path) -> None:
    """Rename `fresh` to `target`, moving what was there to `old`; if that fails, put it back."""
    with suppress(FileNotFoundError):
        target.rename(old)
    try:
        fresh.replace(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
