"""The promoters' lock as a PostgreSQL advisory lock: it ends with the connection that holds it, whatever ended the holder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from components.errors import ServiceError, UsageError
from pipelines.locks import LOCK_URL, POSTGRES, Check, busy, owner

EXAMPLE = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"
KEY = 0x76697369  # "visi": one lock a database
# The server asks a silent client after 3 s, and twice more at 2 s: a machine that vanished holds nothing after 7 s.
SESSION = (
    "SET tcp_keepalives_idle = 3",
    "SET tcp_keepalives_interval = 2",
    "SET tcp_keepalives_count = 2",
    "SET tcp_user_timeout = 7000",
    "SET statement_timeout = 0",
    "SET idle_session_timeout = 0",
)
CLIENT = {"connect_timeout": 10, "keepalives_idle": 3, "keepalives_interval": 2, "keepalives_count": 2, "tcp_user_timeout": 7000}
HELD = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = :key AND granted AND pid = pg_backend_pid()"
HOLDER = """SELECT application_name, coalesce(host(client_addr), 'this machine') FROM pg_stat_activity JOIN pg_locks USING (pid)
WHERE locktype = 'advisory' AND classid = 0 AND objid = :key AND granted"""
_inherited: list[int] = []


@contextmanager
def postgres_lock(url: str, seconds: float) -> Iterator[Check]:
    """Hold the advisory lock of the database at `url`. Raises ServiceError when it is not free in time, or PostgreSQL is away."""
    from sqlalchemy import text
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    connection = _connect(url)
    try:
        _take(connection, url, seconds)

        def check() -> None:
            try:
                held = connection.execute(text(HELD), {"key": KEY}).scalar()
            except DBAPIError as error:
                raise ServiceError(f"the connection that held the promoters' lock is gone ({_first(error)}): the turn is lost") from None
            if not held:
                raise ServiceError("the promoters' lock is not held any more: the turn is lost")

        yield check
    finally:
        _forget(connection)
        try:
            connection.close()
            connection.engine.dispose()
        except SQLAlchemyError:
            connection.invalidate()


def _connect(url: str) -> Any:
    from sqlalchemy import create_engine, text
    from sqlalchemy.exc import ArgumentError, DBAPIError
    from sqlalchemy.pool import NullPool

    if not url.startswith(POSTGRES):
        raise UsageError(f"{LOCK_URL} does not name a PostgreSQL: expected {EXAMPLE}")
    try:
        engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=CLIENT)
        connection = engine.connect()
        for statement in SESSION:
            connection.execute(text(statement))
    except ModuleNotFoundError as error:
        raise UsageError(
            f"the PostgreSQL driver {error.name!r} is not installed: `uv pip install -e '.[postgres]'`, and write {EXAMPLE}"
        ) from None
    except ArgumentError as error:
        raise UsageError(f"the address of the promoters' PostgreSQL cannot be read: {_first(error)}") from None
    except DBAPIError as error:
        raise ServiceError(
            f"the PostgreSQL of the promoters' lock does not answer ({_first(error)}): start it, or correct {LOCK_URL}"
        ) from None
    _remember(connection)
    return connection


def _take(connection: Any, url: str, seconds: float) -> None:
    from sqlalchemy import make_url, text
    from sqlalchemy.exc import DBAPIError

    where = make_url(url).render_as_string(hide_password=True)
    connection.execute(
        text("SELECT set_config('application_name', :name, false)"), {"name": owner().encode("ascii", "replace").decode()[:63]}
    )
    connection.execute(text(f"SET lock_timeout = {max(1, int(seconds * 1000))}"))
    try:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": KEY})
    except DBAPIError as error:
        holder = connection.execute(text(HOLDER), {"key": KEY}).first()
        if holder is None and "lock timeout" not in str(error):
            raise ServiceError(f"the promoters' lock at {where} failed: {_first(error)}") from None
        raise busy(f"the lock at {where}", f"{holder[0]} from {holder[1]}" if holder else "its holder just left", seconds) from None


def _remember(connection: Any) -> None:
    """A child process that is forked meanwhile and outlives this one must not keep the connection, and with it the lock."""
    if not _inherited:
        os.register_at_fork(after_in_child=_close_inherited)
        _inherited.append(-1)
    _inherited.append(connection.connection.driver_connection.fileno())


def _forget(connection: Any) -> None:
    try:
        _inherited.remove(connection.connection.driver_connection.fileno())
    except Exception:  # the connection is broken: its descriptor is closed
        del _inherited[1:]


def _close_inherited() -> None:
    for descriptor in _inherited[1:]:
        os.close(descriptor)
    del _inherited[1:]


def _first(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
