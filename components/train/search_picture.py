"""A search for better knobs as a picture."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from components.train.search import Trial
from components.train.space import Knob

COLUMNS = 3
COLOURS = {"complete": "tab:blue", "pruned": "tab:orange", "failed": "tab:red"}


def draw_search(
    trials: list[Trial], space: dict[str, Knob], importance: dict[str, float], about: tuple[str, str, bool], path: Path
) -> None:
    """Write the course of a search, and the value against each knob, the most important first.

    `about` is a title, the measure's name, and whether a higher value is better.
    """
    title, metric, maximize = about
    names = sorted(space, key=lambda name: -importance.get(name, 0.0))
    height = 1 + -(-len(names) // COLUMNS)
    figure = Figure(figsize=(4.2 * COLUMNS, 3.2 * height), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(height, COLUMNS)
    _draw_course(figure.add_subplot(grid[0, :]), trials, metric, maximize)
    for index, name in enumerate(names):
        axis = figure.add_subplot(grid[1 + index // COLUMNS, index % COLUMNS])
        _draw_knob(axis, trials, space[name], name)
        share = f" ({importance[name]:.0%} of the differences)" if name in importance else ""
        axis.set_title(f"{name}{share}")
        axis.set_ylabel(metric)
    figure.suptitle(title)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def shown_value(trial: Trial, metric: str) -> float | None:
    """What a trial is judged by, or the last that is known of one that ended early."""
    known = [row[metric] for row in trial.rows if metric in row]
    return trial.value if trial.value is not None else known[-1] if known else None


def _draw_course(axis: Any, trials: list[Trial], metric: str, maximize: bool) -> None:
    for state, colour in COLOURS.items():
        points = [(trial.number, shown_value(trial, metric)) for trial in trials if trial.state == state]
        points = [(number, value) for number, value in points if value is not None]
        if points:
            axis.scatter(*zip(*points, strict=True), color=colour, label=f"{state} ({len(points)})", s=24)
    complete = [(trial.number, trial.value) for trial in trials if trial.state == "complete" and trial.value is not None]
    if complete:
        numbers, values = zip(*complete, strict=True)
        best = (np.maximum if maximize else np.minimum).accumulate(np.array(values, float))
        axis.step(numbers, best, where="post", color="seagreen", label="best so far")
    axis.set_xlabel("trial")
    axis.set_ylabel(metric)
    axis.xaxis.get_major_locator().set_params(integer=True)
    if axis.get_legend_handles_labels()[0]:
        axis.legend()


def _draw_knob(axis: Any, trials: list[Trial], knob: Knob, name: str) -> None:
    if knob.choices is not None:
        axis.set_xticks(range(len(knob.choices)), [str(choice) for choice in knob.choices])
    elif knob.log:
        axis.set_xscale("log")
    done = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    values = [trial.params[name] for trial in done]
    places = values if knob.choices is None else [knob.choices.index(value) for value in values]
    points = axis.scatter(places, [trial.value for trial in done], c=[trial.number for trial in done], cmap="viridis_r", s=24)
    points.set_clim(0, max(len(trials) - 1, 1))
