import json
from pathlib import Path
from typing import Any

import pytest

from components.errors import UsageError
from components.validate.checks import REFUSED, build
from components.validate.suites import Expected, nearest, parse_params, parse_suite, read_suites
from tests.components.validate.rows import PARAMETERS, tables

COLUMNS = {name: list(table.columns) for name, table in tables().items()}
BETWEEN = "expect_column_values_to_be_between"
WIDTH = {"column": "width", "min_value": 1}
WHERE = {"type": "comparison", "column": {"name": "lable"}, "operator": "==", "parameter": "a"}
GOOD = {"type": BETWEEN, "kwargs": WIDTH}


def check(expected: list[Expected]) -> list[Any]:
    return build(expected, COLUMNS, PARAMETERS)


def suite(**changed: object) -> dict[str, object]:
    return {"name": "images_kept", "expectations": [GOOD]} | changed


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "name": "images_kept",\n  "expectations": [\n    {"type": "x",}\n  ]\n}', r"mine\.json:4: not valid JSON.*column"),
        ("", r"expectations/mine\.json:1: not valid JSON"),
        ('{"name": "images_kept"', r"expectations/mine\.json:1: not valid JSON"),
        ('{"name": "a", "name": "b"}', r"expectations/mine\.json.*'name' stands twice"),
        (b'{"name": "\xff"}', r"expectations/mine\.json could not be read as JSON in UTF-8"),
        ("[]", r"expectations/mine\.json is list.*expected a suite"),
        (suite(name="images_cept"), r"expectations/mine\.json: unknown table 'images_cept'; did you mean images_kept\?"),
        (suite(name="detecton.images_kept"), r"unknown task 'detecton'.*did you mean detection\?"),
        (suite(name="mine", meta={"table": "boxes"}), r"unknown table 'boxes'; did you mean boxes_\w+\?"),
        (suite(expectations={}), r"the expectations are \{\}, expected a list"),
        (suite(expectation=[]), r"unknown key 'expectation'; did you mean expectations\?"),
        (suite(meta=[1]), r"meta is list.*expected a mapping"),
        (suite(expectations=["width"]), r"expectation 1 is str 'width', expected a mapping"),
        (suite(expectations=[GOOD, {"kwargs": WIDTH}]), r"expectation 2: type is None"),
        (suite(expectations=[GOOD | {"sevrity": "warning"}]), r"expectation 1: unknown key 'sevrity'; did you mean severity\?"),
        (suite(expectations=[GOOD | {"severity": "warnin"}]), r"unknown severity 'warnin'; did you mean warning\?"),
        (suite(expectations=[GOOD | {"kwargs": [1]}]), rf"expectation 1 \({BETWEEN}\): kwargs is list"),
    ],
)  # fmt: skip
def test_what_is_no_suite_is_refused_by_file_and_place(tmp_path: Path, text: Any, said: str) -> None:
    folder = tmp_path / "expectations"
    folder.mkdir()
    written = json.dumps(text) if isinstance(text, dict) else text
    (folder / "mine.json").write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(UsageError, match=said) as refused:
        read_suites(folder)
    assert refused.value.exit_code == 2


def test_a_folder_without_suites_is_refused_with_the_way_back(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="git checkout expectations"):
        read_suites(tmp_path / "expectations")


