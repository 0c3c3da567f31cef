"""The few lines of Markdown that introduce a run and its registered version."""

from collections.abc import Mapping
from typing import Any

NUMBERS = {
    "classification": ("test/accuracy", "test/top5_accuracy", "test/macro_f1", "test/ece", "val/accuracy"),
    "detection": ("test/map50", "test/map", "test/precision", "test/recall", "val/map50", "val/map"),
}
COSTS = ("cost/parameters", "cost/flops", "cost/latency_ms", "cost/megabytes", "cost/train_seconds")
CLASSES_SHOWN = 20


def describe(report: Mapping[str, Any]) -> str:
    """Markdown: what the model is, on what it was measured, and its numbers."""
    metrics, classes = report["metrics"], report["classes"]
    shown = ", ".join(classes[:CLASSES_SHOWN]) + (" …" if len(classes) > CLASSES_SHOWN else "")
    names = [name for name in (*NUMBERS[report["task"]], *COSTS) if metrics.get(name) is not None]
    rows = [f"| {name} | {metrics[name]:,.4g}{_interval(report, name)} |" for name in names]
    return "\n".join(
        [
            f"**{report['model']}** ({report['architecture']}): {report['task']} of {len(classes)} classes ({shown}).",
            "",
            "Input: RGB pixels 0..255, upright; preprocessing is inside the model.",
            "",
            "| measure | value |",
            "|---|---|",
            *rows,
            "",
            f"Data `{report['data_digest'][:12]}`, test set `{report['test_digest'][:12]}`, weights `{report['model_sha256'][:12]}`.",
        ]
    )


def _interval(report: Mapping[str, Any], name: str) -> str:
    low, high = report.get("intervals", {}).get(name, (None, None))
    return "" if low is None or high is None else f" ({low:,.4g} to {high:,.4g})"
