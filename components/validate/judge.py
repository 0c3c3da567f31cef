"""Great Expectations over the judged tables: what is met, what is not, and on which rows."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from components.errors import UsageError
from components.validate.checks import build, great_expectations
from components.validate.judged import KEYS
from components.validate.suites import CRITICAL, Expected

_SHOWN = 20  # rows named of those that fail an expectation


@dataclass(frozen=True)
class Result:
    """One expectation's outcome; `observed` says what was found, `rows` names the first rows that are not as expected."""

    table: str
    expectation: str
    column: str
    severity: str
    success: bool
    observed: str
    rows: list[str]
    notes: str
    source: str

    @property
    def stops(self) -> bool:
        """Whether a run must not go on from here."""
        return not self.success and self.severity == CRITICAL


@dataclass(frozen=True)
class Judgement:
    """Every result, table by table in the order of the suites, and by table Great Expectations' own results."""

    results: list[Result]
    outcomes: dict[str, Any]


def judge(tables: Mapping[str, pd.DataFrame], expected: Sequence[Expected], parameters: Mapping[str, Any]) -> Judgement:
    """Judge `tables` (of components.validate.judged) by the expectations that are about them.

    Raises UsageError for an expectation that is written wrongly, as `components.validate.checks.build` does, or that
    cannot be worked out on these rows.
    """
    source = _source()
    results, outcomes = [], {}
    for name, table in tables.items():
        mine = [one for one in expected if one.table == name]
        if mine:
            built = build(mine, {name: list(table.columns)}, parameters)
            outcomes[name] = _run(source, name, table, mine, built)
            results += [_result(*each) for each in zip(mine, built, outcomes[name].results, strict=True)]
    return Judgement(results, outcomes)


def _source() -> Any:
    context = great_expectations().get_context(mode="ephemeral")
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    return context.data_sources.add_pandas("visionloop")


def _run(source: Any, name: str, table: pd.DataFrame, mine: list[Expected], expectations: list[Any]) -> Any:
    batch = source.add_dataframe_asset(name=name).add_batch_definition_whole_dataframe("all").get_batch({"dataframe": table})
    suite = great_expectations().ExpectationSuite(name=name, expectations=expectations)
    outcome = batch.validate(suite, result_format={"result_format": "SUMMARY", "partial_unexpected_count": _SHOWN})
    outcome.results.sort(key=lambda one: one.expectation_config.meta["place"])
    for one in outcome.results:
        if trouble := _raised(one.exception_info):
            raise UsageError(f"{mine[one.expectation_config.meta['place']].where} cannot be worked out on {name}: {trouble}")
        one.result, one.success = (
            _plain(_with_names(one.result, table, KEYS[name], _columns(one.expectation_config.kwargs))),
            bool(one.success),
        )
    return outcome


def _columns(kwargs: Mapping[str, Any]) -> list[str]:
    """Those an expectation is about."""
    return [kwargs[name] for name in ("column", "column_A", "column_B") if kwargs.get(name)] + list(kwargs.get("column_list") or [])


def _with_names(result: dict[str, Any], table: pd.DataFrame, key: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    """The first rows that are not as expected by name and value, in place of their numbers.

    Great Expectations would do it for all of them: a minute for 500,000.
    """
    if not (numbers := result.get("partial_unexpected_index_list")):
        return result
    rows = table.loc[numbers, list(dict.fromkeys([*columns, *key]))].to_dict("records")
    return result | {"partial_unexpected_index_list": rows, "unexpected_index_column_names": list(key)}


def _plain(value: Any) -> Any:
    """Python's own numbers in place of numpy's, which the pages cannot show."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.item() if hasattr(value, "item") else value


def _raised(info: Any) -> str | None:
    """What an expectation raised: Great Expectations tells it flat, or by metric."""
    info = info or {}
    for told in (info, *(value for value in info.values() if isinstance(value, dict))):
        if told.get("exception_message"):
            return str(told["exception_message"]).splitlines()[0]
    return None


def _result(written: Expected, built: Any, outcome: Any) -> Result:
    config, found = outcome.expectation_config, outcome.result
    rows = [] if outcome.success else [_row(KEYS[written.table], one) for one in found.get("partial_unexpected_index_list") or []]
    return Result(
        table=written.table,
        expectation=written.description or _in_words(config.type, config.kwargs, getattr(built, "row_condition", None)),
        column=", ".join(_columns(config.kwargs)),
        severity=written.severity,
        success=outcome.success,
        observed=_observed(found),
        rows=rows,
        notes=written.notes or "",
        source=written.source,
    )


def _in_words(kind: str, kwargs: Mapping[str, Any], condition: object) -> str:
    """`values to be between 16 and 20000, for 90 % of the rows` for expect_column_values_to_be_between with these arguments."""
    words = re.sub(r"^expect_(column_|table_)?(pair_|multicolumn_)?", "", kind).replace("_", " ")
    if words == "values a to be greater than b":
        words = f"{kwargs['column_A']} to be greater than {kwargs['column_B']}"
    if bounds := _bounds(kwargs.get("min_value"), kwargs.get("max_value")):
        words = words.removesuffix(" between") + bounds
    for name in ("value_set", "regex", "value", "threshold"):
        words += f" {_short(kwargs[name])}" if kwargs.get(name) is not None else ""
    if (mostly := kwargs.get("mostly", 1)) != 1:
        words += f", for {100 * mostly:.4g} % of the rows"
    return f"{words}, where {condition!r}" if condition else words


def _bounds(least: object, most: object) -> str:
    if least is not None and most is not None:
        return f" between {_short(least)} and {_short(most)}"
    said = [f" at {word} {_short(value)}" for word, value in (("least", least), ("most", most)) if value is not None]
    return "".join(said)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."


def _observed(found: dict[str, Any]) -> str:
    if found.get("unexpected_count") and "element_count" in found:
        return f"{found['unexpected_count']} of {found['element_count']}"
    if found.get("missing_count") and "element_count" not in found:
        return f"{found['missing_count']} missing"
    value = found.get("observed_value")
    return "" if value is None else _short(value)


def _row(key: Sequence[str], row: Mapping[str, Any]) -> str:
    """A row's name, then the values that are not as expected: `classification/a/1.png: width 9`."""
    name = " ".join(str(row[column]) for column in key if row.get(column) is not None)
    values = ", ".join(f"{column} {_short(value)}" for column, value in row.items() if column not in key)
    return f"{name}: {values}" if values else name