@pytest.mark.parametrize(
    ("kind", "kwargs", "said"),
    [
        ("expect_column_values_to_be_betwen", WIDTH, rf"unknown expectation.*did you mean {BETWEEN}\?"),
        ("ExpectColumnValuesToBeBetween", WIDTH, rf"unknown expectation.*did you mean {BETWEEN}\?"),
        ("something else altogether", WIDTH, "unknown expectation.*known are expect_"),
        (BETWEEN, {"column": "width", "min_val": 1}, r"unknown argument 'min_val'; did you mean min_value\?"),
        (BETWEEN, {"column": "width", "severity": "warning"}, "unknown argument 'severity'"),
        (BETWEEN, {"column": "widht", "min_value": 1}, r"images_kept has no column 'widht'; did you mean width\?"),
        (BETWEEN, {"min_value": 1}, "column: field required"),
        (BETWEEN, {"column": "width"}, "min_value and max_value cannot both be None"),
        (BETWEEN, {"column": "width", "min_value": "wide"}, "min_value is 'wide': value is not a valid float"),
        (BETWEEN, WIDTH | {"mostly": 1.5}, "mostly is 1.5: ensure this value is less than or equal to 1"),
        (
            BETWEEN,
            WIDTH | {"mostly": {"$PARAMETER": "1 - max_bad_fractin"}},
            r"mostly: unknown parameter 'max_bad_fractin'; did you mean max_bad_fraction\?",
        ),
        (BETWEEN, {"column": "width", "min_value": {"$PARAMETER": "min_sied"}}, r"unknown parameter 'min_sied'; did you mean min_side\?"),
        (BETWEEN, {"column": "width", "min_value": {"$PARAMETER": "min_side -"}}, "min_value: 'min_side -' cannot be worked out"),
        (BETWEEN, {"column": "width", "min_value": {"$PARAMETER": "min_side / 0"}}, "cannot be worked out"),
        ("expect_column_pair_values_a_to_be_greater_than_b", {"column_A": "width", "column_B": "high"}, "no column 'high'"),
        ("expect_compound_columns_to_be_unique", {"column_list": ["width", "pth"]}, r"no column 'pth'; did you mean path\?"),
        (
            BETWEEN,
            WIDTH | {"row_condition": {"type": "and", "conditions": [WHERE]}},
            r"images_kept has no column 'lable'; did you mean label\?",
        ),
        ("expect_column_values_to_be_in_set", {"column": "label", "value_set": 3}, "value_set is 3"),
    ],
)
def test_a_mistake_in_an_expectation_is_refused_by_place_with_the_nearest_name(kind: str, kwargs: dict[str, Any], said: str) -> None:
    written = parse_params({"images_kept": [GOOD, {"type": kind, "kwargs": kwargs}]}, "params.yaml: validate.expectations")
    with pytest.raises(UsageError, match=said) as refused:
        check(written)
    assert str(refused.value).startswith("params.yaml: validate.expectations.images_kept: expectation 2")


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_cannot_run_here_is_refused_with_what_to_write_instead(kind: str) -> None:
    from great_expectations.expectations.registry import list_registered_expectation_implementations

    assert kind in list_registered_expectation_implementations()
    with pytest.raises(UsageError, match="write ") as refused:
        check(parse_params({"images_kept": [{"type": kind, "kwargs": {}}]}, "p"))
    named = [word.rstrip(",") for word in str(refused.value).partition("write ")[2].split() if word.startswith("expect_")]
    assert set(named) <= set(list_registered_expectation_implementations()) - set(REFUSED)


def test_everything_else_great_expectations_knows_can_run_on_these_tables() -> None:
    from great_expectations.expectations import registry

    def runs(name: str) -> bool:
        kind = registry.get_expectation_impl(name)
        metrics = [kind.map_metric] if getattr(kind, "map_metric", None) else getattr(kind, "metric_dependencies", ())
        known = registry._registered_metrics
        found = [known.get(f"{metric}.condition") or known.get(metric) for metric in metrics]
        return all(one and "PandasExecutionEngine" in one["providers"] for one in found)

    cannot = {name for name in registry.list_registered_expectation_implementations() if not runs(name)}
    assert cannot <= set(REFUSED) and len(cannot) == 6


def test_a_good_suite_is_taken_as_written() -> None:
    full = {**GOOD, "severity": "info", "notes": "why", "description": "wide", "meta": {"owner": "me"}, "id": None}
    (one,) = parse_suite(suite(name="mine", meta={"table": "detection.images_kept"}, suite_parameters={"x": 1}, expectations=[full]), "f")
    assert (one.table, one.task, one.severity, one.notes, one.description) == ("images_kept", "detection", "info", "why", "wide")
    (built,) = check([one])
    assert (built.min_value, built.severity.value, built.notes) == (1, "info", "why")
    assert parse_suite(suite(), "f")[0].task is None


@pytest.mark.parametrize(
    ("expression", "value"),
    [("min_side", 16), ("max_side / 2 + 1", 251), ("own", 7), ("own * min_side", 112), ("1 - max_bad_fraction", 0.9)],
)
def test_parameters_are_those_of_params_yaml_and_the_suites_own(expression: str, value: float) -> None:
    wanted = {"type": BETWEEN, "kwargs": {"column": "width", "min_value": {"$PARAMETER": expression}}}
    (built,) = check(parse_suite(suite(suite_parameters={"own": 7, "min_side": 99}, expectations=[wanted]), "f"))
    assert built.min_value == pytest.approx(value)


def test_every_table_of_params_is_read_in_order() -> None:
    read = parse_params({"boxes_kept": [GOOD], "classification.classes": [GOOD, GOOD]}, "p")
    assert [(one.task, one.table, one.source) for one in read] == [
        (None, "boxes_kept", "p.boxes_kept: expectation 1"),
        ("classification", "classes", "p.classification.classes: expectation 1"),
        ("classification", "classes", "p.classification.classes: expectation 2"),
    ]


def test_nearest() -> None:
    assert nearest("widht", ["height", "width"]) == "did you mean width?" and nearest("zzz", ["a", "b"]) == "known are a, b"
