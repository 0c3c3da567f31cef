"""Stage `split`: the tables of `validate`, each kept image with its split."""

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data import tables
from components.errors import DataError
from components.split import report, split
from pipelines.folders import replacing
from pipelines.paths import Paths

if TYPE_CHECKING:
    from pipelines.settings import Settings

log = logging.getLogger(__name__)


def run(paths: Paths, settings: "Settings") -> None:
    """Write outputs/split/<task>/ for both tasks; an absent dataset gives empty tables and says so.

    Raises DataError for leakage in a given split or a split that would be empty.
    """
    fractions = {name: float(getattr(settings.split, name)) for name in tables.SPLITS}
    for task in tables.TASKS:
        _split_task(paths.validate(task), paths.split(task), fractions, settings.seed)


def _split_task(source: Path, target: Path, fractions: dict[str, float], seed: int) -> None:
    images = tables.read(source / "images.parquet", tables.IMAGES)
    boxes = tables.read(source / "boxes.parquet", tables.BOXES)
    if images.empty:
        result: dict[str, Any] = {"skipped": json.loads((source / "report.json").read_text(encoding="utf-8"))["skipped"]}
    else:
        try:
            images["split"] = split(images, boxes, fractions, seed)
        except DataError as error:
            raise DataError(f"{target.name}: {error}") from error
        result = report(images, boxes, fractions)
        log.info("%s: %s", target.name, ", ".join(f"{count} {name}" for name, count in result["images"].items()))
    for warning in result.get("warnings", []):
        log.warning("%s: %s", target.name, warning)
    with replacing(target) as folder:
        tables.write(images, folder / "images.parquet", tables.IMAGES)
        tables.write(boxes, folder / "boxes.parquet", tables.BOXES)
        shutil.copyfile(source / "classes.json", folder / "classes.json")
        (folder / "report.json").write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
