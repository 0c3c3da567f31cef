"""Two runs side by side on a terminal, as the MLflow UI shows them, and what its page does not say."""

from datetime import UTC, datetime
from typing import Any

from pipelines.report.candidates import number
from pipelines.report.console import screen
from pipelines.stages.evaluate import DETAILS

CODE_SHOWN, PARAMS_SHOWN = 8, 30


def show(found: dict[str, Any], *, cross: bool) -> None:
    """Print what `compare_runs` found."""
    console = screen()
    console.print(_table("", [found["task"], "first", "second"], _about(found["runs"])))
    console.print(_table("params that differ", ["param", "first", "second"], _params(found["params"]) or [["none", "", ""]]))
    console.print(_table("metrics", ["metric", "first", "95 %", "second", "95 %", "second - first"], _metrics(found["metrics"])))
    for line in (*_significance(found["significance"]), f"data: {found['data']['said']}", *_cause(found, cross=cross)):
        console.print(line, markup=False)


def _table(title: str, columns: list[str], rows: list[list[str]]) -> Any:
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for position, name in enumerate(columns):
        table.add_column(name, justify="right" if position and len(columns) > 3 else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _about(runs: list[dict[str, Any]]) -> list[list[str]]:
    times = [f"{datetime.fromtimestamp(run['started'] / 1000, UTC):%Y-%m-%d %H:%M} UTC" for run in runs]
    rows = [["run", *(run["id"] for run in runs)], ["name", *(run["name"] for run in runs)], ["started", *times]]
    for name, words in (("git_commit", "git commit"), ("data_revision", "data"), ("test_digest", "test set"), ("model_sha256", "weights")):
        rows.append([words, *((run[name] or "")[:12] for run in runs)])
    return rows


def _params(rows: list[dict[str, Any]]) -> list[list[str]]:
    shown = [[row["name"], *("" if value is None else str(value) for value in row["values"])] for row in rows[:PARAMS_SHOWN]]
    return [*shown, [f"and {len(rows) - PARAMS_SHOWN} more", "", ""]] if len(rows) > PARAMS_SHOWN else shown


def _metrics(rows: list[dict[str, Any]]) -> list[list[str]]:
    return [_metric(row) for row in rows if not row["name"].endswith(DETAILS)]


def _metric(row: dict[str, Any]) -> list[str]:
    one, other = row["values"]
    intervals = [f"{interval[0]:.4f} to {interval[1]:.4f}" if interval else "" for interval in row["intervals"]]
    difference = "" if one is None or other is None else f"{other - one:+.4g}"
    return [row["name"], number(one), intervals[0], number(other), intervals[1], difference]


def _significance(found: dict[str, Any]) -> list[str]:
    if "missing" in found:
        return [f"the two were {found['missing']}"]
    return [_paired(row) for row in found["paired"]]


def _paired(row: dict[str, Any]) -> str:
    if row["low"] is None:
        return f"{row['metric']}: on {row['units']} {row['unit']}s nobody can tell whether the difference is real"
    return (
        f"{row['metric']}: {row['difference']:+.4f}, 95 % interval {row['low']:+.4f} to {row['high']:+.4f} "
        f"over {row['units']} {row['unit']}s: {'a real difference' if row['significant'] else 'may be chance'}"
    )


def _cause(found: dict[str, Any], *, cross: bool) -> list[str]:
    differs = found["differs"]
    if differs is None:
        return ["data, code or params? Not known: one of the runs was published before dvc.lock was kept with it"]
    if not differs:
        return ["data, code or params? All the same"]
    lines = [f"{factor}: {_some(said)}" for factor, said in differs.items() if factor != "data"]
    if len(differs) == 1:
        return [*lines, f"data, code or params? Only the {next(iter(differs))} differ: the difference comes from there"]
    if not cross:
        return [*lines, f"data, code or params? {' and '.join(differs)} differ: --cross trains what tells them apart"]
    steps = [f"  {_step(before, after)}" for before, after in zip(found["crossed"], found["crossed"][1:], strict=False)]
    return [*lines, f"data, code or params? {found['crossed'][0]['metric']}, one after the other:", *steps]


def _step(before: dict[str, Any], after: dict[str, Any]) -> str:
    return (
        f"the second's {after['changed']}: {number(before['value'])} -> {number(after['value'])} ({after['value'] - before['value']:+.4f})"
    )


def _some(said: list[str]) -> str:
    return ", ".join(said[:CODE_SHOWN]) + (f" and {len(said) - CODE_SHOWN} more" if len(said) > CODE_SHOWN else "")
