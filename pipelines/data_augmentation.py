"""`visionloop data augmentation`: what a task's policy can do, does to boxes, and whether it confuses a trained model."""

import logging
from pathlib import Path
from typing import Any

from components.data.tables import DETECTION
from components.errors import DataError, ServiceError, UsageError
from pipelines import augmentation_hints
from pipelines import settings as params
from pipelines.augmentation_hints import WHOLE
from pipelines.chosen import Chosen, choose
from pipelines.paths import Paths
from pipelines.stages import augment
from pipelines.stages.examples import read_dataset
from pipelines.stages.models import write_json

log = logging.getLogger(__name__)

FEWEST = 20  # images that would all have to change for the worse to be sure of it


def audit(paths: Paths, task: str, model: str | None, out: Path | None) -> dict[str, Any]:
    """The audit of a task's policy, `hints` from a trained model, and `advice` in words; with `out`, pictures and audit.json too.

    The model is the champion, or else a trained model of params.yaml; without any, `hints` is empty. Raises UsageError
    when the policy is refused or the named model is not there, DataError when there are no data or the split stage has not run.
    """
    knobs = params.load(paths.params)
    dataset, plan = read_dataset(paths, task), augment.planned(paths, knobs, task)
    if dataset.is_absent:
        raise DataError(f"data/{task} is absent: there is nothing to try the policy on")
    can = augment.judged(plan)
    shown = augment.sample(paths, knobs, dataset, plan)
    audited = augment.audit(plan, can, shown, knobs.seed)
    chosen = _model(paths, knobs, task, model)
    named = list(augmentation_hints.alone(plan.policy))
    hints = augmentation_hints.measure(paths, dataset, named, chosen, knobs.seed) if chosen else []
    for one, (name, _) in zip(audited.result["transforms"], named, strict=False):
        one["name"] = name
    answer = {"task": task, **audited.result, "model": chosen.report["model"] if chosen else None, "hints": hints}
    answer["advice"] = _advice(answer)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        augment.draw(plan, shown, audited, knobs.augment.preview_images, out)
        write_json(out / "audit.json", answer)
    return answer


def show(answer: dict[str, Any]) -> None:
    """Print the audit for people: a row a transform, then what each can do, then what to look at."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table

    has_boxes, hints = bool(answer["shown"]["boxes"]), {one["transform"]: one for one in answer["hints"]}
    score = "found" if answer["task"] == DETECTION else "accuracy"
    heads: list[Column | str] = [Column("always applied", no_wrap=True)]
    heads += ["boxes", "clipped", "lost", "invalid", "visible"] if has_boxes else []
    heads += [score] if hints else []
    table = Table(*heads, title=f"{answer['task']}: {_policy(answer)}", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for one in answer["transforms"]:
        boxes = (
            [str(sum(one["boxes"].values())), *(str(one["boxes"][name]) for name in ("clipped", "lost", "invalid"))] if has_boxes else []
        )
        boxes += [f"{one['visible']:.0%}"] if has_boxes else []
        table.add_row(one["name"], *boxes, *([_change(hints[one["name"]])] if hints else []))
    shown = answer["shown"]
    boxes = [str(shown["boxes"]), "", str(shown["lost"]), "", ""] if has_boxes else []
    table.add_row(WHOLE, *boxes, *([_change(hints[WHOLE])] if hints else []))
    console = Console()
    if hints or has_boxes:
        console.print(table)
    for line in [*_abilities(answer), *answer["advice"]]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def _policy(answer: dict[str, Any]) -> str:
    return f"policy {answer['policy']}" if isinstance(answer["policy"], str) else f"the policy of {len(answer['policy'])} transforms"


def _abilities(answer: dict[str, Any]) -> list[str]:
    """What each transform can do, in words."""
    able = [*((one["name"], one["can"]) for one in answer["transforms"]), ("together they", answer["together"])]
    return [f"{name} can " + ", ".join(f"{what} ({rule})" for rule, what in can.items()) for name, can in able if can]


def _model(paths: Paths, knobs: params.Settings, task: str, model: str | None) -> Chosen | None:
    if model is not None:
        return choose(paths, task, model)
    for name in ("champion", *(one.name for one in knobs.models.values() if one.task == task)):
        try:
            return choose(paths, task, name)
        except UsageError:
            continue
        except ServiceError as error:
            log.warning("the champion is not tried: %s", error)
    return None


def _change(hint: dict[str, Any]) -> str:
    told = f"{hint['before']:.2f}→{hint['after']:.2f}"
    return f"[bold red]{told}[/bold red]" if hint["confusing"] else told


def _advice(answer: dict[str, Any]) -> list[str]:
    """What to do about the audit, in words."""
    from components.augment.effects import PRESETS, RULES

    task, key = answer["task"], f"data.{answer['task']}.label_safety"
    advice = [_look_at(hint, answer, key) for hint in answer["hints"] if hint["confusing"]]
    if answer["hints"] and not advice:
        images = answer["hints"][0]["images"]
        few = f": {images} validation images are too few to tell" if images < FEWEST else f" on {images} validation images"
        advice.append(f"no transform confuses {answer['model']}{few}")
    if answer["shown"]["emptied"]:
        advice.append(
            "{emptied} of {pictures} pictures lost all boxes: {redrawn} drawn again, {unchanged} shown unchanged".format(**answer["shown"])
        )
    if not answer["hints"]:
        advice.append(f"no trained {task} model yet, which would show what confuses it: `visionloop run --task {task}`")
    if answer["label_safety"] is None:
        words = f"presets {', '.join(PRESETS)}; rules {', '.join(RULES)}; [] if nothing can change a label"
        advice.append(f"{key} is not declared in params.yaml: {words}")
    return advice


def _look_at(hint: dict[str, Any], answer: dict[str, Any], key: str) -> str:
    score = "found boxes" if answer["task"] == DETECTION else "accuracy"
    change = f"{hint['transform']} always applied: {score} {hint['before']:.2f} → {hint['after']:.2f}"
    if hint["transform"] == WHOLE:
        return f"{WHOLE} as it is: {score} {hint['before']:.2f} → {hint['after']:.2f}, more than training is likely to gain by it"
    often = "" if hint["most_confused"] is None else " (most often {} becomes {}, {} times)".format(*hint["most_confused"])
    rules = [rule for one in answer["transforms"] if one["name"] == hint["transform"] for rule in one["can"]]
    remedy = f"if so declare {', '.join(rules)} in {key}" if rules else "look at it with --out, and weaken it if so"
    return f"{change}{often}: it may change labels; {remedy}"
