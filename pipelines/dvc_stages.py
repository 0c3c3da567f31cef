"""Ask DVC which stages are out of date, and have it run one in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from components.errors import VisionloopError
from pipelines.paths import Paths
from pipelines.stages.watchdog import PARENT

STAGE_EXIT = re.compile(r"exited with (\d+)")
SKIPPED = re.compile(r"didn't change, skipping")
ADVICE = re.compile(r"(To track the changes|\tgit add |To enable auto staging|\tdvc config |Use `dvc push`|(Generat|Updat)ing lock file)")
LAST_LINES = 20
INTERRUPTED = 130
GRACE_SECONDS = 10.0

_running: set[int] = set()
_lock = threading.Lock()
_leaving = threading.Event()


class StageFailed(VisionloopError):
    """A stage ended with an error; `exit_code` is the stage's own."""

    def __init__(self, stage: str, exit_code: int, message: str) -> None:
        super().__init__(message)
        self.stage = stage
        self.exit_code = exit_code

    @property
    def is_users(self) -> bool:
        """Whether trying again would fail the same way: the user must mend it, or wanted it."""
        return self.exit_code in (1, 2, 3, 5, INTERRUPTED)


def stale(paths: Paths) -> set[str]:
    """The stages (and data.dvc) that DVC finds changed; stages that follow them may become so."""
    from dvc.repo import Repo

    _without_git(paths)
    with Repo(str(paths.root)) as repo:
        return {name.rpartition(":")[2] for name in repo.status()}  # seen from another folder, dvc.yaml's path comes first


def _without_git(paths: Paths) -> None:
    """Tell DVC of a copy without .git, as containers hold, in the file that is local to this machine."""
    from dvc.config import Config

    config = Config(str(paths.root / ".dvc"), validate=False)
    if not (paths.root / ".git").exists() and not config.get("core", {}).get("no_scm"):
        with config.edit("local") as local:
            local.setdefault("core", {})["no_scm"] = True


def reproduce(paths: Paths, stage: str, tell: Callable[[str], None], timeout: float) -> bool:
    """`dvc repro --single-item STAGE`; every line of its output goes to `tell`. Answers whether the stage ran.

    Raises StageFailed with the stage's own message and exit code; TimeoutError after `timeout` seconds. The process
    and its children end with this one.
    """
    if _leaving.is_set():
        raise StageFailed(stage, INTERRUPTED, f"stage {stage}: interrupted")
    _without_git(paths)
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro", "--single-item", stage],
        cwd=paths.root, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        start_new_session=True,
    )  # fmt: skip
    with _lock:
        _running.add(process.pid)
    late = threading.Event()
    timer = threading.Timer(timeout, _end_late, (process.pid, late))
    timer.start()
    try:
        lines = _stream(process, tell)
    finally:
        timer.cancel()
        _end(process.pid)
        with _lock:
            _running.discard(process.pid)
    if late.is_set():
        raise TimeoutError(f"stage {stage} took longer than run.stage_timeout, {timeout:.0f} s")
    if _leaving.is_set() and process.returncode:
        raise StageFailed(stage, INTERRUPTED, f"stage {stage}: interrupted")
    if process.returncode:
        raise _failure(stage, process.returncode, lines)
    return not any(SKIPPED.search(line) for line in lines)


def begin() -> None:
    """Stages may run, again after `end_all`."""
    _leaving.clear()


def end_all() -> None:
    """End every stage that runs now, and start no other until `begin`."""
    _leaving.set()
    with _lock:
        groups = list(_running)
    for group in groups:
        _end(group)


def _stream(process: "subprocess.Popen[str]", tell: Callable[[str], None]) -> list[str]:
    lines = []
    assert process.stdout is not None
    for raw in process.stdout:
        line = raw.rstrip()
        if line and not ADVICE.match(line):
            lines.append(line)
            tell(line)
    process.wait()
    return lines


def _end(group: int) -> None:
    """End a process group: politely, so that the stage removes its partial output, and for certain after GRACE_SECONDS."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        end = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < end:
            time.sleep(0.05)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def _end_late(group: int, late: threading.Event) -> None:
    late.set()
    _end(group)


def _environment() -> dict[str, str]:
    """The stage's command must be found, and its process know whom it works for."""
    tools = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ.get('PATH', '')}", PARENT: str(os.getpid()), "PYTHONUNBUFFERED": "1"}


def _failure(stage: str, code: int, lines: list[str]) -> StageFailed:
    told = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    exits = [int(found.group(1)) for line in lines if (found := STAGE_EXIT.search(line))]
    message = told[-1] if told else "\n".join(lines[-LAST_LINES:])
    return StageFailed(stage, exits[-1] if exits else abs(code), f"stage {stage}: {message}")
