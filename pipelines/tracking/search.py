"""A search in MLflow: one run for all of it, a nested one for each trial. A side channel: nothing here raises.

The study on disk is what counts. `Runs.complete` brings MLflow in line with it, however little got there before.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.train.search import Trial
from pipelines.tracking.lease import Renewal, owner
from pipelines.tracking.live import MODEL, REQUEST_SECONDS, TRAINING, LiveRun, reconcile, start, take_over
from pipelines.tracking.publish import log_params, log_rows
from pipelines.tracking.store import LONGEST_TAG, Store, patience

LOG = logging.getLogger(__name__)

SEARCH, TRIAL, STATE = "visionloop.search", "visionloop.trial", "visionloop.trial_state"
PARENT = "mlflow.parentRunId"
STATUS = {"complete": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
RETRIES = 2


@dataclass
class Runs:
    """The runs of one search of a model's knobs; `key` is what decides the search, and `name` the parent's name."""

    store: Store
    task: str
    model: str
    key: str
    name: str
    _renewal: Renewal | None = field(default=None, init=False, repr=False)

    def trial(self, number: int, params: Mapping[str, object]) -> LiveRun | None:
        """The live run of a trial that begins or goes on now; None when MLflow is away."""
        try:
            with patience(REQUEST_SECONDS, 0):
                tags = {**self._tags(number), PARENT: self._parent()}
        except Exception as error:
            LOG.warning("MLflow is away: the search goes on, and its runs are written when it is back: %s", error)
            return None
        return start(self.store, self.task, self.model, f"{self.name}-{number:03d}", params, {**tags, TRAINING: f"{self.key}/{number}"})

    def ended(self, trial: Trial, params: Mapping[str, object]) -> None:
        """Complete and close the run of one trial that has just ended."""
        try:
            with patience(REQUEST_SECONDS, 0):
                run = next((run for run in self._found() if run.data.tags.get(TRIAL) == str(trial.number)), None)
                self._complete(trial, params, self._parent(), run)
        except Exception as error:
            LOG.warning("MLflow lacks the end of trial %d, and is told when it is back: %s", trial.number, error)

    def interrupted(self) -> None:
        """Mark the search's own run as KILLED: its process leaves before the search's end."""
        self._leave("KILLED")

    def failed(self) -> None:
        """Mark the search's own run as FAILED: something raised that is no trial's result."""
        self._leave("FAILED")

    def _leave(self, status: str) -> None:
        try:
            with patience(REQUEST_SECONDS, 0):
                self._close(self._parent(), status)
        except Exception as error:
            LOG.warning("MLflow is away, and still shows this search as running: %s", error)

    def complete(self, trials: Sequence[Trial], params: Mapping[int, Mapping[str, object]], about: Mapping[str, str], files: Path) -> bool:
        """Write all that MLflow lacks: every trial's run with its `params`, the parent's tags and the files; answers whether it has."""
        try:
            with patience(REQUEST_SECONDS * 5, RETRIES), self.store.lock("search"):
                parent = self._parent()
                runs = {run.data.tags[TRIAL]: run for run in self._found() if run.data.tags.get(TRIAL)}
                for trial in trials:
                    if trial.state != "unfinished":
                        self._complete(trial, params[trial.number], parent, runs.get(str(trial.number)))
                self._end(parent, trials, about, files)
        except Exception as error:
            LOG.warning("MLflow has not all of this search; the next `visionloop tune %s` writes it: %s", self.model, error)
            return False
        return True

    def _parent(self) -> str:
        """The id of the search's own run, which is RUNNING and this process' now."""
        reconcile(self.store)
        found = [run for run in self._found() if not run.data.tags.get(TRIAL)]
        if found:
            take_over(self.store, found[0].info.run_id)
        else:
            tags = {SEARCH: self.key, MODEL: self.model, **owner()}
            found = [self.store.client.create_run(self.store.experiment(self.task), run_name=self.name, tags=tags)]
        run_id = str(found[0].info.run_id)
        if self._renewal is None and not self.store.embedded:  # a trial may take longer than a lease
            self._renewal = Renewal(self.store, run_id)
        return run_id

    def _close(self, parent: str, status: str) -> None:
        if self._renewal is not None:
            self._renewal.stop()
            self._renewal = None
        self.store.client.set_terminated(parent, status)

    def _found(self) -> list[Any]:
        return self.store.runs(self.task, f"tags.`{SEARCH}` = '{self.key}'", ["attributes.start_time ASC"])

    def _tags(self, number: int) -> dict[str, str]:
        return {SEARCH: self.key, TRIAL: str(number)}

    def _complete(self, trial: Trial, params: Mapping[str, object], parent: str, run: Any | None) -> None:
        from mlflow.entities import Metric, RunTag

        if run is not None and STATE in run.data.tags and run.info.status == STATUS[trial.state]:
            return
        if run is None:
            tags = {**self._tags(trial.number), PARENT: parent, MODEL: self.model, **owner()}
            name = f"{self.name}-{trial.number:03d}"
            run = self.store.client.create_run(self.store.experiment(self.task), run_name=name, tags=tags)
        now = time.time_ns() // 1_000_000
        log_params(self.store, run, params)
        log_rows(self.store, run, list(enumerate(trial.rows)), now)
        value = [] if trial.value is None else [Metric("trial/value", trial.value, now, len(trial.rows))]
        tags = {STATE: trial.state, **({"visionloop.reason": trial.reason[:LONGEST_TAG]} if trial.reason else {})}
        self.store.client.log_batch(run.info.run_id, metrics=value, tags=[RunTag(name, text) for name, text in tags.items()])
        self.store.client.set_terminated(run.info.run_id, STATUS[trial.state])

    def _end(self, parent: str, trials: Sequence[Trial], about: Mapping[str, str], files: Path) -> None:
        from mlflow.entities import Metric, RunTag

        known = {point.step for point in self.store.client.get_metric_history(parent, "trial/value")}
        now = time.time_ns() // 1_000_000
        values = [(trial.number, trial.value) for trial in trials if trial.value is not None and trial.number not in known]
        metrics = [Metric("trial/value", value, now + number, number) for number, value in values]
        self.store.client.log_batch(parent, metrics=metrics, tags=[RunTag(name, value) for name, value in about.items()])
        self.store.client.log_artifacts(parent, str(files))
        self._close(parent, "FINISHED")
