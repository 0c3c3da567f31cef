"""Was it data, code or params? What the stages make of one run's data, another's code or params, cached by DVC like any run.

Each combination is brought about in a copy of the code outside of the project, with DVC's cache shared: data/, outputs/
and the store of the project stay as they are, and a combination that was ever run is not run again.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import DataError, UsageError
from pipelines.evidence import read_report
from pipelines.paths import Paths
from pipelines.provenance import Factor, Provenance

log = logging.getLogger(__name__)

SHOWN = 3


@dataclass(frozen=True)
class Cell:
    """What a run was made of, and the git commit of its code."""

    made_of: Provenance
    commit: str


def path_between(paths: Paths, one: Cell, other: Cell, factors: Sequence[Factor]) -> Iterator[tuple[Factor, dict[str, Any]]]:
    """The reports on the way from one run to the other, where one factor after the other becomes the other's.

    The last step is the other run itself and is left out. Raises UsageError where the code of a run cannot be had,
    DataError when a stage fails.
    """
    taken: dict[Factor, Cell] = {"data": one, "code": one, "params": one}
    for factor in factors[:-1]:
        taken[factor] = other
        log.info("training with %s", ", ".join(f"the {name} of {_which(cell, one)}" for name, cell in taken.items()))
        yield factor, reproduced(paths, taken["data"], taken["code"], taken["params"])


def reproduced(paths: Paths, data: Cell, code: Cell, params: Cell) -> dict[str, Any]:
    """report.json of the model of `params`, trained on the data and by the code of the others."""
    with _copy_of(paths, code) as root:
        for name in ("data.dvc", "dvc.lock"):  # the lock brings the split's memory of where images were placed
            shutil.copyfile(data.made_of.folder / name, root / name)
        shutil.copyfile(params.made_of.folder / "params.yaml", root / "params.yaml")
        _share(paths, root)
        _dvc(root, "checkout", "--allow-missing")
        _dvc(root, "repro", f"evaluate@{params.made_of.model}")
        return read_report(Paths(root).evaluate(params.made_of.model))


def _which(cell: Cell, one: Cell) -> str:
    return "the first run" if cell is one else "the second"


@contextmanager
def _copy_of(paths: Paths, cell: Cell) -> Iterator[Path]:
    """A folder with the project's files as of the run's commit."""
    paths.private.mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cross-", dir=paths.private) as place:
        root = Path(place)
        packed = subprocess.run(["git", "archive", cell.commit or "HEAD"], cwd=paths.root, capture_output=True, check=False)
        if packed.returncode:
            raise UsageError(f"the code of commit {cell.commit[:12]} cannot be had from git here: fetch it, and run the command again")
        subprocess.run(["tar", "-x", "-C", place], input=packed.stdout, check=True)
        changed = [path for path, md5 in cell.made_of.code.items() if (root / path).is_file() and _md5(root / path) != md5]
        if changed:
            raise UsageError(
                f"the run was made by code that differs from its commit {cell.commit[:12]} in {', '.join(changed[:SHOWN])}: "
                "only what is committed before a run can be run again"
            )
        yield root


def _share(paths: Paths, root: Path) -> None:
    """Let the copy use the project's cache and downloaded weights."""
    from dvc.config import Config

    cache = subprocess.run([sys.executable, "-m", "dvc", "cache", "dir"], cwd=paths.root, capture_output=True, text=True, check=True)
    with Config(str(root / ".dvc"), validate=False).edit("local") as local:
        local["core"] = {"no_scm": True}
        local["cache"] = {"dir": str((paths.root / cache.stdout.strip()).resolve())}
    if (paths.private / "weights").is_dir():
        (root / ".visionloop").mkdir(mode=0o700, exist_ok=True)
        (root / ".visionloop" / "weights").symlink_to((paths.private / "weights").resolve())


def _dvc(root: Path, *arguments: str) -> None:
    """Run DVC in the copy, its code before any that is installed, its runs in a store of its own."""
    named = {"PYTHONPATH": str(root), "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    environment = {name: value for name, value in os.environ.items() if name not in ("VISIONLOOP_ROOT", "MLFLOW_TRACKING_URI")}
    command = [sys.executable, "-m", "dvc", *arguments]
    run = subprocess.Popen(
        command, cwd=root, env={**environment, **named}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert run.stdout is not None
    last = ""
    for line in run.stdout:
        last = line.strip() or last
        log.info("  %s", line.rstrip())
    if run.wait():
        raise DataError(f"`dvc {' '.join(arguments)}` failed in the copy: {last}")


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
