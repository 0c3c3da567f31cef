import logging
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.errors import UsageError
from components.validate.docs import write_docs
from components.validate.judge import Judgement, judge
from components.validate.suites import parse_params
from tests.components.validate.rows import PARAMETERS, boxes, tables

BETWEEN = "expect_column_values_to_be_between"
ONLY_A = {"type": "comparison", "column": {"name": "label"}, "operator": "==", "parameter": "a"}


def run(table: str, kind: str, severity: str = "critical", **kwargs: Any) -> Judgement:
    written = {"type": kind, "kwargs": kwargs, "severity": severity, "notes": "for a reason"}
    return judge(tables(), parse_params({table: [written]}, "p"), PARAMETERS)


USERS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [  # what a user would ask, once met and once not
    ("images_kept", BETWEEN, {"column": "brightness", "max_value": 0.5}, {"column": "brightness", "max_value": 0.4}),
    ("images_kept", BETWEEN, {"column": "aspect_ratio", "min_value": 0.8}, {"column": "aspect_ratio", "min_value": 1}),
    ("images_kept", BETWEEN, {"column": "boxes", "max_value": 1}, {"column": "boxes", "max_value": 0}),
    ("images_kept", "expect_column_mean_to_be_between", {"column": "width", "min_value": 40}, {"column": "width", "max_value": 39}),
    ("boxes_kept", BETWEEN, {"column": "area", "max_value": 0.3}, {"column": "area", "max_value": 0.2}),
    ("boxes_kept", BETWEEN, {"column": "width_px", "min_value": 16}, {"column": "width_px", "min_value": 17}),
    ("classes", BETWEEN, {"column": "image_share", "min_value": 0.5}, {"column": "image_share", "min_value": 0.6}),
    (
        "images_kept",
        "expect_column_distinct_values_to_contain_set",
        {"column": "label", "value_set": ["a", "b"]},
        {"column": "label", "value_set": ["a", "b", "c"]},
    ),
    (
        "images_kept",
        "expect_column_kl_divergence_to_be_less_than",
        {
            "column": "label",
            "threshold": 0.1,
            "tail_weight_holdout": 0.01,
            "partition_object": {"values": ["a", "b"], "weights": [0.5, 0.5]},
        },
        {
            "column": "label",
            "threshold": 0.1,
            "tail_weight_holdout": 0.01,
            "partition_object": {"values": ["a", "c"], "weights": [0.9, 0.1]},
        },
    ),
    (
        "images_kept",
        "expect_column_quantile_values_to_be_between",
        {"column": "width", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[30, 50]]}},
        {"column": "width", "quantile_ranges": {"quantiles": [0.5], "value_ranges": [[50, 60]]}},
    ),
]


@pytest.mark.parametrize(("table", "kind", "met", "unmet"), USERS)
def test_a_users_expectation_is_met_or_not_and_shown_either_way(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, table: str, kind: str, met: dict[str, Any], unmet: dict[str, Any]
) -> None:
    for kwargs, success in ((met, True), (unmet, False)):
        judgement = run(table, kind, **kwargs)
        (one,) = judgement.results
        assert (one.success, one.table, one.source) == (success, table, f"p.{table}: expectation 1")
        assert type(one.success) is bool
        write_docs(tmp_path, "users", {}, [], judgement)
        assert not [one for one in caplog.records if one.levelno >= logging.WARNING and "Exception" in one.getMessage()]
        assert f'<h2 id="{table}"' in (tmp_path / "index.html").read_text()


def test_rows_that_are_not_as_expected_are_named_with_their_values() -> None:
    (one,) = run("boxes_kept", BETWEEN, column="area", max_value=0.2).results
    assert (one.column, one.expectation, one.observed, one.notes) == ("area", "values to be at most 0.2", "20 of 20", "for a reason")
    assert one.rows[0] == "0.png box 0: area 0.28" and len(one.rows) == 20


