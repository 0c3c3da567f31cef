"""Numbered lines that every machine of an MLflow server sees alike, each written once and for good.

They are the params of one run in the experiment `promotions`: MLflow refuses to change a param (its key is unique in the database), so
of two who write the same number one wins and the other is told, and nobody can edit a line through MLflow. Sending the same line
again is harmless.
"""

import hashlib
from typing import TYPE_CHECKING, Any

from pipelines.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "promotions"
KIND = "visionloop.log"
LONGEST = 5000  # characters of a param; MLflow cuts at 6000, in silence
NOTE = "What the promoters of this server wrote, numbered. Written by visionloop; deleting the run loses it."


class SharedLog:
    """One such log by its name; made by the first who writes."""

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name
        self._known: str | None = None

    def read(self) -> tuple[dict[int, str], dict[str, str]]:
        """The lines by number, in order, and the notes (the run's tags)."""
        run = self._run()
        return ({}, {}) if run is None else (self._lines(run), dict(run.data.tags))

    def write(self, number: int, line: str) -> bool:
        """Write the line of this number; False when another one has it. Call only after `read` showed no such number."""
        run_id = self._run_id()
        parts = [line[start : start + LONGEST] for start in range(0, len(line), LONGEST)]
        mark = hashlib.sha256(line.encode()).hexdigest()[:16]
        if len(parts) > 1:  # by content, so that two writers do not meet; the numbered line last
            for index, part in enumerate(parts):
                self._client.log_param(run_id, f"{mark}.{index:03}", part)
            line = f"@{mark} {len(parts)}"
        return self._first(run_id, f"{number:06}", line)

    def note(self, name: str, value: str) -> None:
        """Set a note; the last who sets it has it."""
        self._client.set_tag(self._run_id(), name, value)

    @property
    def _client(self) -> "MlflowClient":
        return self.store.client

    def _first(self, run_id: str, key: str, line: str) -> bool:
        from mlflow.exceptions import MlflowException

        try:
            self._client.log_param(run_id, key, line)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
        return bool(self._client.get_run(run_id).data.params.get(key) == line)

    def _run_id(self) -> str:
        if self._known is not None:
            return self._known
        run = self._run()
        if run is None:
            self._client.create_run(self._experiment(), run_name=self.name, tags={KIND: self.name, "mlflow.note.content": NOTE})
            run = self._run()  # another one may have made it at the same time: all agree on the oldest
            assert run is not None
            self._client.set_terminated(run.info.run_id, "FINISHED")
        return str(run.info.run_id)

    def _run(self) -> Any | None:
        if self._known is not None:
            return self._client.get_run(self._known)
        found = self._client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            return None
        order = ["attributes.start_time ASC", "attributes.run_id ASC"]
        runs = self._client.search_runs([found.experiment_id], f"tags.`{KIND}` = '{self.name}'", max_results=1, order_by=order)
        if runs:
            self._known = str(runs[0].info.run_id)
        return runs[0] if runs else None

    def _experiment(self) -> str:
        from mlflow.exceptions import MlflowException

        try:
            return str(self._client.create_experiment(EXPERIMENT, artifact_location=self.store.artifacts(EXPERIMENT)))
        except MlflowException:
            found = self._client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
            return str(found.experiment_id)

    @staticmethod
    def _lines(run: Any) -> dict[int, str]:
        params = run.data.params
        lines = {}
        for key in sorted(name for name in params if name.isdigit()):
            line = params[key]
            if line.startswith("@"):
                mark, _, count = line[1:].partition(" ")
                line = "".join(params.get(f"{mark}.{index:03}", "") for index in range(int(count)))
            lines[int(key)] = line
        return lines
