"""One promoter at a time, across threads, processes and machines: which store has which lock.

| store | lock | free after its holder's death |
|---|---|---|
| SQLite | the system's own lock of a file beside the database | at once |
| PostgreSQL, or VISIONLOOP_LOCK_URL names one | an advisory lock, held by a connection | at once; 7 s where a machine or its network died |
| an MLflow server alone | turns numbered on the server, renewed while held | 6 to 8 s |
"""

import getpass
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from components.errors import ServiceError
from pipelines.tracking.store import Store, private_folder

LOCK_URL = "VISIONLOOP_LOCK_URL"
POSTGRES = ("postgresql", "postgres")

Check = Callable[[], None]
"""Raises ServiceError when the lock is not held any more."""


def owner() -> str:
    """Who holds the lock, for those who wait: `process 123 of user@host since 2026-01-01T00:00:00Z`."""
    return f"process {os.getpid()} of {who()} since {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def who() -> str:
    """`user@host`."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


@contextmanager
def promoters_lock(store: Store, seconds: float) -> Iterator[Check]:
    """Hold the promoters' lock of this registry; what is yielded raises when it was lost.

    Raises ServiceError, naming the holder, when it is not free within `seconds`.
    """
    url = os.environ.get(LOCK_URL, "")
    if url or store.uri.startswith(POSTGRES):
        from pipelines.lock_postgres import postgres_lock

        with postgres_lock(url or store.uri, seconds) as check:
            yield check
    elif store.database is not None:
        with file_lock(store.database.with_name("promote.lock"), seconds) as check:
            yield check
    else:
        from pipelines.lock_turns import turns_lock

        with turns_lock(store, seconds) as check:
            yield check


def busy(what: str, holder: str, seconds: float) -> ServiceError:
    """The answer to one who waited in vain."""
    held = f"another promotion has held {what} for {seconds:.0f} s"
    return ServiceError(f"{held} ({holder}): wait for its end, or end that process, then try again")


@contextmanager
def file_lock(path: Path, seconds: float) -> Iterator[Check]:
    """The kernel's lock of a file, which it releases when the holder dies; who holds it stands in `<path>.owner`."""
    from filelock import FileLock, Timeout

    private_folder(path.parent)
    note = path.with_name(f"{path.name}.owner")
    lock = FileLock(path, timeout=seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise busy(str(path), _noted(note), seconds) from error
    try:
        note.write_text(json.dumps({"owner": owner()}), "utf-8")
        yield lambda: None  # as long as this process lives, nobody can take it
        note.unlink(missing_ok=True)
    finally:
        lock.release()


def _noted(note: Path) -> str:
    for _ in range(2):  # it is written a moment after the lock is taken
        with suppress(OSError, ValueError, KeyError):
            return str(json.loads(note.read_text("utf-8"))["owner"])
        time.sleep(0.1)
    return "its holder is not known"
