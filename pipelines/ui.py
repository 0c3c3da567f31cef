"""`visionloop ui`: MLflow's own web interface over the project's store, on loopback, until Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.errors import ServiceError, UsageError
from pipelines.paths import Paths
from pipelines.tracking.store import Store, open_store

HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 10.0
LOG_LINES = 15


def show(paths: Paths, port: int | None = None) -> int:
    """Serve the interface until interrupted; answers 0. Where MLFLOW_TRACKING_URI names a server, only says where it is."""
    store = open_store(paths)
    if not store.embedded:
        print(f"MLFLOW_TRACKING_URI is set: open {store.uri}")
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with serving(store, port) as url:
            print(f"MLflow shows runs and models at {url} (only on this machine). Press Ctrl-C to stop.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


@contextmanager
def serving(store: Store, port: int | None = None) -> Iterator[str]:
    """Run the server for an embedded store, and answer its address once it is up; it is stopped on the way out.

    `port` None takes a free one. Raises UsageError when the port is taken, ServiceError when the server does not start.
    """
    _ = store.client  # creates the store, alone, before the server and its worker open it
    chosen = _free_port(port)
    log = store.folder / "ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _command(store, chosen), cwd=store.folder, env=_environment(), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        url = f"http://{HOST}:{chosen}"
        _wait(process, url, log)
        yield url
    finally:
        _stop(process)


def _command(store: Store, port: int) -> list[str]:
    artifacts = (store.folder / "artifacts").as_uri()
    stores = {"--backend-store-uri": store.uri, "--artifacts-destination": artifacts}
    options = {**stores, "--host": HOST, "--port": str(port), "--workers": "1"}
    return [sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)]


def _environment() -> dict[str, str]:
    # Without the first, eight helper processes take 2 GB and a minute to start.
    return {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONUNBUFFERED": "1"}


def _free_port(port: int | None) -> int:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port or 0))
        except OSError as error:
            raise UsageError(f"port {port} cannot be used ({error.strerror}): name another with --port, or leave it out") from error
        return int(listener.getsockname()[1])


def _wait(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    last = "\n".join(log.read_text("utf-8", errors="replace").splitlines()[-LOG_LINES:])
    raise ServiceError(f"the MLflow server did not start; the end of {log}:\n{last}")


def _stop(process: "subprocess.Popen[bytes]") -> None:
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, wanted)
            process.wait(STOP_SECONDS)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
