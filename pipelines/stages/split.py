"""Stage `split`: the tables of `validate`, each kept image with its split; where an image was placed is remembered."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.data import tables
from components.errors import DataError
from components.split import PLACEMENTS, Outcome, Terms, draw, furthest, no_placements, report, split
from pipelines.paths import Paths

if TYPE_CHECKING:
    from pipelines.settings import Settings

log = logging.getLogger(__name__)
MEMORY = "placements.parquet"


def run(paths: Paths, settings: "Settings") -> None:
    """Write outputs/split/<task>/ for both tasks; an absent dataset gives empty tables and says so.

    Raises UsageError for a column of evaluate.slices that no image has, hours before the evaluation would miss it, DataError for
    leakage in a given split (unless split.on_leak is "repair") or a split that would be empty.
    """
    _refuse_unknown_slices(paths, settings.evaluate.slices)
    fractions = {name: float(getattr(settings.split, name)) for name in tables.SPLITS}
    for task in tables.TASKS:
        own = getattr(settings.data, task)
        grouping = f"group_pattern {own.group_pattern}, group_column {own.group_column}, near_duplicates {own.near_duplicates}"
        terms = Terms(fractions, settings.seed, grouping)
        _split_task(paths.validate(task), paths.split(task), terms, settings.split.on_leak == "repair")


def _refuse_unknown_slices(paths: Paths, names: list[str]) -> None:
    found = {task: tables.read(paths.validate(task) / "images.parquet", tables.IMAGES) for task in tables.TASKS if names}
    tables.refuse_unknown_columns(names, {task: images for task, images in found.items() if not images.empty})


def _split_task(source: Path, target: Path, terms: Terms, repair: bool) -> None:
    images = tables.read(source / "images.parquet", tables.IMAGES)
    boxes = tables.read(source / "boxes.parquet", tables.BOXES)
    memory = _remembered(target / MEMORY)
    if images.empty:
        result: dict[str, Any] = {"skipped": json.loads((source / "report.json").read_text(encoding="utf-8"))["skipped"], "strata": {}}
        result["images"] = dict.fromkeys(tables.SPLITS, 0)
    else:
        try:
            done = split(images, boxes, terms, memory, repair)
        except DataError as error:
            raise DataError(f"{target.name}: {error}") from error
        images["split"], memory = done.places, done.memory
        result = report(images, boxes, terms.fractions)
        _tell(target.name, result, done)
    _write(target, images, boxes, memory, result, (source / "classes.json").read_bytes())


def _remembered(path: Path) -> pd.DataFrame:
    if not path.exists():
        return no_placements()
    try:
        return tables.read(path, PLACEMENTS)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}, which remembers where each image was placed, is damaged ({error}): bring it back by `dvc checkout {path}`, "
            "or delete it, and every image is dealt anew"
        ) from error


def _tell(task: str, result: dict[str, Any], done: Outcome) -> None:
    result["left_out"] = dict(sorted(done.left_out.items()))
    result["warnings"] += done.warnings
    log.info("%s: %s", task, ", ".join(f"{count} {name}" for name, count in result["images"].items()))
    log.info("%s: %s", task, furthest(result))
    for warning in result["warnings"]:
        log.warning("%s: %s", task, warning)


def _write(target: Path, images: pd.DataFrame, boxes: pd.DataFrame, memory: pd.DataFrame, result: dict[str, Any], classes: bytes) -> None:
    """Write each file whole, the memory first: what a killed run has placed, the next one finds placed."""
    target.mkdir(parents=True, exist_ok=True)
    with _whole(target / MEMORY) as path:
        tables.write(memory, path, PLACEMENTS)
    with _whole(target / "images.parquet") as path:
        tables.write(images, path, tables.IMAGES)
    with _whole(target / "boxes.parquet") as path:
        tables.write(boxes, path, tables.BOXES)
    with _whole(target / "classes.json") as path:
        path.write_bytes(classes)
    with _whole(target / "split.png") as path:
        draw(result, path)
    with _whole(target / "report.json") as path:
        path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A file beside `target` that takes its place, on the disk, when the block ends."""
    aside = target.with_name(f".{target.name}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
