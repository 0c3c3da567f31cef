"""A PostgreSQL of one's own, on loopback, in a temporary folder, for as long as it is needed."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

USER = "visionloop"


def binaries() -> Path | None:
    """Where initdb and pg_ctl lie; None where PostgreSQL is not installed."""
    found = shutil.which("pg_ctl")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "initdb").exists()), None)


@contextmanager
def postgres() -> Iterator[str]:
    """Its address without a database's name, `postgresql+psycopg://USER@127.0.0.1:PORT`; nothing of it is left afterwards."""
    place = binaries()
    assert place is not None
    with tempfile.TemporaryDirectory(prefix="visionloop-postgres-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        data.mkdir(mode=0o700)
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            Path(folder).chmod(0o755)
            shutil.chown(data, "postgres", "postgres")
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        _run([str(place / "initdb"), "-D", str(data), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale"])
        knobs = f"-h 127.0.0.1 -p {port} -k '' -c max_connections=300 -c fsync=off"
        _run([str(place / "pg_ctl"), "-D", str(data), "-o", knobs, "-l", str(data / "log"), "-w", "start"])
        try:
            yield f"postgresql+psycopg://{USER}@127.0.0.1:{port}"
        finally:
            _run([str(place / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop"])


def _run(command: Sequence[str]) -> None:
    # Not every shell has the folder of runuser in its PATH.
    runuser = shutil.which("runuser", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "runuser"
    as_user = [runuser, "-u", "postgres", "--", *command] if os.getuid() == 0 else list(command)
    subprocess.run(as_user, check=True, stdout=subprocess.DEVNULL, cwd="/")
