"""One pass over a dataset that is only read: every image measured, everything wrong named, what is usable kept."""

import os
from collections.abc import Callable
from pathlib import Path

from components.data import catalog
from components.data.facts import measure_all
from components.data.formats import Listing

_PARALLEL_FROM = 1000


def scan(
    root: Path,
    task: str,
    listing: Listing,
    rules: catalog.Rules,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> catalog.Catalog:
    """Measure every image of the `listing` of the dataset at `root` and build its two tables.

    `workers` processes do it (None: one a core, where that pays for starting them); `progress` is told the number of
    newly finished images. Raises UsageError as `catalog.build` does; no file can raise anything.
    """
    files = [root / path for path in listing.images["path"]]
    if workers is None:
        workers = cores() if len(files) >= _PARALLEL_FROM else 1
    return catalog.build(task, listing, measure_all(files, workers, progress), rules)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
