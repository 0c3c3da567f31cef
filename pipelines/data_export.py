"""`visionloop data export`: a detection dataset in another format, the source only read."""

import os
import shutil
import sys
from pathlib import Path

from components.data.export import Export, plan
from components.data.formats import AUTO, is_present, read_dataset
from components.data.tables import DETECTION
from components.errors import DataError, UsageError
from pipelines.data_commands import Summary
from pipelines.folders import replacing
from pipelines.paths import Paths


def export(
    paths: Paths,
    layout: str,
    out: Path,
    source: Path | None = None,
    task: str = DETECTION,
    read_as: str | None = None,
    *,
    link: bool = False,
) -> Summary:
    """Write data/detection, or the dataset at `source`, as `layout` into the folder `out`, which must be empty or new.

    It is there complete or not at all. With `link` images are hard links, not copies. `read_as` names the layout of
    the source; by default params.yaml's for data/, recognised for `source`. Raises UsageError for a place that cannot
    be written to, DataError for a source that cannot be read.
    """
    if task != DETECTION:
        raise UsageError(f"--task is {task}, expected {DETECTION}: YOLO, Pascal VOC and COCO are formats of boxes")
    root = (source or paths.data / DETECTION).resolve()
    out = out.resolve()
    _refuse_place(root, out)
    listing = read_dataset(root, DETECTION, read_as or _configured(paths, source))
    planned = plan(root, listing, layout)
    boxes = listing.boxes[~listing.boxes["problems"].astype(bool)]
    with replacing(out) as folder:
        _write(root, folder, planned, link=link)
    splits = listing.images["given_split"].fillna("none").value_counts().sort_index()
    counts = {"images": len(planned.images), "boxes": len(boxes), "classes": listing.classes}
    counts["splits"] = [f"{name} {count}" for name, count in splits.items()]
    return {"data": str(root), "layout": listing.layout, "out": str(out), "format": layout, **counts, "advice": planned.notes}


def _configured(paths: Paths, source: Path | None) -> str:
    if source is not None or not paths.params.is_file():
        return AUTO
    from pipelines import settings

    return settings.load(paths.params).data.detection.format


def _refuse_place(root: Path, out: Path) -> None:
    if not is_present(root):
        raise DataError(f"{root} holds no files, expected a {DETECTION} dataset")
    if out.is_relative_to(root) or root.is_relative_to(out):
        raise UsageError(f"{out} and {root} lie in one another, and the source is only read: name a folder elsewhere with --out")
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file, expected an empty or new folder: name another with --out")
    if out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} holds files already, expected an empty or new folder: name another with --out, or empty it")


def _write(root: Path, folder: Path, planned: Export, *, link: bool) -> None:
    from rich.console import Console
    from rich.progress import track

    for name, text in planned.files:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text, encoding="utf-8", newline="\n")
    bar = {"console": Console(stderr=True), "disable": not sys.stderr.isatty()}
    for name, source in track(planned.images.items(), "linking" if link else "copying", total=len(planned.images), **bar):  # type: ignore[arg-type]
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if link:
            _link((root / source).resolve(), place)
        else:
            shutil.copyfile(root / source, place)


def _link(source: Path, place: Path) -> None:
    try:
        os.link(source, place)
    except OSError as error:
        raise UsageError(
            f"{source} cannot be linked to {place.parent} ({error.strerror}): hard links need one file system that allows them; "
            "leave out --link"
        ) from error
