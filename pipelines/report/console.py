"""What `visionloop run` ends with: the candidates, the decisions and where to look."""

import sys
from typing import Any

from pipelines.paths import Paths
from pipelines.report.candidates import COSTS, HEADLINES, with_interval

SHORT = {"cost/parameters": "parameters", "cost/train_seconds": "train s", "cost/latency_ms": "ms/image"}


def show(paths: Paths, result: dict[str, Any], seconds: float) -> None:
    """Print one table a task, the decisions with their reasons, and the commands that show more."""
    console = screen()
    for task in HEADLINES:
        mine = [row for row in result["candidates"] if row.get("task") == task]
        if mine:
            console.print(_table(task, mine))
        for spread in result["seeds"]:
            if spread["task"] == task:
                console.print(spread["said"], markup=False)
        if task in result["decisions"]:
            decision = result["decisions"][task]
            console.print(f"[bold]{task}: {decision['verdict']}[/bold]")
            for reason in decision["reasons"]:
                console.print(f"  {reason}", markup=False)
    for row in result["candidates"]:
        if "skipped" in row:
            console.print(f"{row['model']}: skipped, {row['skipped']}", markup=False)
    ran = result["ran"]
    console.print(
        f"\n{len(ran)} stages ran, the rest was up to date; {seconds:.0f} s" if ran else f"\neverything was up to date; {seconds:.0f} s"
    )
    console.print("see   visionloop ui                      runs and models, side by side, in MLflow")
    console.print("      visionloop ui --prefect            the flow's tasks, logs and artifacts")
    console.print("      visionloop history classification  every decision and its reasons")
    console.print(f"      {paths.outputs.relative_to(paths.root)}/evaluate/*/report.html    a page a model: intervals, slices, errors")


def screen() -> Any:
    """The terminal, or 120 columns where there is none to measure."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def _table(task: str, mine: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    table = Table(title=f"{task}, {mine[0]['test_images']} test images", title_justify="left")
    table.add_column("model")
    for name in (*HEADLINES[task], *COSTS):
        table.add_column(SHORT.get(name, name), justify="right")
    for row in mine:
        table.add_row(row["model"], *(with_interval(row, name) for name in (*HEADLINES[task], *COSTS)))
    return table
