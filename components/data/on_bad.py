"""What becomes of bad data by `validate.on_bad`: left out, kept and named, or reason to stop.

`quarantine` leaves out what is bad and goes on. `fail` stops at anything bad. `report` keeps an image that only lies
beyond min_side or max_side (`catalog.Rules.keep_beyond`); what no training can use is left out all the same. What stops a run always: a share of bad images
or boxes above `max_bad_fraction`, and paths that leave the dataset.
"""

from dataclasses import dataclass

import pandas as pd

from components.data.catalog import Catalog
from components.data.codes.code import BAD
from components.data.findings import CODES, bad
from components.data.tables import OK

FAIL, REPORT = "fail", "report"
LEAVES_THE_DATASET = frozenset({"link-outside", "path-outside"})


@dataclass(frozen=True)
class Stop:
    """Why a run must not go on, and the files, images or boxes that are to blame."""

    reason: str
    rows: list[str]


def stops(found: Catalog, on_bad: str, max_bad_fraction: float) -> list[Stop]:
    """Why the run must stop; nothing when it may go on. `max_bad_fraction` is of all images, and of all boxes, 0..1."""
    reasons = []
    outside = [one.where for one in found.findings if one.code in LEAVES_THE_DATASET]
    if outside:
        reasons.append(Stop(f"paths that leave the dataset: {len(outside)}; put the files themselves in their place", outside))
    for what, table, name in (("images", found.images, "path"), ("boxes", found.boxes, "box_id")):
        blamed, count = _bad_rows(table)
        if len(blamed) > max_bad_fraction * count:
            allowed = f"validate.max_bad_fraction allows {max_bad_fraction:g} of them"
            reasons.append(Stop(f"{len(blamed)} of {count} {what} are bad, {allowed}", list(blamed[name])))
    if on_bad == FAIL and (findings := bad(found.findings)):
        named = [f"{one.where}: {one.code}" for one in findings]
        reasons.append(Stop(f"bad findings: {len(findings)}, and validate.on_bad is fail", named))
    return reasons


def _bad_rows(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """The rows left out for being bad themselves, and of how many; copies, and boxes of an image left out, do not count."""
    guilty = table["problems"].map(lambda codes: any(code in CODES and CODES[code].severity == BAD for code in codes)).astype(bool)
    left_out = table["status"] != OK
    return table[guilty & left_out], int((guilty | ~left_out).sum())
