"""Stage `validate`: read each dataset, measure every image, leave out what is bad, and judge the rest."""

import csv
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data import catalog, on_bad, tables
from components.data.findings import BAD, CODES, Finding
from components.data.formats import is_present, read_dataset
from components.data.formats.corrections import applied
from components.data.scan import scan
from components.errors import DataError
from components.validate.checks import build
from components.validate.docs import write_docs
from components.validate.judge import judge
from components.validate.judged import judged_tables
from components.validate.suites import Expected, parse_params, read_suites
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.report.data_page import write_page
from pipelines.stages import validate_report

if TYPE_CHECKING:
    from pipelines.settings import Settings

log = logging.getLogger(__name__)
_SHOWN = 10


def run(paths: Paths, settings: "Settings") -> None:
    """Write outputs/validate/<task>/ for both tasks, and metrics.json; an absent dataset gives empty tables and says so.

    Raises UsageError for a mistake in a suite of expectations, DataError when both datasets are absent or one cannot
    be read, ValidationError, once all is written, when the data must not be trained on.
    """
    present = [task for task in tables.TASKS if is_present(paths.data / task)]
    if not present:
        raise DataError(
            f"{paths.data} holds neither classification/ nor detection/ with files: run `visionloop data sample` for the embedded "
            "photographs, or `visionloop data import SRC --task classification` for your own"
        )
    expected = expectations(paths, settings)
    reports = {task: _validate_task(paths, settings, task, expected) if task in present else _skip(paths, task) for task in tables.TASKS}
    validate_report.write_metrics(paths.outputs / "validate" / "metrics.json", reports)
    validate_report.show(paths, reports)


def expectations(paths: Paths, settings: "Settings") -> list[Expected]:
    """Those of expectations/ and of params.yaml, checked before hours are spent on a scan. Raises UsageError for a mistake."""
    found = read_suites(paths.expectations) + parse_params(settings.validate.expectations, "params.yaml: validate.expectations")
    columns = {name: list(table.columns) for name, table in judged_tables(tables.DETECTION, *catalog.empty(), []).items()}
    build(found, columns, _parameters(settings, ["any"]))
    return found


def _validate_task(paths: Paths, settings: "Settings", task: str, expected: Sequence[Expected]) -> dict[str, Any]:
    layout, found = _scanned(paths, settings, task)
    parameters = _parameters(settings, found.classes)
    judged = judged_tables(task, found.images, found.boxes, parameters["labels"])
    judgement = judge(judged, [one for one in expected if one.task in (None, task)], parameters)
    stops = on_bad.stops(found, settings.validate.on_bad, settings.validate.max_bad_fraction)
    report = validate_report.report(layout, settings.validate.on_bad, found, stops, judgement.results)
    with replacing(paths.validate(task)) as folder:
        _write(folder, found, report)
        write_page(folder / "page.html", paths.data / task, task, layout, found)
        facts = {"layout": layout, **{what: _counted(report[what]) for what in ("images", "boxes")}, "classes": len(report["classes"])}
        write_docs(folder / "docs", f"{task}: validation", facts, [one.reason for one in stops], judgement)
    _tell(task, paths, report, found.findings)
    return report


def _scanned(paths: Paths, settings: "Settings", task: str) -> tuple[str, catalog.Catalog]:
    own, limits, root = getattr(settings.data, task), settings.validate, paths.data / task
    listing = read_dataset(root, task, own.format, own.group_column)
    keep_beyond = limits.on_bad == on_bad.REPORT
    rules = catalog.Rules(limits.min_side, limits.max_side, limits.labels, own.group_pattern, own.near_duplicates, keep_beyond)
    return listing.layout, scan(root, task, listing, rules, progress=_progress(task, len(listing.images)))


def _progress(task: str, total: int) -> Callable[[int], None]:
    done = 0

    def progress(finished: int) -> None:
        nonlocal done
        done += finished
        if done == total or done // 1000 > (done - finished) // 1000:
            log.info("%s: %d of %d images measured", task, done, total)

    return progress


def _parameters(settings: "Settings", classes: Sequence[str]) -> dict[str, Any]:
    """What suites may name as {"$PARAMETER": ...}: the numbers and labels of params.yaml's `validate`."""
    own = settings.validate
    return {
        "max_bad_fraction": 0.0 if own.on_bad == on_bad.FAIL else own.max_bad_fraction,
        "min_side": own.min_side,
        "max_side": own.max_side,
        "min_images_per_class": own.min_images_per_class,
        "labels": list(classes) if own.labels is None else list(own.labels),
    }


def _write(folder: Path, found: catalog.Catalog, report: dict[str, Any]) -> None:
    tables.write(found.images, folder / "images.parquet", tables.IMAGES)
    tables.write(found.boxes, folder / "boxes.parquet", tables.BOXES)
    (folder / "classes.json").write_text(json.dumps(found.classes, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / "quarantine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([field.name for field in fields(Finding)])
        writer.writerows(astuple(one) for one in found.findings)


def _skip(paths: Paths, task: str) -> dict[str, Any]:
    reason = f"data/{task} is absent or empty: the {task} half is skipped"
    log.info(reason)
    with replacing(paths.validate(task)) as folder:
        _write(folder, catalog.Catalog(*catalog.empty(), [], []), {"skipped": reason})
        (folder / "docs").mkdir()
        (folder / "docs" / "index.html").write_text(f"<!doctype html><title>{task}</title><p>{reason}</p>\n", encoding="utf-8")
    return {"skipped": reason}


def _counted(counts: dict[str, int]) -> str:
    return f"{counts['kept']:,} kept of {counts['found']:,}"


def _tell(task: str, paths: Paths, report: dict[str, Any], findings: list[Finding]) -> None:
    images, boxes = report["images"], report["boxes"]
    log.info("%s (%s): images %s; boxes %s; %d classes", task, report["layout"], images, boxes, len(report["classes"]))
    if told := applied(findings):
        log.info("%s: %s", task, told)
    named = [one for one in findings if one.severity == BAD or CODES[one.code].severity == BAD]  # `report` lets some off, not unnamed
    for one in named[:_SHOWN]:
        log.warning("%s: %s: %s, expected %s; %s", one.where, one.code, one.found, one.expected, one.remedy)
    if len(named) > _SHOWN:
        log.warning("%d more in %s", len(named) - _SHOWN, paths.validate(task) / "quarantine.csv")
