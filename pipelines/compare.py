"""Two published runs side by side: what differs in their params, metrics, data and code, and whether it means anything."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.data.tables import TASKS
from components.errors import DataError, UsageError, VisionloopError
from pipelines import provenance, settings
from pipelines.chosen import ALIASES
from pipelines.cross_runs import Cell, path_between
from pipelines.evidence import COMPARISONS, Drawn, compare, read_report
from pipelines.paths import Paths
from pipelines.provenance import Provenance
from pipelines.registry import Registry
from pipelines.tracking.read import Run, artifacts, find_runs, run_of
from pipelines.tracking.store import Store

REVISION, TEST_DIGEST, COMMIT = "visionloop.data_revision", "visionloop.test_digest", "visionloop.git_commit"


@dataclass(frozen=True)
class Side:
    """One of the two: its run, the folder of its evaluation, and what it was made of, None for a run from before that was kept."""

    run: Run
    evaluation: Path
    made_of: Provenance | None


def compare_runs(paths: Paths, names: tuple[str, str], task: str | None, *, cross: bool) -> dict[str, Any]:
    """What differs between the runs of two names, as plain values; `cross` trains what tells data, code and params apart.

    Raises UsageError for names that mean no run, or no two of one task.
    """
    registry = Registry(paths)
    pair = chosen(registry, names, (task,) if task else TASKS)
    with tempfile.TemporaryDirectory() as scratch:
        one, other = (_side(registry.store, run, Path(scratch) / str(number)) for number, run in enumerate(pair))
        found: dict[str, Any] = {
            "task": one.run.task,
            "runs": [_about(side.run) for side in (one, other)],
            "params": _params(one.run, other.run),
            "metrics": _metrics(one, other),
            "significance": _significance(paths, one, other),
            "data": _data(paths, one.run, other.run),
        }
        factors = provenance.differences(one.made_of, other.made_of) if one.made_of and other.made_of else None
        found["differs"] = factors
        found["crossed"] = _crossed(paths, one, other, list(factors)) if cross and factors else []
        return found


def chosen(registry: Registry, names: tuple[str, str], tasks: Sequence[str]) -> tuple[Run, Run]:
    """The newest runs of the two names that are of one task; of one name given twice, the one before the newest and the newest."""
    found = [_meant(registry, name, tasks) for name in names]
    for name, runs in zip(names, found, strict=True):
        if not runs:
            raise UsageError(
                f"{name!r} is no published run: expected a run's id, its name, a model of params.yaml, or one of {', '.join(ALIASES)}; "
                "`visionloop ui` shows the runs there are"
            )
    if names[0] == names[1]:
        newest = found[0][0]
        before = [run for run in found[0][1:] if run.task == newest.task]
        if not before:
            raise UsageError(f"there is only one published run of {names[0]!r}: name another one beside it")
        return before[0], newest
    pairs = [(one, other) for one in found[0] for other in found[1] if one.task == other.task]
    if not pairs:
        raise UsageError(f"{names[0]!r} is for {found[0][0].task} and {names[1]!r} for {found[1][0].task}: name two runs of one task")
    return pairs[0]


def _meant(registry: Registry, name: str, tasks: Sequence[str]) -> list[Run]:
    if name not in ALIASES:
        return find_runs(registry.store, name, tuple(tasks))
    versions = [(task, registry.at(task, name)) for task in tasks]  # type: ignore[arg-type]
    return [run_of(registry.store, task, version.run_id) for task, version in versions if version is not None]


def _side(store: Store, run: Run, scratch: Path) -> Side:
    scratch.mkdir()
    evaluation = artifacts(store, run, "evaluation", scratch)
    if evaluation is None:
        raise DataError(f"run {run.id} ({run.name}) has lost its evaluation: publish it again by `visionloop run`")
    kept = artifacts(store, run, "provenance", scratch)
    return Side(run, evaluation, provenance.read(kept, run.model) if kept else None)


def _about(run: Run) -> dict[str, Any]:
    tags = {name: run.tags.get(f"visionloop.{name}") for name in ("git_commit", "data_revision", "test_digest", "model_sha256")}
    return {"id": run.id, "name": run.name, "model": run.model, "status": run.status, "started": run.started, **tags}


def _params(one: Run, other: Run) -> list[dict[str, Any]]:
    names = sorted({*one.params, *other.params})
    rows = [{"name": name, "values": [one.params.get(name), other.params.get(name)]} for name in names]
    return [row for row in rows if row["values"][0] != row["values"][1]]


def _metrics(one: Side, other: Side) -> list[dict[str, Any]]:
    """The evaluations' numbers, with their intervals where they were measured; None for what only the other one has."""
    reports = [read_report(side.evaluation) for side in (one, other)]
    names = dict.fromkeys(name for report in reports for name in report["metrics"])
    return [
        {
            "name": name,
            "values": [report["metrics"].get(name) for report in reports],
            "intervals": [report.get("intervals", {}).get(name) for report in reports],
        }
        for name in names
    ]


def _significance(paths: Paths, one: Side, other: Side) -> dict[str, Any]:
    """The paired differences, second minus first, with 95 % intervals; why there is none where there is none."""
    if one.run.tags.get(TEST_DIGEST) != other.run.tags.get(TEST_DIGEST):
        return {"missing": "tested on different images, so their differences cannot be paired"}
    knobs = settings.load(paths.params)
    drawn, rows = Drawn(knobs.seed, knobs.promote.rounds), []
    for metric in COMPARISONS[one.run.task]:
        paired = compare(one.run.task, metric, {"second": other.evaluation}, one.evaluation, drawn)["second"]
        row = {"metric": f"test/{metric}", **asdict(paired), "significant": bool(paired.low > 0 or paired.high < 0)}
        rows.append({name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()})
    return {"paired": rows}


def _data(paths: Paths, one: Run, other: Run) -> dict[str, Any]:
    """What changed in the task's images and boxes, in words, as far as both versions can be had."""
    from pipelines.data_diff import compared
    from pipelines.revisions import resolve

    digests = [run.tags.get(REVISION) for run in (one, other)]
    if None in digests:
        return {"said": "one of the runs does not say which version of data/ it was trained on"}
    if digests[0] == digests[1]:
        return {"said": "the same version of data/"}
    try:
        before, after = (resolve(paths, str(digest)) for digest in digests)
        if before.part(one.task) == after.part(one.task):
            return {"said": f"the same files of data/{one.task}"}
        with compared(paths, before, after, one.task) as change:
            return {"said": change.in_words(), "summary": change.summary()}
    except VisionloopError as error:
        return {"said": f"data/ changed, but how cannot be told: {error}"}


def _crossed(paths: Paths, one: Side, other: Side, factors: list[provenance.Factor]) -> list[dict[str, Any]]:
    """From the first run to the second, one factor after the other: what each step changed."""
    metric = f"test/{getattr(settings.load(paths.params).promote, one.run.task).metric}"
    cells = [Cell(side.made_of, side.run.tags.get(COMMIT, "")) for side in (one, other) if side.made_of]
    steps = [{"changed": None, "value": read_report(one.evaluation)["metrics"][metric]}]
    for factor, report in path_between(paths, cells[0], cells[1], factors):
        steps.append({"changed": factor, "value": report["metrics"][metric]})
    steps.append({"changed": factors[-1], "value": read_report(other.evaluation)["metrics"][metric]})
    return [{"metric": metric, **step} for step in steps]
