"""What the validate stage answers: report.json, metrics.json, and in words what is not as expected."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.formats.corrections import applied
from components.data.on_bad import REPORT, Stop
from components.data.tables import DETECTION, OK
from components.errors import VisionloopError
from components.validate.judge import Result
from components.validate.judged import class_table
from pipelines.paths import Paths

if TYPE_CHECKING:
    import pandas as pd

    from components.data.catalog import Catalog

Report = dict[str, Any]
_ROWS = 20  # named of a reason to stop
_ROWS_IN_TABLE = 3
_WIDTH = 140  # columns where there is no terminal to measure


class ValidationError(VisionloopError):
    """The data do not meet what is expected of them (exit code 1); the report is written."""


def report(layout: str, on_bad: str, found: "Catalog", stops: Sequence[Stop], results: Sequence[Result]) -> Report:
    """report.json of one dataset. `success` is whether the run may go on; `failed` holds every expectation that is not met."""
    counts = class_table(found.images, found.boxes, found.classes).set_index("label")[["images", "boxes"]]
    failed = any(one.stops for one in results)
    return {
        "success": not stops and (not failed or on_bad == REPORT),
        "on_bad": on_bad,
        "layout": layout,
        "images": _kept(found.images["status"]),
        "boxes": _kept(found.boxes["status"]),
        "classes": counts.to_dict("index"),
        "corrections": applied(found.findings),
        "grouped": found.grouped,
        "problems": dict(sorted(Counter(one.code for one in found.findings).items())),
        "stops": [{"reason": one.reason, "rows": one.rows[:_ROWS]} for one in stops],
        "failed": [asdict(one) for one in sorted(results, key=lambda one: not one.stops) if not one.success],
        "met": [{name: value for name, value in asdict(one).items() if name != "rows"} for one in results if one.success],
    }


def write_metrics(path: Path, reports: dict[str, Report]) -> None:
    """The numbers `dvc metrics diff` shows: for each dataset what was found, kept and left out, and how many expectations failed."""
    numbers = {task: _numbers(task, one) for task, one in reports.items() if "skipped" not in one}
    path.write_text(json.dumps(numbers, indent=2) + "\n", encoding="utf-8")


def show(paths: Paths, reports: dict[str, Report]) -> None:
    """Print what is not met as one table. Raises ValidationError when a dataset must not be trained on."""
    judged = {task: one for task, one in reports.items() if "skipped" not in one}
    if any(one["failed"] or one["stops"] for one in judged.values()):
        _print(judged)
    refused = [task for task, one in judged.items() if not one["success"]]
    if refused:
        first = paths.validate(refused[0])
        raise ValidationError(
            f"validation failed for {' and '.join(refused)}, as the table above says. Mend the data, or change what is expected of them: "
            f"`validate` in params.yaml, the suites in {paths.expectations.name}/. Every file that is left out is named in "
            f"{first / 'quarantine.csv'}; the page to look at is {first / 'docs' / 'index.html'}"
        )


def _kept(status: "pd.Series") -> dict[str, int]:
    kept = int((status == OK).sum())
    return {"found": len(status), "kept": kept, "quarantined": len(status) - kept}


def _numbers(task: str, one: Report) -> dict[str, Any]:
    failed = Counter(unmet["severity"] for unmet in one["failed"])
    expectations = {"met": len(one["met"]), "failed": failed["critical"], "warnings": failed["warning"] + failed["info"]}
    boxes = {"boxes": one["boxes"]} if task == DETECTION else {}
    return {"images": one["images"], **boxes, "classes": len(one["classes"]), "expectations": expectations}


def _print(reports: dict[str, Report]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    rows = Column("rows", overflow="fold")
    table = Table("dataset", "table", "column", "expectation", "severity", "found", rows, title="Not as expected", show_lines=True)
    for task, one in reports.items():
        for stop in one["stops"]:
            table.add_row(task, "", "", stop["reason"], "stop", "", _some(stop["rows"]))
        for unmet in one["failed"]:
            columns = (unmet[name] for name in ("table", "column", "expectation", "severity", "observed"))
            table.add_row(task, *columns, _some(unmet["rows"]))
    Console(stderr=True, markup=False, width=None if sys.stderr.isatty() else _WIDTH).print(table)


def _some(rows: Sequence[str]) -> str:
    more = ["... more in report.json"] if len(rows) > _ROWS_IN_TABLE else []
    return "\n".join([*rows[:_ROWS_IN_TABLE], *more])
