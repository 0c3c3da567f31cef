"""Stage `validate`: read each dataset, measure every image, quarantine what is bad, and judge the rest."""

import csv
import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.data import catalog, tables
from components.data.findings import Finding, bad
from components.data.formats import is_present, read_dataset
from components.data.formats.corrections import applied
from components.data.scan import scan
from components.errors import DataError, VisionloopError
from components.validate import CRITICAL, Limits, Result, class_counts, validate
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.report.data_page import write_page

if TYPE_CHECKING:
    from pipelines.settings import Settings

log = logging.getLogger(__name__)
_SHOWN = 10


class ValidationError(VisionloopError):
    """The data do not meet what is expected of them (exit code 1); the report is written."""


def run(paths: Paths, settings: "Settings") -> None:
    """Write outputs/validate/<task>/ for both tasks; an absent dataset gives empty tables and says so.

    Raises DataError when both are absent or one cannot be read, ValidationError when an expectation fails (unless
    validate.on_bad is "report").
    """
    present = [task for task in tables.TASKS if is_present(paths.data / task)]
    if not present:
        raise DataError(
            f"{paths.data} holds neither classification/ nor detection/ with files: run `visionloop data sample` for the embedded "
            "photographs, or `visionloop data import SRC --task classification` for your own"
        )
    failed = []
    for task in tables.TASKS:
        if task in present:
            failed += [(task, one) for one in _validate_task(paths, settings, task)]
        else:
            _skip(paths, task)
    if failed and settings.validate.on_bad != "report":
        raise ValidationError(_failures(paths, failed))


def _validate_task(paths: Paths, settings: "Settings", task: str) -> list[Result]:
    own, root = getattr(settings.data, task), paths.data / task
    listing = read_dataset(root, task, own.format)
    limits = _limits(settings)
    rules = catalog.Rules(limits.min_side, limits.max_side, limits.labels, own.group_pattern, own.near_duplicates)
    found = scan(root, task, listing, rules, progress=_progress(task, len(listing.images)))
    with replacing(paths.validate(task)) as folder:
        results = validate(found.images, found.boxes, found.classes, limits, folder / "docs")
        report = _report(listing.layout, found, results)
        _write(folder, found, report)
        write_page(folder / "page.html", root, task, listing.layout, found)
    _tell(task, paths, report, found.findings)
    failed = [one for one in results if not one.success and one.severity == CRITICAL]
    if settings.validate.on_bad == "fail" and (left_out := bad(found.findings)) and not failed:
        failed = [Result("findings", "count to be 0", "", False, f"{len(left_out)} findings", CRITICAL)]
    return failed


def _progress(task: str, total: int) -> Callable[[int], None]:
    done = 0

    def progress(finished: int) -> None:
        nonlocal done
        done += finished
        if done == total or done // 1000 > (done - finished) // 1000:
            log.info("%s: %d of %d images measured", task, done, total)

    return progress


def _limits(settings: "Settings") -> Limits:
    own = settings.validate
    tolerated = 0.0 if own.on_bad == "fail" else own.max_bad_fraction
    return Limits(tolerated, own.min_side, own.max_side, own.min_images_per_class, own.labels)


def _report(layout: str, found: catalog.Catalog, results: list[Result]) -> dict[str, Any]:
    counts = class_counts(found.images, found.boxes, found.classes).set_index("label").to_dict("index")
    return {
        "success": all(one.success for one in results if one.severity == CRITICAL),
        "layout": layout,
        "images": _kept(found.images["status"]),
        "boxes": _kept(found.boxes["status"]),
        "classes": counts,
        "corrections": applied(found.findings),
        "grouped": found.grouped,
        "problems": dict(sorted(Counter(one.code for one in found.findings).items())),
        "expectations": [asdict(one) for one in results],
    }


def _kept(status: pd.Series) -> dict[str, int]:
    kept = int((status == tables.OK).sum())
    return {"found": len(status), "kept": kept, "quarantined": len(status) - kept}


def _write(folder: Path, found: catalog.Catalog, report: dict[str, Any]) -> None:
    tables.write(found.images, folder / "images.parquet", tables.IMAGES)
    tables.write(found.boxes, folder / "boxes.parquet", tables.BOXES)
    (folder / "classes.json").write_text(json.dumps(found.classes, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / "quarantine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Finding)])
        writer.writerows(astuple(one) for one in found.findings)


def _skip(paths: Paths, task: str) -> None:
    reason = f"data/{task} is absent or empty: the {task} half is skipped"
    log.info(reason)
    with replacing(paths.validate(task)) as folder:
        _write(folder, catalog.Catalog(*catalog.empty(), [], []), {"skipped": reason})
        (folder / "docs").mkdir()
        (folder / "docs" / "index.html").write_text(f"<!doctype html><title>{task}</title><p>{reason}</p>\n", encoding="utf-8")


def _tell(task: str, paths: Paths, report: dict[str, Any], findings: list[Finding]) -> None:
    images, boxes = report["images"], report["boxes"]
    log.info("%s (%s): images %s; boxes %s; %d classes", task, report["layout"], images, boxes, len(report["classes"]))
    if told := applied(findings):
        log.info("%s: %s", task, told)
    left_out = bad(findings)
    for one in left_out[:_SHOWN]:
        log.warning("%s: %s: %s, expected %s; %s", one.where, one.code, one.found, one.expected, one.remedy)
    if len(left_out) > _SHOWN:
        log.warning("%d more in %s", len(left_out) - _SHOWN, paths.validate(task) / "quarantine.csv")


def _failures(paths: Paths, failed: list[tuple[str, Result]]) -> str:
    from rich.console import Console
    from rich.table import Table

    table = Table("dataset", "table", "expectation", "column", "found", title="Expectations that failed")
    for task, one in failed:
        table.add_row(task, one.table, one.expectation, one.column, one.observed)
    Console(stderr=True).print(table)
    first = paths.validate(failed[0][0])
    return (
        f"validation failed: {len(failed)} expectations (table above). Mend the data, or change the limits under `validate` in "
        f"params.yaml. Every file is named in {first / 'quarantine.csv'}; the pages are in {first / 'docs'}"
    )
