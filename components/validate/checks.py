"""From expectations as written to those Great Expectations can run; a mistake is refused in words before anything runs."""

import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.errors import UsageError
from components.validate.suites import Expected, nearest

_IN_SQL = "it runs on SQL databases only; "
# What Great Expectations offers and these tables cannot have, with what to write instead.
REFUSED = {
    "expect_column_distinct_values_to_be_in_set": "its page cannot be shown when it fails; write expect_column_values_to_be_in_set",
    "expect_column_distinct_values_to_equal_set": "its page cannot be shown when it fails; write expect_column_values_to_be_in_set "
    "and expect_column_distinct_values_to_contain_set",
    "expect_column_values_to_match_like_pattern": f"{_IN_SQL}write expect_column_values_to_match_regex",
    "expect_column_values_to_match_like_pattern_list": f"{_IN_SQL}write expect_column_values_to_match_regex_list",
    "expect_column_values_to_not_match_like_pattern": f"{_IN_SQL}write expect_column_values_to_not_match_regex",
    "expect_column_values_to_not_match_like_pattern_list": f"{_IN_SQL}write expect_column_values_to_not_match_regex_list",
    "expect_query_results_to_match_comparison": f"{_IN_SQL}write an expectation about a column",
    "expect_table_row_count_to_equal_other_table": f"{_IN_SQL}write expect_table_row_count_to_be_between",
    "unexpected_rows_expectation": f"{_IN_SQL}write an expectation about a column",
}
_COLUMNS = ("column", "column_A", "column_B", "column_list")
# Fields of every expectation that are set here, not by its kwargs.
_OWN = {"id", "meta", "notes", "result_format", "description", "catch_exceptions", "rendered_content", "severity", "windows", "batch_id"}
# Pydantic tries every type of a field; what it says of these tells a person least.
_NOISE = ("value is not a valid dict", "none is not an allowed value")


def great_expectations() -> Any:
    """The library, imported once (seconds), without its analytics and its chatter."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    for chatty in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    import great_expectations

    return great_expectations


def build(expected: Sequence[Expected], columns: Mapping[str, Sequence[str]], parameters: Mapping[str, Any]) -> list[Any]:
    """Great Expectations' objects, in the same order, `{"$PARAMETER": ...}` filled in; `columns` are those of each table.

    Raises UsageError, naming where it stands and the nearest valid name, for an unknown type, argument, column or
    parameter, and for values of the wrong kind.
    """
    great_expectations()
    from great_expectations.expectations import registry

    implementations = {name: registry.get_expectation_impl(name) for name in registry.list_registered_expectation_implementations()}
    return [_build(one, place, implementations, columns[one.table], parameters) for place, one in enumerate(expected)]


def _build(one: Expected, place: int, known: dict[str, Any], columns: Sequence[str], parameters: Mapping[str, Any]) -> Any:
    if one.type in REFUSED:
        raise UsageError(f"{one.where}: {REFUSED[one.type]}")
    if one.type not in known:
        raise UsageError(f"{one.source}: unknown expectation {one.type!r}; {_nearest_type(one.type, known)}")
    kind = known[one.type]
    arguments = [name for name in kind.__fields__ if name not in _OWN]
    for name in one.kwargs:
        if name not in arguments:
            raise UsageError(f"{one.where}: unknown argument {name!r}; {nearest(name, arguments)}")
    kwargs = _filled(one, {**one.parameters, **parameters})
    _refuse_unknown_columns(one, [name for name in _COLUMNS if name in kind.domain_keys], kwargs, columns)
    given = {"severity": one.severity, "notes": one.notes, "description": one.description, "meta": {"place": place}}
    try:
        return kind(**kwargs, **given)
    except ValueError as error:
        raise UsageError(f"{one.where}: {_in_words(error, kwargs)}") from None


def _nearest_type(name: str, known: Mapping[str, Any]) -> str:
    """Class names, as the gallery shows them, are understood too."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
    return nearest(snake, [one for one in known if one not in REFUSED])


def _filled(one: Expected, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The kwargs with their parameters replaced, which may be arithmetic: {"$PARAMETER": "1 - max_bad_fraction"}."""
    from great_expectations.core import suite_parameters

    kwargs = {}
    for name, value in one.kwargs.items():
        kwargs[name] = value
        if suite_parameters.is_suite_parameter(value):
            expression = str(value["$PARAMETER"])
            unknown = [word for word in re.findall(r"[A-Za-z]\w*", expression) if word not in parameters]
            if unknown:
                raise UsageError(f"{one.where}: {name}: unknown parameter {unknown[0]!r}; {nearest(unknown[0], parameters)}")
            try:
                kwargs[name] = suite_parameters.parse_suite_parameter(expression, dict(parameters))
            except Exception as error:
                raise UsageError(f"{one.where}: {name}: {expression!r} cannot be worked out: {str(error).splitlines()[0]}") from None
    return kwargs


def _refuse_unknown_columns(one: Expected, names: Sequence[str], kwargs: dict[str, Any], columns: Sequence[str]) -> None:
    condition = kwargs.get("row_condition")
    for value in [*(kwargs.get(name) for name in names), None if isinstance(condition, str) else condition]:
        for column in _columns_in(value):
            if column not in columns:
                raise UsageError(f"{one.where}: {one.table} has no column {column!r}; {nearest(column, columns)}")


def _columns_in(value: object) -> Iterator[str]:
    """The columns that an argument names: a name, a list of them, or a condition on rows as Great Expectations writes it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _columns_in(one)
    elif isinstance(value, dict):
        column = value.get("column")
        yield from _columns_in(column.get("name") if isinstance(column, dict) else value.get("conditions"))


def _in_words(error: ValueError, kwargs: dict[str, Any]) -> str:
    """The first thing Pydantic has against the values."""
    found = getattr(error, "errors", list)() or [{"loc": ("__root__",), "msg": str(error)}]
    telling = [each for each in found if each["msg"] not in _NOISE and each["loc"][0] != "__root__"] or found
    name = str(telling[0]["loc"][0])
    if name == "__root__":
        return str(telling[0]["msg"])
    said = dict.fromkeys(str(each["msg"]) for each in telling if each["loc"][0] == name)
    received = f"{name} is {kwargs[name]!r}: " if name in kwargs else f"{name}: "
    return received + ", or ".join(said)
