"""One pass over a dataset that is only read: every image measured, everything wrong named, what is usable kept."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from components.data import catalog
from components.data.facts import measure_all
from components.data.formats import Listing
from components.data.survey import survey

_VAGUE = frozenset(("unknown-file", "link-outside"))  # what a reader says of a file that the survey has looked into


def scan(
    root: Path,
    task: str,
    listing: Listing,
    rules: catalog.Rules,
    workers: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> catalog.Catalog:
    """Survey the dataset at `root`, measure every image of its `listing`, and build its two tables.

    `workers` processes measure (None: one a core); `progress` is told the number of newly finished images. Raises
    UsageError as `catalog.build` does; no file can raise anything.
    """
    noticed = list(survey(root))
    known = {one.file for one in noticed}
    said = [one for one in listing.findings if not (one.code in _VAGUE and one.file in known)]
    facts = measure_all([root / path for path in listing.images["path"]], workers or cores(), progress)
    return catalog.build(task, replace(listing, findings=[*noticed, *said]), facts, rules)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
