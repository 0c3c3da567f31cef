"""Which version of data/ a name means: a git revision, a digest, the beginning of one, or the workspace."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from components.data.tables import TASKS
from components.errors import DataError, UsageError
from pipelines import versions
from pipelines.paths import Paths

WORKSPACE = "workspace"
_DIGEST = re.compile(r"[0-9a-f]{32}(\.dir)?")
_BEGINNING = re.compile(r"[0-9a-f]{4,}")
_SHOWN = 5


@dataclass(frozen=True)
class Version:
    """One version of data/: as it was asked for, the digest data.dvc records for it, and its files (path -> MD5)."""

    name: str
    digest: str
    files: versions.Files

    def part(self, task: str) -> versions.Files:
        """The files of one task's dataset, their paths relative to it."""
        start = f"{task}/"
        return {path.removeprefix(start): md5 for path, md5 in self.files.items() if path.startswith(start)}


def resolve(paths: Paths, name: str) -> Version:
    """The version that `name` means: `workspace` (data/ as it lies), a git revision (its data.dvc), or a digest.

    A digest may be shortened as long as it is unique among data.dvc, the kept pointers and DVC's cache. Raises UsageError
    for a name that means nothing or too much, DataError for a version that is in neither DVC's cache nor its remote.
    """
    if name == WORKSPACE:
        return Version(name, *versions.workspace_files(paths))
    digest = _digest(paths, name)
    return Version(name, digest, versions.files_of(paths, digest))


@contextmanager
def opened(paths: Paths, version: Version, task: str) -> Iterator[Path]:
    """The folder of one task's dataset in that version, to be read only: data/ itself for the workspace."""
    if version.name == WORKSPACE:
        yield paths.data / task
    else:
        with versions.laid_out(paths, version.part(task)) as folder:
            yield folder


def _digest(paths: Paths, name: str) -> str:
    if _DIGEST.fullmatch(name):
        return name if name.endswith(".dir") else f"{name}.dir"
    if (commit := _git(paths, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")) is not None:
        pointer = _git(paths, "show", f"{commit.strip()}:./data.dvc")
        if pointer is None:
            raise DataError(f"git revision {name} holds no data.dvc: data/ had no version then")
        return versions.digest_in(pointer, f"data.dvc of git revision {name}")
    found = _beginning_with(paths, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{name} is the beginning of {len(found)} digests ({', '.join(found[:_SHOWN])}): give more of it")
    known = ", ".join(_known(paths)[:_SHOWN]) or "none"
    raise UsageError(
        f"{name!r} is neither a git revision nor the beginning of a digest of data/, expected one of them or `{WORKSPACE}`; "
        f"digests known here: {known} (an MLflow run has its own in the tag visionloop.data_revision)"
    )


def _beginning_with(paths: Paths, name: str) -> list[str]:
    if not _BEGINNING.fullmatch(name):
        return []
    known = [digest for digest in _known(paths) if digest.startswith(name)]
    cached = [digest for digest in versions.cached_digests(paths, name) if digest not in known and _is_data(paths, digest)]
    return known + cached


def _known(paths: Paths) -> list[str]:
    """What data.dvc records, then what was kept of it, the newest first."""
    current = [versions.data_digest(paths)] if (paths.root / "data.dvc").is_file() else []
    return list(dict.fromkeys([*current, *versions.kept_digests(paths)]))


def _is_data(paths: Paths, digest: str) -> bool:
    return any(path.partition("/")[0] in TASKS for path in versions.files_of(paths, digest))


def head(paths: Paths) -> str:
    """The commit that is checked out; empty without git."""
    return (_git(paths, "rev-parse", "HEAD") or "").strip()


def _git(paths: Paths, *arguments: str) -> str | None:
    """What git answers; None when it answers with an error, or is not there."""
    try:
        asked = subprocess.run(["git", *arguments], cwd=paths.root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return asked.stdout if asked.returncode == 0 else None
