"""What `visionloop tune` answers: a table of trials, the block to paste, a picture, and files of all that."""

import math
from typing import TYPE_CHECKING, Any

import yaml

from pipelines.overrides import rewrite
from pipelines.report.console import screen
from pipelines.tune import Found, how_it_ended

if TYPE_CHECKING:
    from components.train.search import Trial


def block(found: Found) -> str:
    """The best values as params.yaml says them; empty without any."""
    if found.best is None:
        return ""
    return str(yaml.safe_dump({"models": {found.plan.model.name: found.best.params}}, sort_keys=False))


def write(found: Found) -> None:
    """Write outputs/tune/<model>/: trials.csv, best.yaml and search.png."""
    import pandas as pd

    from components.train.search_picture import draw_search, shown_value

    folder, name, metric = found.plan.paths.tune(found.plan.model.name), found.plan.model.name, found.plan.space.metric
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "trial": one.number,
            "state": one.state,
            metric: shown_value(one, metric),
            "epochs": len(one.rows),
            **one.params,
            "reason": one.reason,
        }
        for one in found.trials
    ]
    pd.DataFrame(rows).to_csv(folder / "trials.csv", index=False)
    (folder / "best.yaml").write_text(block(found), encoding="utf-8")
    about = (f"{name}: {found.validation_images} validation images", metric, metric != "val/loss")
    draw_search(found.trials, found.plan.space.space, found.importance, about, folder / "search.png")


def summary(found: Found) -> dict[str, str]:
    """The tags of the search's run."""
    counts = {state: sum(trial.state == state for trial in found.trials) for state in ("complete", "pruned", "failed")}
    tags = {
        "visionloop.trials": ", ".join(f"{count} {state}" for state, count in counts.items()),
        "visionloop.metric": found.plan.space.metric,
    }
    tags |= {f"space.{name}": str(knob) for name, knob in found.plan.space.space.items()}
    if found.best is not None:
        tags |= {f"best.{name}": str(value) for name, value in found.best.params.items()}
        tags |= {"best.trial": str(found.best.number), f"best.{found.plan.space.metric}": f"{found.best.value:.6g}"}
        tags["mlflow.note.content"] = f"{tags['visionloop.trials']}; {_verdict(found)}\n\n```yaml\n{block(found)}```"
    return tags


def answer(found: Found) -> dict[str, Any]:
    """Everything, for `--json`."""
    best = found.best and {"trial": found.best.number, "value": found.best.value, "params": found.best.params}
    trials = [{**vars(trial), "epochs": len(trial.rows)} for trial in found.trials]
    folder = found.plan.paths.tune(found.plan.model.name)
    files = [str(folder / name) for name in ("search.png", "trials.csv", "best.yaml")]
    about = {"model": found.plan.model.name, "metric": found.plan.space.metric, "validation_images": found.validation_images}
    left = found.plan.trials - sum(trial.state != "unfinished" for trial in found.trials)
    return {**about, "best": best, "importance": found.importance, "trials_left": max(left, 0), "trials": trials, "files": files}


def show(found: Found) -> None:
    """Print the trials, the best of them and where to look."""
    from rich.table import Table

    console, plan = screen(), found.plan
    table = Table(title=f"{plan.model.name}, judged on {found.validation_images} validation images", title_justify="left")
    for name in ("trial", plan.space.metric, "epochs", *plan.space.space):
        table.add_column(name, justify="right")
    table.add_column("end")
    for trial in found.trials:
        value = "-" if trial.value is None else f"{trial.value:.4f}"
        mark = "best" if found.best is not None and trial.number == found.best.number else _end(trial)
        table.add_row(str(trial.number), value, str(len(trial.rows)), *(str(trial.params[name]) for name in plan.space.space), mark)
    console.print(table)
    left = answer(found)["trials_left"]
    if left:
        console.print(f"{left} of {plan.trials} trials are left: the same command goes on with them")
    if found.best is None:
        console.print("no training came to its end: widen the space, or see why in the last column", markup=False)
        return
    console.print(_verdict(found), markup=False)
    if found.importance:
        shares = "  ".join(f"{name} {share:.0%}" for name, share in found.importance.items())
        console.print(f"what makes the difference: {shares}", markup=False)
    console.print(f"\n{block(found)}", markup=False)
    folder = plan.paths.tune(plan.model.name).relative_to(plan.paths.root)
    console.print(f"see   {folder}/search.png, trials.csv, best.yaml; each trial nested in its search: visionloop ui", markup=False)
    console.print(f"      visionloop tune {plan.model.name} --apply   writes these values into params.yaml", markup=False)


def apply(found: Found) -> None:
    """Write the best values into params.yaml, its comments kept."""
    if found.best is not None:
        name = found.plan.model.name
        # PyYAML writes 1.0e-05 where JSON writes 1e-05, which YAML 1.1 takes for a word.
        values = {knob: yaml.safe_dump(value).splitlines()[0] for knob, value in found.best.params.items()}
        rewrite(found.plan.paths, [f"models.{name}.{knob}={value}" for knob, value in values.items()])


def _end(trial: "Trial") -> str:
    return "" if trial.state == "complete" else trial.state if not trial.reason else f"{trial.state}: {trial.reason.splitlines()[0]}"


def _verdict(found: Found) -> str:
    """The best trial beside the first, with the standard error that so few images leave."""
    assert found.best is not None and found.best.value is not None
    metric, value, first = found.plan.space.metric, found.best.value, found.trials[0]
    # Agresti and Coull 1998: near 0 and 1 the plain binomial error is far too small.
    counted = found.validation_images + 4
    share = (value * found.validation_images + 2) / counted
    chance = f" ± {math.sqrt(share * (1 - share) / counted):.2g}" if metric == "val/accuracy" else ""
    config = found.plan.model.train
    is_own = all(getattr(config, name) == tried for name, tried in first.params.items())
    own = "params.yaml's own values" if is_own else "params.yaml's own values as far as the space holds them"
    beside = f" ({own})" if first.number == found.best.number else f"; trial 0 ({own}): {how_it_ended(first, metric)}"
    return f"best: trial {found.best.number}, {metric} {value:.4g}{chance}{beside}"
