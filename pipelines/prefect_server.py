"""The Prefect server of a run: the one that PREFECT_API_URL names, or our own on loopback, its records kept."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from components.errors import ServiceError
from pipelines.local_server import HOST, free_port, local_server, start, stop, wait
from pipelines.paths import Paths

SWITCHES = {
    "DO_NOT_TRACK": "true",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_SERVER_LEVEL": "WARNING",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
}


# A run needs what records events and task runs, and nobody who schedules, expires or reacts.
UNUSED = (
    "CANCELLATION_CLEANUP", "CLEANUP_RECONCILER", "FOREMAN", "LATE_RUNS", "PAUSE_EXPIRATIONS", "REPOSSESSOR", "SCHEDULER", "TRIGGERS",
)  # fmt: skip
ONLY_RECORDS = {f"PREFECT_SERVER_SERVICES_{name}_ENABLED": "false" for name in UNUSED} | {"PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "[]"}


class PrefectServer:
    """Started at once in the background; `ready()` waits for it, so that other work can be done meanwhile."""

    def __init__(self, paths: Paths) -> None:
        self.home = paths.prefect_home
        self.process: subprocess.Popen[bytes] | None = None
        self.url = os.environ.get("PREFECT_API_URL", "")
        os.environ.update({name: os.environ.get(name, value) for name, value in SWITCHES.items()})
        if not self.url:
            self._start()

    def ready(self) -> str:
        """The API's address, once it answers. Raises ServiceError when it does not."""
        if self.process is not None:
            wait(self.process, f"{self.url}/health", self.home / "server.log")
            return self.url
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=10):
                return self.url
        except OSError as error:
            found = f"no Prefect server answers at PREFECT_API_URL={self.url} ({error})"
            raise ServiceError(f"{found}: start it, or unset PREFECT_API_URL") from None

    def close(self) -> None:
        """Stop our own server; a named one is left alone."""
        if self.process is not None:
            stop(self.process.pid, self.process)
            self._record.unlink(missing_ok=True)

    def _start(self) -> None:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._clear_orphan()
        port = free_port()
        self.url = f"http://{HOST}:{port}/api"
        # The flow runs in this process: both need the address and the home before Prefect is imported.
        os.environ.update({"PREFECT_API_URL": self.url, "PREFECT_HOME": str(self.home)})
        command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(port)]
        own = {**ONLY_RECORDS, "PREFECT_API_URL": "", "PREFECT_UI_API_URL": self.url}
        self.process = start(command, self.home / "server.log", own)
        started = psutil.Process(self.process.pid).create_time()
        self._record.write_text(json.dumps({"pid": self.process.pid, "started": started}), encoding="utf-8")

    @property
    def _record(self) -> Path:
        return self.home / "server.json"

    def _clear_orphan(self) -> None:
        """End the server of a run that was killed before it could."""
        with suppress(OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
            noted = json.loads(self._record.read_text(encoding="utf-8"))
            if abs(psutil.Process(noted["pid"]).create_time() - noted["started"]) < 1:
                stop(noted["pid"])


@contextmanager
def prefect_server(paths: Paths) -> Iterator[PrefectServer]:
    """A server for the length of the block."""
    server = PrefectServer(paths)
    try:
        yield server
    finally:
        server.close()


def show(paths: Paths, port: int | None = None) -> int:
    """Serve the Prefect UI over the project's records until interrupted; answers 0."""
    paths.prefect_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    chosen = free_port(port)
    url = f"http://{HOST}:{chosen}"
    environment = {**SWITCHES, "PREFECT_HOME": str(paths.prefect_home), "PREFECT_UI_API_URL": f"{url}/api", "PREFECT_API_URL": ""}
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", HOST, "--port", str(chosen)]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with local_server(command, f"{url}/api/health", paths.prefect_home / "ui.log", environment):
            print(f"Prefect shows flow runs at {url} (only on this machine). Press Ctrl-C to stop.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nstopped")
    return 0
