"""Versions of data/ through DVC, in process; the only module of the data commands that imports dvc."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from components.errors import DataError, ResourceError, UsageError
from pipelines.paths import Paths

if TYPE_CHECKING:
    from dvc.repo import Repo

log = logging.getLogger(__name__)


def data_digest(paths: Paths) -> str:
    """The content hash that data.dvc records for data/ (not measured anew). Raises DataError without a data.dvc."""
    pointer = _pointer(paths)
    if not pointer.is_file():
        raise DataError(f"{pointer} does not exist, so the data have no version: run `dvc add data`")
    try:
        return str(yaml.safe_load(pointer.read_text(encoding="utf-8"))["outs"][0]["md5"])
    except (yaml.YAMLError, KeyError, IndexError, TypeError) as error:
        raise DataError(f"{pointer} records no content hash: write it again with `dvc add data`") from error


def is_current(paths: Paths) -> bool:
    """Whether data/ is, byte for byte, what data.dvc records, and DVC's cache holds it."""
    if not _pointer(paths).is_file():
        return False
    with _repository(paths) as repo:
        return not repo.status(targets=[str(_pointer(paths))])


def add_data(paths: Paths) -> str:
    """Version data/ as it is: into DVC's cache and data.dvc. Returns its digest.

    What data.dvc recorded before is kept in the private folder, so that `restore_command` can name it. Raises
    ResourceError when the disk is full.
    """
    keep_pointer(paths)
    try:
        with _repository(paths) as repo:
            repo.add([str(paths.data)])
    except OSError as error:
        raise ResourceError(f"data/ could not be versioned ({error}): free some disk space and run `dvc add data`") from error
    return data_digest(paths)


def pull(paths: Paths) -> bool:
    """Bring back what data.dvc records, from the remote if one is configured, else from DVC's own cache.

    False when neither holds it; data/ must be absent or empty, and then is again.
    """
    if not _pointer(paths).is_file():
        return False
    from dvc.exceptions import DvcException

    targets = [str(_pointer(paths))]
    try:
        with _repository(paths) as repo:
            if repo.config.get("core", {}).get("remote"):
                repo.fetch(targets=targets)
            repo.checkout(targets=targets, force=True)
    except (DvcException, OSError) as error:
        log.info("DVC could not bring back data/: %s", error)
    if is_current(paths):
        return True
    shutil.rmtree(paths.data, ignore_errors=True)
    return False


def keep_pointer(paths: Paths) -> Path | None:
    """Keep a copy of data.dvc under its digest, so that this version of data/ can be found again."""
    if not _pointer(paths).is_file():
        return None
    kept = paths.private / "versions" / f"{data_digest(paths)}.yaml"  # DVC reads every *.dvc it finds
    kept.parent.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copyfile(_pointer(paths), kept))


def restore_command(paths: Paths, kept: Path) -> str:
    """The shell command that puts the version of a kept pointer back."""
    return f"cp {kept.relative_to(paths.root)} data.dvc && dvc checkout data.dvc"


def _pointer(paths: Paths) -> Path:
    return paths.root / "data.dvc"


@contextmanager
def _repository(paths: Paths) -> Iterator["Repo"]:
    os.environ.setdefault("DVC_NO_ANALYTICS", "1")
    logging.getLogger("dvc.repo.scm_context").setLevel(logging.WARNING)  # which files to give git is in the README
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    config = {} if (paths.root / ".git").exists() else {"core": {"no_scm": True}}
    try:
        repo = Repo(str(paths.root), config=config)
    except NotDvcRepoError as error:
        raise UsageError(f"{paths.root} is no DVC project, expected a .dvc folder: clone again, or run `dvc init`") from error
    try:
        yield repo
    finally:
        repo.close()
