import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.validate.judge import judge
from components.validate.judged import KEYS
from components.validate.suites import read_suites
from tests.components.validate.rows import PARAMETERS, tables
from tests.imports import ROOT

NAN = float("nan")
FOLDER = ROOT / "expectations"
SUITES = read_suites(FOLDER)
# A function that breaks one rule on a good table, and the expectation's place in its suite.
Spoil = Callable[[pd.DataFrame], pd.DataFrame]


def put(column: str, *values: Any) -> Spoil:
    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[: len(values) - 1, column] = list(values)
        return table

    return spoil


def empty(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:0]


def inverted(axis: str, count: int) -> Spoil:
    def spoil(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[: count - 1, [f"{axis}_min", f"{axis}_max"]] = [0.6, 0.5]
        return table

    return spoil


SPOILT: dict[tuple[str, int], Spoil] = {
    ("images_found", 1): empty,
    ("images_found", 2): put("path", "same", "same"),
    ("images_found", 3): put("width", NAN, NAN, NAN),
    ("images_found", 4): put("width", 15.0, 15.0, 501.0),
    ("images_found", 5): put("height", 15.0, 501.0, 501.0),
    ("images_found", 6): put("label", "z", "z", "z"),
    ("images_kept", 1): empty,
    ("images_kept", 2): put("image_id", "f" * 64, "f" * 64),
    ("images_kept", 3): put("image_id", "no hash"),
    ("images_kept", 4): put("width", NAN),
    ("images_kept", 5): put("label", "z"),
    ("images_kept", 6): put("brightness", 0.01),
    ("images_kept", 7): put("contrast", 0.0),
    ("images_kept", 8): put("aspect_ratio", 12.0),
    ("classes", 1): empty,
    ("classes", 2): put("label", "a", "a"),
    ("classes", 3): put("images", 2),
    ("classes", 4): put("balance", 0.005),
    ("boxes_found", 1): empty,
    ("boxes_found", 2): put("label", "z", "z", "z"),
    ("boxes_found", 3): inverted("x", 3),
    ("boxes_found", 4): inverted("y", 3),
    ("boxes_kept", 1): empty,
    ("boxes_kept", 2): put("box_id", "same", "same"),
    ("boxes_kept", 3): put("label", "z"),
    ("boxes_kept", 4): put("x_min", -0.01),
    ("boxes_kept", 5): put("y_min", -0.01),
    ("boxes_kept", 6): put("x_max", 1.01),
    ("boxes_kept", 7): put("y_max", 1.01),
    ("boxes_kept", 8): inverted("x", 1),
    ("boxes_kept", 9): inverted("y", 1),
    ("boxes_kept", 10): put("width_px", 1.0),
    ("boxes_kept", 11): put("height_px", 1.0),
}
WARNINGS = {("images_kept", 6), ("images_kept", 7), ("images_kept", 8), ("classes", 4), ("boxes_kept", 10), ("boxes_kept", 11)}
# What the share of bad rows allows: as above, on one row fewer.
ALLOWED: dict[str, list[Spoil]] = {
    "images_found": [put("width", NAN, NAN), put("width", 15.0, 501.0), put("height", 15.0, 501.0), put("label", "z", "z")],
    "boxes_found": [put("label", "z", "z"), inverted("x", 2), inverted("y", 2)],
}


def unmet(table: str, spoil: Spoil) -> dict[tuple[str, int], str]:
    judged = judge({table: spoil(tables()[table])}, SUITES, PARAMETERS)
    return {(one.table, int(one.source.split()[-1])): one.severity for one in judged.results if not one.success}


def test_good_tables_meet_every_expectation() -> None:
    judged = judge(tables(), SUITES, PARAMETERS)
    assert [one for one in judged.results if not one.success] == []
    assert len(judged.results) == len(SUITES) == len(SPOILT)


@pytest.mark.parametrize("case", SPOILT, ids=lambda case: f"{case[0]}-{case[1]}")
def test_what_breaks_one_rule_fails_that_expectation_and_no_other(case: tuple[str, int]) -> None:
    assert unmet(case[0], SPOILT[case]) == {case: "warning" if case in WARNINGS else "critical"}


@pytest.mark.parametrize(("table", "spoil"), [(table, spoil) for table, spoils in ALLOWED.items() for spoil in spoils])
def test_a_share_of_bad_rows_up_to_the_limit_passes_for_what_was_found(table: str, spoil: Spoil) -> None:
    assert unmet(table, spoil) == {}


def test_there_is_a_suite_for_every_table_and_every_expectation_says_why() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(KEYS)
    assert all(one.notes and one.table == Path(one.source.split(":")[0]).stem for one in SUITES)


@pytest.mark.parametrize("name", sorted(KEYS))
def test_great_expectations_itself_reads_the_files_and_writes_the_same(name: str) -> None:
    import great_expectations as gx

    written = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    read = gx.ExpectationSuite(**written).to_json_dict()
    assert (read["name"], read["notes"]) == (name, written["notes"])
    assert [{key: one[key] for key in ("type", "kwargs", "severity", "notes")} for one in read["expectations"]] == written["expectations"]
