"""The few lines of Markdown that introduce a run and its registered version."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

NUMBERS = {
    "classification": ("test/accuracy", "test/top5_accuracy", "test/macro_f1", "test/ece", "val/accuracy"),
    "detection": ("test/map50", "test/map", "test/precision", "test/recall", "val/map50", "val/map"),
}
COSTS = ("cost/parameters", "cost/flops", "cost/latency_ms", "cost/megabytes", "cost/train_seconds")
CLASSES_SHOWN = 20


def origin(run: Any, tags: Mapping[str, str]) -> list[str]:
    """Lines of Markdown that lead from a run (its info) to its report, its data, its code and the flow that made it."""
    lines = [f"[Report](#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/report.html)"]
    if "data_revision" in tags:
        lines.append(f"Data: `visionloop data diff {tags['data_revision'][:12]} workspace` shows what changed since")
    if "git_commit" in tags:
        lines.append(f"Code: `git show {tags['git_commit'][:12]}`")
    if tags.get("flow_run"):
        page = f"{os.environ['PREFECT_UI_URL'].rstrip('/')}/runs/flow-run/{tags['flow_run']}" if os.environ.get("PREFECT_UI_URL") else ""
        lines.append(f"Prefect: [flow run]({page})" if page else f"Prefect: flow run `{tags['flow_run']}` (`visionloop ui --prefect`)")
    return lines


def describe(report: Mapping[str, Any], links: Sequence[str] = ()) -> str:
    """Markdown: what the model is, on what it was measured, its numbers, and where it comes from."""
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
            *(["", "  \n".join(links)] if links else []),
        ]
    )


def _interval(report: Mapping[str, Any], name: str) -> str:
    low, high = report.get("intervals", {}).get(name, (None, None))
    return "" if low is None or high is None else f" ({low:,.4g} to {high:,.4g})"
