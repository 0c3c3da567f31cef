"""`visionloop promote`, `rollback` and `history`."""

import json
from dataclasses import replace
from typing import Any

from components.errors import UsageError
from pipelines import settings
from pipelines.approval import Say, awaits, in_words, is_answered, overrulable
from pipelines.paths import Paths


def promote_task(paths: Paths, task: str, say: Say | None = None, *, require: bool, as_json: bool) -> int:
    """Publish what is not yet published, then decide for the task's evaluated models.

    `say` is a human's word about the proposal that waits, as the ledger has it before anything else is done; a yes with none
    waiting is about the one that was rejected last. Answers 1 when it could not be carried out, since all was decided anew,
    and when `require` and the candidate that validation prefers is not champion. Raises UsageError when no model of the task
    was evaluated or there is nothing to say something of, ServiceError when MLflow is away.
    """
    from pipelines.publishing import promote_models, publish_model
    from pipelines.registry import Registry
    from pipelines.tracking import Tracking

    registry = Registry(paths)
    asked = _asked(registry.history(task), task, say) if say else None
    said = replace(say, key=asked["key"]) if say and asked else None
    knobs = settings.load(paths.params)
    Tracking(paths).reconcile()
    names = [model.name for model in knobs.models.values() if model.task == task]
    models = [name for name in names if (paths.evaluate(name) / "report.json").is_file()]
    for model in models:
        publish_model(paths, model, {})
    decision = promote_models(paths, task, models, said) if models else None
    if decision is None:
        raise UsageError(f"there is no evaluated {task} model: run `visionloop run --task {task}`")
    in_vain = _in_vain(registry.history(task), asked, said) if asked and said else []
    reasons = [*in_vain, *decision["reasons"]]
    _tell({**decision, "reasons": reasons}, [f"{task}: {decision['verdict']}", *(f"  {reason}" for reason in reasons)], as_json)
    return 1 if in_vain or (require and not decision["is_champion"]) else 0


def _asked(entries: list[dict[str, Any]], task: str, say: Say) -> dict[str, Any]:
    """The ledger's entry that is approved or rejected. Raises UsageError when there is none."""
    asked = awaits(entries) or (overrulable(entries) if say.is_yes else None)
    if asked is None:
        nor = ", nor was any rejected since the champion changed" if say.is_yes else ""
        raise UsageError(
            f"no {task} model waits for approval{nor}: `visionloop promote {task}` proposes what would be promoted, "
            f"`visionloop history {task}` shows it"
        )
    return dict(asked)


def _in_vain(entries: list[dict[str, Any]], asked: dict[str, Any], say: Say) -> list[str]:
    """Why the word about this entry did not count, where it did not."""
    if is_answered(entries, asked):
        return []
    waiting = awaits(entries)
    now = f"version {waiting['candidate']['version']} ({waiting['candidate']['model']}) waits now" if waiting else "nothing waits now"
    return [f"not {say.answer}: that was said of {_versions(asked)}, and all was decided anew: {now}"]


def rollback_task(paths: Paths, task: str, *, as_json: bool) -> int:
    """Put the previous champion back, after it was loaded and answered images; answers 0."""
    from pipelines.registry import Registry
    from pipelines.rollback import rollback, told

    entry = rollback(Registry(paths), paths, task)
    _tell(entry, [f"{task}: {told(entry)}"], as_json)
    return 0


def show_history(paths: Paths, task: str, *, verify: bool, as_json: bool) -> int:
    """Print the ledger of the task, oldest first; with `verify`, 1 when it is not as it was written."""
    from pipelines.registry import NAMES, Registry

    registry = Registry(paths)
    if verify:
        faults = registry.ledger.verify([registry.settled(name) for name in NAMES])
        _tell({"faults": faults}, faults or ["every entry of the ledger is as it was written"], as_json)
        return 1 if faults else 0
    entries = registry.history(task)
    _tell(entries, _table(entries) if entries else [f"no decision about {task} yet: run `visionloop run`"], as_json)
    return 0


def _table(entries: list[dict[str, Any]]) -> list[str]:
    cells = [(entry["at"][:19].replace("T", " "), entry.get("verdict", entry["event"]), _versions(entry)) for entry in entries]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for entry, row in zip(entries, cells, strict=True):
        head = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        said = [in_words(entry["approval"])] if "approval" in entry else []
        first, *more = [*said, *(reason for reason in entry.get("reasons", []) if reason not in said)] or [""]
        lines += [f"{head}  {first}", *(f"{' ' * len(head)}  {reason}" for reason in more)]
    if waiting := awaits(entries):
        task = waiting["task"]
        lines.append(f"version {waiting['candidate']['version']} waits: `visionloop promote {task} --approve` or `--reject`")
    return lines


def _versions(entry: dict[str, Any]) -> str:
    """`3 cnn → 4 yolo`: the champion seen, and what was judged or put in its place."""
    before, after = entry.get("from", entry.get("champion")), entry.get("to", entry.get("candidate"))
    if entry["event"] == "void":
        return f"entry {entry['of']}"
    return " → ".join(f"{one['version']} {one['model']}" if one else "none" for one in (before, after))


def _tell(value: Any, lines: list[str], as_json: bool) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str) if as_json else "\n".join(lines))
