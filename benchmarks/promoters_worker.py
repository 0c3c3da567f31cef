"""One promoter of `benchmarks.promoters`: a process that promotes when told, notes what it saw, and can be killed in the lock."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# All that a promotion imports, by the fork server, once for all.
import mlflow.artifacts
import mlflow.store.artifact.local_artifact_repo
import mlflow.store.db_migrations
import mlflow.store.model_registry.sqlalchemy_store
import mlflow.store.tracking.sqlalchemy_store
import mlflow.webhooks.delivery  # noqa: F401
import numpy  # noqa: F401
import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import sqlalchemy.dialects.postgresql
import sqlalchemy.dialects.sqlite  # noqa: F401

import pipelines.lock_postgres
import pipelines.promote
import pipelines.registry
from components.gate import Gate
from pipelines.locks import Check, promoters_lock
from pipelines.paths import Paths
from pipelines.registry import NAMES, Alias, Registry, Version
from pipelines.tracking.store import Store

TASK = "classification"
NOT_ASKED: dict[str, Any] = dict.fromkeys(field.name for field in fields(Gate))
GATE = Gate(**NOT_ASKED | {"metric": "accuracy", "floor": 0.0, "margin": 0.0, "min_support": 20})
SETTINGS = SimpleNamespace(seed=0, promote=SimpleNamespace(rounds=200, approval="none", classification=GATE, detection=GATE))


class Watched(Registry):
    """The product's registry; notes which champion was read inside the lock, and whether this one became champion."""

    def __init__(self, paths: Paths, uri: str) -> None:
        super().__init__(paths, uri)
        self.inside, self.seen, self.wrote = False, [], []  # type: ignore[var-annotated]

    @contextmanager
    def promoting(self, task: str) -> Iterator[dict[str, Any] | None]:
        """As the registry does, noting that it is inside."""
        self.seen, self.wrote = [], []
        with super().promoting(task) as completed:
            self.inside = True
            try:
                yield completed
            finally:
                self.inside = False

    def at(self, task: str, alias: Alias) -> Version | None:
        """As the registry does, noting the champion."""
        version = super().at(task, alias)
        if self.inside and alias == "champion":
            self.seen.append(version.number if version else None)
        return version

    def assign(self, version: Version, alias: Alias) -> None:
        """As the registry does, noting the new champion."""
        super().assign(version, alias)
        if self.inside and alias == "champion":
            self.wrote.append(version.number)


class Lock:
    """The product's lock, whose holder tells when it entered, and kills itself after `kill_after` seconds."""

    def __init__(self, tell: Callable[..., None]) -> None:
        self.tell, self.kill_after = tell, None  # type: ignore[var-annotated]

    @contextmanager
    def __call__(self, store: Store, seconds: float) -> Iterator[Check]:
        """As the product's lock, telling of it."""
        with promoters_lock(store, seconds) as check:
            entered = time.monotonic()
            self.tell("entered", entered)
            timer = None
            if self.kill_after is not None:
                self.tell("dies", entered + self.kill_after)
                timer = threading.Timer(self.kill_after, os.kill, (os.getpid(), signal.SIGKILL))
                timer.start()
            try:
                yield check
            finally:
                if timer is not None:
                    timer.cancel()
                    self.tell("survives", time.monotonic())
                self.tell("left", time.monotonic())


def work(pipe: Connection, root: str, uri: str) -> None:
    """Do what the pipe says, for ever: (kind, model's name, seconds after which to die in the lock or None)."""
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    paths = Paths(Path(root))
    registry = Watched(paths, uri)
    lock = Lock(lambda *what: pipe.send(what))
    pipelines.registry.promoters_lock = lock  # type: ignore[assignment]
    _ = registry.store.client
    pipe.send(("ready", time.monotonic()))
    while True:
        kind, name, lock.kill_after = pipe.recv()
        pipe.send(("invoked", time.monotonic()))
        try:
            answer = KINDS[kind](registry, paths, name)
        except Exception as error:
            pipe.send(("failed", f"{type(error).__name__}: {error}"))
            raise
        pipe.send(("returned", time.monotonic(), answer))


def promote(registry: Watched, paths: Paths, name: str) -> tuple[Any, Any]:
    """Promote by the product's own code; answers the champion that was read and the version that was written, or None."""
    pipelines.promote.promote(TASK, paths, SETTINGS, [paths.evaluate(name)], None, registry)  # type: ignore[arg-type]
    return registry.seen[0], (registry.wrote or [None])[0]


def plain(registry: Watched, _paths: Paths, name: str) -> tuple[Any, Any]:
    """If better, set the alias: what is written without this project."""
    client = registry.store.client
    champion = client.get_model_version_by_alias(NAMES[TASK], "champion")
    mine = client.search_model_versions(f"name = '{NAMES[TASK]}' and tags.`visionloop.model` = '{name}'")[0]
    better = int(mine.tags["quality"]) > int(champion.tags["quality"])
    if better:
        client.set_registered_model_alias(NAMES[TASK], "champion", mine.version)
    return int(champion.version), int(mine.version) if better else None


def look(registry: Watched, _paths: Paths, _name: str) -> tuple[Any, Any]:
    """Read who is champion."""
    version = registry.at(TASK, "champion")
    return version.number if version else None, None


def close(registry: Watched, _paths: Paths, _name: str) -> tuple[Any, Any]:
    """Complete or void what a killed promoter left; answers the champion then."""
    with registry.promoting(TASK):
        pass
    return look(registry, _paths, _name)


def reset(registry: Watched, paths: Paths, name: str) -> tuple[Any, Any]:
    """Let another version be champion, as by hand, and the ledger know of it."""
    version = next(one for one in versions(registry) if one.model == name)
    registry.assign(version, "champion")
    return close(registry, paths, name)


def audit(registry: Watched, _paths: Paths, _name: str) -> tuple[Any, Any]:
    """The ledger's entries of the task, and what is wrong with the ledger."""
    return registry.history(TASK), registry.ledger.verify([registry.settled(TASK)])


def versions(registry: Registry) -> list[Version]:
    """All that are registered."""
    found = registry.store.client.search_model_versions(f"name = '{NAMES[TASK]}'")
    return [pipelines.registry._version(one) for one in found]


KINDS = {"promote": promote, "plain": plain, "look": look, "close": close, "reset": reset, "audit": audit}
