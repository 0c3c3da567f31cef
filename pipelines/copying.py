"""Copying a dataset in: links checked, space checked, progress shown, the source only read."""

import errno
import os
import shutil
import sys
from pathlib import Path

from components.data.files import inside, relative, visible, walk
from components.errors import DataError, ResourceError

_SPARE_BYTES = 200 * 1024 * 1024


def copy_tree(source: Path, target: Path) -> int:
    """Copy every visible file of `source` into the folder `target`; returns how many.

    A link to a file inside the source becomes that file. Raises DataError for links that leave the source,
    ResourceError when the disk cannot hold the copy and its version in DVC's cache.
    """
    from rich.console import Console
    from rich.progress import track

    refuse_links(source)
    files = list(walk(source))
    check_space(sum(path.stat().st_size for path in files), target)
    console = Console(stderr=True)
    try:
        for path in track(files, "copying", console=console, disable=not sys.stderr.isatty()):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResourceError(f"the disk is full while copying {source}: free some space and run the command again") from error
        raise DataError(f"{error.filename}: cannot be copied ({error.strerror}); check its permissions") from error
    return len(files)


def refuse_links(source: Path) -> None:
    """Raise DataError for links to folders, and for links to files that leave the source or lead nowhere."""
    found = []
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if visible(name)]
        links = [Path(folder, name) for name in (*folders, *files) if Path(folder, name).is_symlink() and visible(name)]
        found += [path for path in links if not path.is_file() or not inside(source, path)]
    if found:
        shown = ", ".join(relative(source, path) for path in found[:5])
        raise DataError(
            f"{source} has {len(found)} links that leave it or stand for folders ({shown}): put the files themselves in their place"
        )


def check_space(needed: int, target: Path) -> None:
    """Raise ResourceError unless the disk holds the copy twice: in data/ and in DVC's cache."""
    free = shutil.disk_usage(target).free
    wanted = 2 * needed + _SPARE_BYTES
    if free < wanted:
        found = f"{target.parent} has {free >> 20:,} MiB free"
        raise ResourceError(f"{found}, expected {wanted >> 20:,} MiB for the copy and its version: free some space")
