"""The table of candidates and the decisions, for the terminal, Prefect artifacts and JSON."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from components.evaluate.seeds import Spread
from pipelines.evidence import read_report
from pipelines.paths import Paths

HEADLINES = {"classification": ("val/accuracy", "test/accuracy", "test/macro_f1"), "detection": ("val/map50", "test/map50", "test/map")}
ENDS = ("low", "high")  # of a metric's 95 % interval
COSTS = ("cost/parameters", "cost/train_seconds", "cost/latency_ms")


def rows(paths: Paths, models: list[str]) -> list[dict[str, Any]]:
    """One row a model: task, name, its headline metrics, costs; `skipped` says why there are none."""
    return [_row(model, read_report(paths.evaluate(model))) for model in models]


def _row(model: str, report: dict[str, Any]) -> dict[str, Any]:
    if "skipped" in report:
        return {"model": model, "skipped": report["skipped"]}
    names = (*HEADLINES[report["task"]], *COSTS)
    return {
        "model": model,
        "task": report["task"],
        "test_images": report["test_images"],
        **{name: report["metrics"].get(name) for name in names},
        **{f"{name}_{end}": report["metrics"][f"{name}_{end}"] for name in names for end in ENDS if f"{name}_{end}" in report["metrics"]},
    }


def spread_rows(spreads: Iterable[Spread]) -> list[dict[str, Any]]:
    """A row each, for the table of the candidates: who they are, mean and standard deviation of the headline metrics."""
    return [
        {
            "model": f"{', '.join(one.models)}: mean ± deviation of {len(one.seeds)} seeds",
            "task": one.task,
            **{name: str(number) for name, number in one.metrics.items()},
        }
        for one in spreads
    ]


def spread_values(spreads: Iterable[Spread]) -> list[dict[str, Any]]:
    """As plain values, with the line that says it."""
    return [{**asdict(one), "said": one.in_words()} for one in spreads]


def plain(table: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The rows as text with the same columns everywhere, as a Prefect table shows them."""
    columns = list(dict.fromkeys(name for row in table for name in row))
    return [{name: number(row.get(name)) for name in columns} for row in table]


def number(value: Any) -> str:
    """A cell: three decimals below a thousand, thousands separated above, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, float) and abs(value) < 1000:
        return f"{value:.3f}"
    return f"{value:,.0f}" if isinstance(value, (int, float)) else str(value)


def with_interval(row: dict[str, Any], name: str) -> str:
    """A metric's cell with the 95 % interval behind it, where the row has one."""
    low, high = (row.get(f"{name}_{end}") for end in ENDS)
    return number(row[name]) if low is None or high is None else f"{number(row[name])} ({number(low)}–{number(high)})"


def decision_markdown(task: str, decision: dict[str, Any]) -> str:
    """A decision as people read it in Prefect's UI."""
    reasons = "\n".join(f"- {reason}" for reason in decision["reasons"])
    return f"## {task}: {decision['verdict']}\n\n{reasons}\n\nGate `{decision['gate_hash'][:12]}`\n"
