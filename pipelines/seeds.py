"""The spread over seeds of the evaluated models, and of which each run in MLflow tells. Telling it is a side channel: it never raises."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

from components.errors import DataError
from components.evaluate.seeds import Spread, spreads
from pipelines.evidence import read_report
from pipelines.paths import Paths
from pipelines.report.candidates import HEADLINES
from pipelines.settings import Settings
from pipelines.tracking.publish import NOTE, find_run, side_channel
from pipelines.tracking.store import Store, open_store

SEEDS = "visionloop.seeds"
NOTED = "Over seeds: "  # how the paragraph of a run's description begins


def of_models(paths: Paths, knobs: Settings, models: Collection[str]) -> list[Spread]:
    """The spreads in which one of these models takes part, with all of params.yaml's models that were evaluated."""
    reports = [report for report in _reports(paths, knobs) if "skipped" not in report]
    return [one for one in spreads(reports, HEADLINES) if not set(one.models).isdisjoint(models)]


def _reports(paths: Paths, knobs: Settings) -> Iterator[dict[str, Any]]:
    for name in knobs.models:
        with suppress(DataError):  # it was not evaluated yet
            yield read_report(paths.evaluate(name))


def attach(paths: Paths, knobs: Settings, models: Collection[str]) -> None:
    """Say the spread in the runs of all models that take part in one with these: tag `visionloop.seeds`, and the description.

    A run of these models that has no sibling any more loses what was said. What cannot be written is a warning.
    """
    with side_channel("the spread over seeds is not in MLflow"):
        told = {name: one.in_words() for one in of_models(paths, knobs, models) for name in one.models}
        store = open_store(paths)
        for name in dict.fromkeys([*models, *told]):
            _tell(store, read_report(paths.evaluate(name)), told.get(name))


def _tell(store: Store, report: dict[str, Any], words: str | None) -> None:
    run = None if "skipped" in report else find_run(store, report["task"], report["model_sha256"])
    if run is None:
        return
    before = run.data.tags.get(NOTE, "")
    note = noted(before, words)
    if note != before:
        store.client.set_tag(run.info.run_id, NOTE, note)
    if words is not None and run.data.tags.get(SEEDS) != words:
        store.client.set_tag(run.info.run_id, SEEDS, words)
    elif words is None and SEEDS in run.data.tags:
        store.client.delete_tag(run.info.run_id, SEEDS)


def noted(note: str, words: str | None) -> str:
    """A run's description with this paragraph about seeds, instead of the one it has."""
    kept = [paragraph for paragraph in note.split("\n\n") if not paragraph.startswith(NOTED)]
    return "\n\n".join([*kept, f"{NOTED}{words}."] if words else kept)