@pytest.mark.parametrize(("severity", "stops"), [("critical", True), ("warning", False), ("info", False)])
def test_only_what_is_critical_stops(severity: str, stops: bool) -> None:
    (one,) = run("images_kept", BETWEEN, severity, column="width", max_value=1).results
    assert (one.severity, one.success, one.stops) == (severity, False, stops)
    assert not run("images_kept", BETWEEN, severity, column="width", max_value=99).results[0].stops


@pytest.mark.parametrize(
    ("kind", "kwargs", "words"),
    [
        (
            BETWEEN,
            {"column": "width", "min_value": 1, "max_value": 99, "mostly": 0.95},
            "values to be between 1 and 99, for 95 % of the rows",
        ),
        (BETWEEN, {"column": "width", "min_value": 0}, "values to be at least 0"),
        ("expect_table_row_count_to_be_between", {"max_value": 99}, "row count to be at most 99"),
        (
            "expect_column_pair_values_a_to_be_greater_than_b",
            {"column_A": "height", "column_B": "width"},
            "height to be greater than width",
        ),
        ("expect_column_values_to_be_in_set", {"column": "label", "value_set": ["a", "b"]}, "values to be in set a, b"),
        (BETWEEN, {"column": "width", "min_value": 1, "row_condition": ONLY_A}, "values to be at least 1, where label == a"),
    ],
)
def test_an_expectation_is_said_in_words(kind: str, kwargs: dict[str, Any], words: str) -> None:
    (one,) = run("images_kept", kind, **kwargs).results
    assert one.success and one.expectation == words


def test_a_row_condition_leaves_the_other_rows_alone() -> None:
    (one,) = run("images_kept", BETWEEN, column="width", max_value=1, row_condition=ONLY_A).results
    assert one.observed == "10 of 10"


@pytest.mark.parametrize(
    ("kind", "kwargs"),
    [
        ("expect_column_mean_to_be_between", {"column": "label", "min_value": 1}),
        ("expect_column_values_to_match_regex", {"column": "label", "regex": "("}),
    ],
)
def test_what_cannot_be_worked_out_is_a_mistake_in_the_suite(kind: str, kwargs: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"^p\.images_kept: expectation 1 \({kind}\) cannot be worked out on images_kept: \w+"):
        run("images_kept", kind, **kwargs)


def test_results_stand_in_the_order_of_the_suites_and_two_runs_give_the_same() -> None:
    listed: list[object] = [
        {"type": BETWEEN, "kwargs": {"column": column, "min_value": low}} for low in (0, 45) for column in ("width", "height", "contrast")
    ]
    listed.insert(2, {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 99}})
    expected = parse_params({"images_kept": listed, "classes": listed[2:3]}, "p")
    first, second = (judge(tables(), expected, PARAMETERS) for _ in range(2))
    assert first.results == second.results
    assert [one.source for one in first.results] == [
        *(f"p.images_kept: expectation {place}" for place in range(1, 8)),
        "p.classes: expectation 1",
    ]


def test_rows_that_fail_cost_little_more_than_rows_that_pass() -> None:
    """Naming all of them by Great Expectations itself takes twenty times as long."""
    table = pd.concat([boxes()] * 2000, ignore_index=True)
    seconds = []
    for bound in (1, 0):
        one = {"type": BETWEEN, "kwargs": {"column": "area", "max_value": bound}}
        expected = parse_params({"boxes_kept": [one]}, "p")
        judge({"boxes_kept": boxes()}, expected, PARAMETERS)
        start = time.process_time()
        (result,) = judge({"boxes_kept": table}, expected, PARAMETERS).results
        seconds.append(time.process_time() - start)
        assert result.success is bool(bound) and len(result.rows) == (0 if bound else 20)
    assert seconds[1] < 4 * seconds[0] + 0.2


def test_a_table_nothing_is_expected_of_is_not_judged() -> None:
    assert judge(tables(), [], PARAMETERS) == Judgement([], {})
