"""What the validate stage found, as the table that a Prefect artifact shows: what is not as expected first."""

import json

from components.data.tables import TASKS
from pipelines.paths import Paths

COLUMNS = ("table", "column", "expectation", "severity", "observed")


def rows(paths: Paths) -> list[dict[str, str]]:
    """One row a reason to stop and an expectation of every dataset that was judged; nothing when none was."""
    files = [paths.validate(task) / "report.json" for task in TASKS]
    reports = {file.parent.name: json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()}
    found = []
    for task, report in reports.items():
        for stop in report.get("stops", []):
            found.append({"dataset": task, "verdict": "stop", **dict.fromkeys(COLUMNS, ""), "expectation": stop["reason"]})
        for verdict in ("failed", "met"):
            found += [{"dataset": task, "verdict": verdict, **{name: one[name] for name in COLUMNS}} for one in report.get(verdict, [])]
    return sorted(found, key=lambda row: row["verdict"] == "met")
