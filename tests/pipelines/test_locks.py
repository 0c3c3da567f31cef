"""One promoter at a time: the locks of SQLite, PostgreSQL and a plain MLflow server, and what becomes of them when a holder dies."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from components.errors import ServiceError, UsageError
from pipelines import lock_turns, locks
from pipelines.lock_postgres import postgres_lock
from pipelines.lock_turns import turns_lock
from pipelines.locks import file_lock, promoters_lock
from pipelines.shared_log import SharedLog
from pipelines.tracking.store import Store, open_store
from tests.pipelines.fabricate import project
from tests.postgres import binaries, postgres
from tests.project import ROOT

HOLD = """
import os, sys, time
from pathlib import Path
from pipelines.locks import file_lock
from pipelines.lock_postgres import postgres_lock
with {lock}:
    if os.fork() == 0:  # a child that outlives the holder must not keep what it inherited
        os.close(1)
        time.sleep(60)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


@contextmanager
def holder(lock: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock and has a child."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(lock=lock)], stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def seconds_until_held(lock: Callable[[], object]) -> float:
    begun = time.monotonic()
    with lock():  # type: ignore[attr-defined]
        return time.monotonic() - begun


def test_a_files_lock_names_its_holder_and_is_free_when_it_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "promote.lock"
    with holder(f"file_lock(Path({str(path)!r}), 5)") as process:
        with pytest.raises(ServiceError, match=rf"held .*promote.lock for 0 s \(process {process.pid} of \S+@\S+ since \d{{4}}-"):
            seconds_until_held(lambda: file_lock(path, 0.2))
        process.kill()
        assert seconds_until_held(lambda: file_lock(path, 10)) < 10
    assert not path.with_name("promote.lock.owner").exists(), "who left says so"


def test_the_lock_of_an_sqlite_store_lies_beside_it_whoever_uses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(locks.LOCK_URL, raising=False)
    uri = f"sqlite:///{project(tmp_path / 'a').mlflow_store / 'mlflow.db'}"
    stores = [open_store(project(tmp_path / name), uri) for name in ("b", "c")]
    with promoters_lock(stores[0], 1), pytest.raises(ServiceError, match="another promotion"), promoters_lock(stores[1], 0.1):
        pytest.fail("two projects promoted in one store at once")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    for name, value in {"RENEW_SECONDS": 0.1, "STALE_SECONDS": 0.8, "POLL_SECONDS": 0.05}.items():
        monkeypatch.setattr(lock_turns, name, value)
    return open_store(project(tmp_path / "project"))


def test_turns_are_taken_one_after_the_other_and_kept_as_long_as_they_are_renewed(store: Store) -> None:
    with turns_lock(store, 1) as check:
        with pytest.raises(ServiceError, match=r"turn 1 .*process \d+ of"):
            seconds_until_held(lambda: turns_lock(store, 1.5))
        check()
    assert seconds_until_held(lambda: turns_lock(store, 0)) < 0.8, "it was ended, so nobody waits for its staleness"
    assert sorted(SharedLog(store, "turns").read()[0]) == [1, 2]


def test_a_turn_whose_holder_is_silent_is_taken_and_the_holder_is_told(store: Store) -> None:
    silent = SharedLog(store, "turns")
    assert lock_turns._take(silent, 1) == 1  # and never renewed, as by one who died or sleeps
    with turns_lock(store, 5) as check:
        check()
        assert SharedLog(store, "turns").write(3, "another one, after a pause of ours")
        with pytest.raises(ServiceError, match="turn 2 of the promoters was lost"):
            check()


def test_of_two_who_write_the_same_number_one_has_it(store: Store) -> None:
    one, two = SharedLog(store, "lines"), SharedLog(store, "lines")
    long = "x" * 12_345
    assert one.write(1, long) and not two.write(1, "y" * 11_000) and one.write(1, long), "sending again does no harm"
    assert two.write(2, "short")
    assert one.read()[0] == {1: long, 2: "short"} == two.read()[0]


def test_a_lock_url_that_is_no_postgresql_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(locks.LOCK_URL, "mysql://somewhere/db")
    with pytest.raises(UsageError, match=r"VISIONLOOP_LOCK_URL .* expected postgresql\+psycopg://"), promoters_lock(store, 1):
        pytest.fail("nothing was locked")


@pytest.mark.slow
@pytest.mark.ci
@pytest.mark.skipif(binaries() is None, reason="PostgreSQL is not installed here (initdb, pg_ctl)")
def test_an_advisory_lock_names_its_holder_is_free_when_it_was_killed_and_tells_when_it_was_lost() -> None:
    pytest.importorskip("psycopg")
    import psycopg

    with postgres() as server:
        url = f"{server}/postgres"
        with holder(f"postgres_lock({url!r}, 5)") as process:
            with pytest.raises(ServiceError, match=rf"process {process.pid} of .* from 127.0.0.1") as caught:
                seconds_until_held(lambda: postgres_lock(url, 0.3))
            assert re.search(r"the lock at postgresql\+psycopg://visionloop@127", str(caught.value))
            process.kill()
            assert seconds_until_held(lambda: postgres_lock(url, 10)) < 10
        with postgres_lock(url, 5) as check:
            check()
            with psycopg.connect(url.replace("+psycopg", "")) as other:
                other.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'")
            with pytest.raises(ServiceError, match="turn is lost"):
                check()
        with pytest.raises(ServiceError, match="does not answer"), postgres_lock(f"{server[:-1]}/postgres", 1):
            pytest.fail("nobody is there")
