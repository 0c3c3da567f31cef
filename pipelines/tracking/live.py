"""A run that grows while its model trains. A side channel: nothing here raises, and a server away costs it once."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from components.data.tables import TASKS
from pipelines.tracking.lease import HOST, Renewal, is_alive, owner
from pipelines.tracking.store import Store, patience

LOG = logging.getLogger(__name__)

REQUEST_SECONDS = 2
MODEL = "visionloop.model"
MODEL_SHA256 = "visionloop.model_sha256"
TRAINING = "visionloop.training"


@dataclass
class LiveRun:
    """One training under way. After the first failure it stays silent: publishing fills in what is missing.

    `told` is the last epoch that the run knew before this process went on with it, -1 for a new one.
    """

    store: Store
    run_id: str
    told: int = -1
    away: bool = False
    _renewal: Renewal | None = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # An embedded store is of one machine, which sees by itself whether the process is there.
        self._renewal = None if self.store.embedded else Renewal(self.store, self.run_id)

    def log_epoch(self, step: int, metrics: Mapping[str, float]) -> None:
        """Log one epoch's metrics; `step` is the epoch. One that the run knows already is not logged twice."""
        if self.away or step <= self.told:
            return
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        with self._quietly():
            self.store.client.log_batch(self.run_id, [Metric(name, float(value), now, step) for name, value in metrics.items()])

    def interrupted(self) -> None:
        """Mark the run as KILLED: its process leaves before the training's end."""
        self._end("KILLED")

    def failed(self) -> None:
        """Mark the run as FAILED: its training raised."""
        self._end("FAILED")

    def finish(self, model_sha256: str) -> None:
        """Close the run, under the weights' hash by which publishing finds it."""
        self._leave()
        if self.away:
            return
        with self._quietly():
            self.store.client.set_tag(self.run_id, MODEL_SHA256, model_sha256)
            self.store.client.set_terminated(self.run_id, "FINISHED")

    def _end(self, status: str) -> None:
        self._leave()
        if self.away:
            return
        with self._quietly():
            self.store.client.set_terminated(self.run_id, status)

    def _leave(self) -> None:
        if self._renewal is not None:
            self._renewal.stop()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        try:
            with patience(REQUEST_SECONDS, 0):
                yield
        except Exception as error:
            self.away = True
            LOG.warning("live metrics stop here, the training goes on; the next `visionloop run` publishes them: %s", error)


@contextmanager
def unless_it_ends(live: LiveRun | None) -> Iterator[None]:
    """A training: interrupted its run is KILLED, raising anything else FAILED, and the next attempt goes on with the same run."""
    try:
        yield
    except KeyboardInterrupt:
        if live:
            live.interrupted()
        raise
    except Exception:
        if live:
            live.failed()
        raise


def start(store: Store, task: str, model: str, run_name: str, params: Mapping[str, object], tags: Mapping[str, str]) -> LiveRun | None:
    """Open a run for a training that begins, or reopen the one of the same `visionloop.training` that was interrupted or failed.

    Answers None, with a warning, when MLflow is away.
    """
    try:
        with patience(REQUEST_SECONDS, 0):
            reconcile(store)
            if (left := unfinished(store, task, tags.get(TRAINING))) is not None:
                return _reopened(store, left.info.run_id)
            from mlflow.entities import Param

            run = store.client.create_run(store.experiment(task), run_name=run_name, tags={**tags, **owner(), MODEL: model})
            store.client.log_batch(run.info.run_id, params=[Param(name, str(value)) for name, value in params.items()])
    except Exception as error:
        LOG.warning("no live metrics for %s, the training goes on; the next `visionloop run` publishes it: %s", model, error)
        return None
    return LiveRun(store, run.info.run_id)


def unfinished(store: Store, task: str, training: str | None) -> Any | None:
    """The newest run of the training of this key that has no model, and whose process is no more; None when there is none."""
    if training is None:
        return None
    runs = store.runs(task, f"tags.`{TRAINING}` = '{training}'", ["attributes.start_time DESC"])
    return next((run for run in runs if run.info.status in ("KILLED", "FAILED") and MODEL_SHA256 not in run.data.tags), None)


def take_over(store: Store, run_id: str) -> None:
    """Make a run that was begun before this process', and RUNNING."""
    from mlflow.entities import RunTag

    store.client.log_batch(run_id, tags=[RunTag(name, value) for name, value in owner().items()])
    store.client.update_run(run_id, status="RUNNING")


def _reopened(store: Store, run_id: str) -> LiveRun:
    take_over(store, run_id)
    points = store.client.get_metric_history(run_id, "train/loss")
    return LiveRun(store, run_id, told=max((point.step for point in points), default=-1))


def reconcile(store: Store) -> list[str]:
    """Mark as KILLED the runs, of any task, whose process is no more, or of another machine and without a lease; answers their ids."""
    killed = []
    owned = f"attributes.status = 'RUNNING' and tags.`{HOST}` LIKE '%'"
    for run in (run for task in TASKS for run in store.runs(task, owned)):
        if not is_alive(run.data.tags):
            store.client.set_terminated(run.info.run_id, "KILLED")
            killed.append(run.info.run_id)
    return killed


def reconcile_if_there(store: Store) -> list[str]:
    """The same before other work, which it neither fails nor holds up: where MLflow is away, about 2 s pass and nothing happens."""
    try:
        with patience(REQUEST_SECONDS, 0):
            return reconcile(store)
    except Exception as error:
        LOG.debug("runs that dead processes left behind stay as they are, MLflow is away: %s", error)
        return []
