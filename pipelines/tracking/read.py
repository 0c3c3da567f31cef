"""Published runs, found by what people call them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.data.tables import TASKS
from components.errors import UsageError
from pipelines.tracking.live import MODEL
from pipelines.tracking.publish import EVALUATION, REQUEST_SECONDS, RETRIES
from pipelines.tracking.store import Store, patience, service

PUBLISHED = f"tags.`{EVALUATION}` LIKE '%'"
RUN_ID = re.compile(r"[0-9a-f]{4,32}")
REMEDY = "Nothing was changed; check the store and run the command again"


@dataclass(frozen=True)
class Run:
    """A published run; `started` in milliseconds of Unix time."""

    id: str
    name: str
    task: str
    model: str
    status: str
    started: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


def find_runs(store: Store, name: str, tasks: tuple[str, ...] = TASKS) -> list[Run]:
    """The published runs that `name` means, the newest first: of this id, or the beginning of one, of this name, or of this model."""
    with service(store.uri, REMEDY), patience(REQUEST_SECONDS, RETRIES):
        runs = [_run(run, task) for task in tasks for run in store.runs(task, PUBLISHED)]
    by_id = [run for run in runs if RUN_ID.fullmatch(name) and run.id.startswith(name)]
    named = by_id or [run for run in runs if run.name == name] or [run for run in runs if run.model == name]
    return sorted(named, key=lambda run: -run.started)


def run_of(store: Store, task: str, run_id: str) -> Run:
    """The published run of an id. Raises UsageError when the task has none."""
    with service(store.uri, REMEDY), patience(REQUEST_SECONDS, RETRIES):
        found = store.runs(task, f"attributes.run_id = '{run_id}' and {PUBLISHED}")
    if not found:
        raise UsageError(f"no published run has the id {run_id}: `visionloop ui` shows the runs there are")
    return _run(found[0], task)


def artifacts(store: Store, run: Run, name: str, folder: Path) -> Path | None:
    """A folder of the run's artifacts, fetched below `folder` where it is not one of this machine; None when the run has none."""
    with service(store.uri, REMEDY), patience(REQUEST_SECONDS, RETRIES):
        if not any(entry.path == name for entry in store.client.list_artifacts(run.id)):
            return None
        return store.fetched(f"{store.client.get_run(run.id).info.artifact_uri}/{name}", folder)


def _run(run: Any, task: str) -> Run:
    about, data = run.info, run.data
    return Run(
        about.run_id,
        about.run_name or "",
        task,
        data.tags.get(MODEL, ""),
        about.status,
        about.start_time,
        data.params,
        data.metrics,
        data.tags,
    )
