"""`visionloop promote`, `rollback` and `history`."""

import json
from typing import Any

from components.errors import UsageError
from pipelines import settings
from pipelines.paths import Paths


def promote_task(paths: Paths, task: str, *, require: bool, as_json: bool) -> int:
    """Publish what is not yet published, then decide for the task's evaluated models; 1 when `require` and not promoted.

    Raises UsageError when no model of the task was evaluated, ServiceError when MLflow is away.
    """
    from pipelines.publishing import promote_models, publish_model

    knobs = settings.load(paths.params)
    names = [model.name for model in knobs.models.values() if model.task == task]
    models = [name for name in names if (paths.evaluate(name) / "report.json").is_file()]
    for model in models:
        publish_model(paths, model, {})
    decision = promote_models(paths, task, models) if models else None
    if decision is None:
        raise UsageError(f"there is no evaluated {task} model: run `visionloop run --task {task}`")
    _tell(decision, [f"{task}: {decision['verdict']}", *(f"  {reason}" for reason in decision["reasons"])], as_json)
    return 1 if require and not decision["is_champion"] else 0


def rollback_task(paths: Paths, task: str, *, as_json: bool) -> int:
    """Put the previous champion back, after its artifact is found whole; answers 0."""
    from pipelines.registry import Registry

    entry = Registry(paths).rollback(task)
    now, before = entry["to"], entry["from"]
    _tell(entry, [f"{task}: version {now['version']} ({now['model']}) is champion again, version {before['version']} is previous"], as_json)
    return 0


def show_history(paths: Paths, task: str, *, as_json: bool) -> int:
    """Print the ledger of the task, oldest first; answers 0."""
    from pipelines.registry import Registry

    entries = Registry(paths).history(task)
    lines = [_line(entry) for entry in entries] or [f"no decision about {task} yet: run `visionloop run`"]
    _tell(entries, lines, as_json)
    return 0


def _line(entry: dict[str, Any]) -> str:
    return f"{entry['at']}  {entry.get('verdict', entry['event'])}  {'; '.join(entry.get('reasons', []))}"


def _tell(value: Any, lines: list[str], as_json: bool) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str) if as_json else "\n".join(lines))
