"""`visionloop ui`: MLflow's own web interface over the project's store, on loopback, until Ctrl-C."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.local_server import HOST, free_port, local_server
from pipelines.paths import Paths
from pipelines.tracking.store import Store, open_store

# Without the first, eight helper processes take 2 GB and a minute to start.
SWITCHES = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONUNBUFFERED": "1"}


def show(paths: Paths, port: int | None = None) -> int:
    """Serve the interface until interrupted; answers 0. Where MLFLOW_TRACKING_URI names another place, only says how to look at it."""
    store = open_store(paths)
    if not store.embedded:
        print(_elsewhere(store.uri))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        with serving(store, port) as url:
            print(f"MLflow shows runs and models at {url} (only on this machine). Press Ctrl-C to stop.", flush=True)
            signal.pause()
    except KeyboardInterrupt:
        print("\nstopped")
    return 0


def _elsewhere(uri: str) -> str:
    from sqlalchemy import make_url

    shown = make_url(uri).render_as_string(hide_password=True) if "://" in uri else uri
    if uri.startswith("http"):
        return f"MLFLOW_TRACKING_URI is set: open {shown}"
    return f'MLFLOW_TRACKING_URI names a database, {shown}: `mlflow server --backend-store-uri "$MLFLOW_TRACKING_URI"` shows it'


@contextmanager
def serving(store: Store, port: int | None = None) -> Iterator[str]:
    """Run the server for an embedded store, and answer its address once it is up; it is stopped on the way out.

    `port` None takes a free one. Raises UsageError when the port is taken, ServiceError when the server does not start.
    """
    _ = store.client  # creates the store, alone, before the server and its worker open it
    chosen = free_port(port)
    url = f"http://{HOST}:{chosen}"
    with local_server(_command(store, chosen), f"{url}/health", store.folder / "ui.log", SWITCHES):
        yield url


def _command(store: Store, port: int) -> list[str]:
    artifacts = (store.folder / "artifacts").as_uri()
    stores = {"--backend-store-uri": store.uri, "--artifacts-destination": artifacts}
    options = {**stores, "--host": HOST, "--port": str(port), "--workers": "1"}
    return [sys.executable, "-m", "mlflow", "server", *(word for option in options.items() for word in option)]


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
