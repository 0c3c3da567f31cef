"""`visionloop data check`: what a scan finds in a dataset, which is only read."""

from pathlib import Path

from components.data import catalog
from components.data.formats import READERS, is_present, read_dataset
from components.data.scan import scan
from components.data.tables import OK, TASKS
from components.errors import DataError
from pipelines.data_commands import Summary, findings_of
from pipelines.paths import Paths


def check(paths: Paths, path: Path | None = None, task: str | None = None) -> list[Summary]:
    """Scan datasets without changing anything: those in data/, or the one at `path`, whose task is tried if not given.

    Every image is decoded. Raises DataError when nothing is found.
    """
    if path is None:
        wanted = [(paths.data / name, name) for name in ([task] if task else TASKS) if is_present(paths.data / name)]
        if not wanted:
            raise DataError(f"{paths.data} holds no {task or 'dataset'}: run `visionloop data sample` or `visionloop data import SRC`")
    else:
        wanted = [(path.resolve(), task or _guess(path.resolve()))]
    return [_scan(root, name) for root, name in wanted]


def _scan(root: Path, task: str) -> Summary:
    listing = read_dataset(root, task)
    found = scan(root, task, listing, catalog.Rules(min_side=1, max_side=1_000_000))
    counts = {"images": len(found.images), "usable_images": int((found.images["status"] == OK).sum())}
    boxes = {"boxes": len(found.boxes), "usable_boxes": int((found.boxes["status"] == OK).sum())}
    own = {"data": str(root), "task": task, "layout": listing.layout, "classes": found.classes}
    return own | counts | boxes | findings_of(found.findings)


def _guess(root: Path) -> str:
    failures = []
    for task in READERS:
        try:
            read_dataset(root, task)
        except DataError as error:
            failures.append(str(error))
        else:
            return task
    raise DataError(f"{failures[-1]} (name the task with --task if it is known)")
