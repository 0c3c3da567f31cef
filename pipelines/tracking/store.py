"""Where runs are kept: an SQLite store in the project, or the server MLFLOW_TRACKING_URI names."""

import logging
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock

from components.data.tables import TASKS
from components.errors import ResourceError, ServiceError, VisionloopError
from pipelines.paths import Paths

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PROBE_SECONDS = 1.0
LOCK_SECONDS = 120.0
LONGEST_TAG = 5000  # characters; MLflow takes 8,000 bytes
ARTIFACT_ROOT = "MLFLOW_DEFAULT_ARTIFACT_ROOT"  # `mlflow server` reads it too
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",  # otherwise logging a model resolves the environment first
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
    "MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING": "false",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
QUIETER = {
    "alembic": logging.WARNING,
    "mlflow.store.db.utils": logging.WARNING,
    "mlflow.store.model_registry.abstract_store": logging.WARNING,
    "mlflow.utils.environment": logging.ERROR,
}


@dataclass(frozen=True)
class Store:
    """One tracking store and registry; opened on first use, never on import or construction."""

    folder: Path
    uri: str
    _opened: list[tuple["MlflowClient", dict[str, str]]] = field(default_factory=list, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def embedded(self) -> bool:
        """True when the store lies in files of this project, False when it is a server."""
        return self.uri.startswith("sqlite:")

    @property
    def database(self) -> Path | None:
        """The SQLite file, None where the store is a server."""
        return Path(self.uri.removeprefix("sqlite:///").partition("?")[0]).resolve() if self.embedded else None

    @property
    def client(self) -> "MlflowClient":
        """The client, with both experiments in place. Raises ServiceError when a server does not answer."""
        return self._open()[0]

    def experiment(self, task: str) -> str:
        """The id of the task's experiment."""
        return self._open()[1][task]

    def artifacts(self, experiment: str) -> str | None:
        """The address below which a new experiment's files are kept; None on a server, which decides that itself.

        Of a database that is reached directly it is below ARTIFACT_ROOT, without which it is in the project's own store, as SQLite's.
        """
        from mlflow.store.db.db_types import DATABASE_ENGINES

        if urlsplit(self.uri).scheme.partition("+")[0] not in DATABASE_ENGINES:
            return None
        named = "" if self.embedded else os.environ.get(ARTIFACT_ROOT, "")
        return f"{(named or (self.folder / 'artifacts').as_uri()).rstrip('/')}/{experiment}"

    def fetched(self, uri: str, folder: Path) -> Path:
        """The file or folder of an artifact's address, fetched below `folder` where it is not one of this machine.

        Not asked for by its run: then MLflow copies even what lies here into a folder for temporary files, and leaves it there.
        """
        import mlflow.artifacts

        target = None if self.embedded else str(folder)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=target, tracking_uri=self.uri))

    def runs(self, task: str, wanted: str, order: Sequence[str] = ()) -> list["Run"]:
        """All runs of the task's experiment that MLflow's filter `wanted` lets through, in MLflow's `order`, however many."""
        found: list[Run] = []
        token = None
        while True:
            page = self.client.search_runs([self.experiment(task)], wanted, order_by=list(order), page_token=token)
            found += page
            token = page.token
            if not token:
                return found

    def lock(self, name: str, seconds: float = LOCK_SECONDS) -> FileLock:
        """A lock between the processes of this machine; released by the system when its holder dies."""
        return FileLock(private_folder(self.folder) / f"{name}.lock", timeout=seconds)

    def _open(self) -> tuple["MlflowClient", dict[str, str]]:
        with self._lock:
            if not self._opened:
                self._opened.append(self._connect())
            return self._opened[0]

    def _connect(self) -> tuple["MlflowClient", dict[str, str]]:
        if not self.embedded:
            probe(self.uri)
        with self.lock("create"):
            from mlflow import MlflowClient

            for name, level in QUIETER.items():
                logging.getLogger(name).setLevel(level)
            client = MlflowClient(self.uri, self.uri)
            return client, {task: self._experiment(client, task) for task in TASKS}

    def _experiment(self, client: "MlflowClient", task: str) -> str:
        if found := client.get_experiment_by_name(task):
            return str(found.experiment_id)
        about = (
            f"One run a trained {task} model. Select runs and press Compare, or open the chart view; `test/…` is what a promotion judges."
        )
        return str(client.create_experiment(task, artifact_location=self.artifacts(task), tags={"mlflow.note.content": about}))


def open_store(paths: Paths, tracking_uri: str | None = None) -> Store:
    """The store `tracking_uri` names, or MLFLOW_TRACKING_URI, or the project's own."""
    os.environ.update({name: value for name, value in ENVIRONMENT.items() if name not in os.environ})
    folder = paths.mlflow_store.resolve()
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"
    return Store(folder, uri)


def private_folder(folder: Path) -> Path:
    """Create `folder`, readable by its owner only."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def probe(uri: str) -> None:
    """Raise ServiceError unless something listens at the http(s) address within about a second."""
    from requests.utils import get_environ_proxies

    address = urlsplit(uri)
    if address.scheme not in ("http", "https") or address.hostname is None or get_environ_proxies(uri):
        return
    reached: list[bool] = []

    def connect() -> None:
        port = address.port or (443 if address.scheme == "https" else 80)
        with socket.create_connection((address.hostname, port), timeout=PROBE_SECONDS):
            reached.append(True)

    def attempt() -> None:
        try:
            connect()
        except OSError:
            return

    # A name that does not resolve can block for longer than any socket timeout.
    waiter = threading.Thread(target=attempt, daemon=True)
    waiter.start()
    waiter.join(PROBE_SECONDS * 1.2)
    if not reached:
        raise ServiceError(f"no MLflow server answers at {uri} (MLFLOW_TRACKING_URI): start it, correct the address, or unset the variable")


@contextmanager
def patience(seconds: int, retries: int) -> Iterator[None]:
    """Within it, a request to an MLflow server waits at most `seconds` and is repeated `retries` times."""
    wanted = {"MLFLOW_HTTP_REQUEST_TIMEOUT": str(seconds), "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def service(uri: str, remedy: str) -> Iterator[None]:
    """Turn what MLflow raises into ServiceError, and a full disk into ResourceError, with the remedy in the message."""
    try:
        yield
    except VisionloopError as error:
        if isinstance(error, ServiceError):
            raise ServiceError(f"{error}. {remedy}") from error
        raise
    except Exception as error:
        if not _is_service_error(error):
            raise
        kind = ResourceError if _is_full(error) else ServiceError
        raise kind(f"MLflow at {uri} failed: {_first_line(error)}. {remedy}") from error


def _is_service_error(error: Exception) -> bool:
    import requests
    import sqlalchemy.exc
    from mlflow.exceptions import MlflowException

    return isinstance(error, (MlflowException, requests.RequestException, sqlalchemy.exc.SQLAlchemyError, OSError))


def _is_full(error: BaseException) -> bool:
    words = str(error).lower()
    return "disk is full" in words or "no space left" in words or "disk quota" in words


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
