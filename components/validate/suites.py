"""Suites of expectations as people write them: Great Expectations' own JSON files, and a block of params.yaml.

A suite's name, or `table` in its meta, says which table it is about: TABLE for both tasks, TASK.TABLE for one.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from components.data.tables import TASKS
from components.errors import UsageError
from components.validate.judged import KEYS

CRITICAL = "critical"
SEVERITIES = (CRITICAL, "warning", "info")
_SUITE = ("name", "expectations", "suite_parameters", "meta", "notes", "id")
# What Great Expectations writes beside these says how its last run went.
_EXPECTATION = ("type", "kwargs", "severity", "notes", "description", "meta", "id", "success_on_last_run", "rendered_content")


@dataclass(frozen=True)
class Expected:
    """One expectation as written; `task` None means both, `source` says where it stands."""

    table: str
    task: str | None
    type: str
    kwargs: dict[str, Any]
    severity: str
    notes: str | None
    description: str | None
    source: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def where(self) -> str:
        """The beginning of every complaint about it."""
        return f"{self.source} ({self.type})"


def read_suites(folder: Path) -> list[Expected]:
    """The expectations of every .json file in a folder, in the order of their names.

    Raises UsageError for a folder without suites and for what is no suite, naming the file, and the line where the
    JSON breaks.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UsageError(f"{folder} holds no suite of expectations (*.json): restore it with `git checkout {folder.name}`")
    return [one for file in files for one in parse_suite(_read(file), f"{folder.name}/{file.name}")]


def parse_suite(suite: object, source: str) -> list[Expected]:
    """The expectations of a suite in Great Expectations' form. Raises UsageError naming `source`."""
    known = _mapping(suite, source, "a suite with `name` and `expectations`")
    _refuse_unknown(known, _SUITE, source)
    meta = _mapping(known.get("meta") or {}, f"{source}: meta", "a mapping")
    parameters = _mapping(known.get("suite_parameters") or {}, f"{source}: suite_parameters", "a mapping")
    return _parse_list(known.get("expectations"), meta.get("table", known.get("name")), source, parameters)


def parse_params(block: Mapping[str, object], source: str) -> list[Expected]:
    """The expectations of a mapping from a table to a list of them, as in params.yaml. Raises UsageError naming `source`."""
    return [one for table, listed in block.items() for one in _parse_list(listed, table, f"{source}.{table}", {})]


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a complaint: the known name that is most like the one given, or all of them."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    return f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"


def _read(file: Path) -> object:
    try:
        return json.loads(file.read_text(encoding="utf-8-sig"), object_pairs_hook=_once_each)
    except json.JSONDecodeError as error:
        place = f"{file.parent.name}/{file.name}:{error.lineno}"
        raise UsageError(f"{place}: not valid JSON: {error.msg}, at column {error.colno}; correct it there or just before") from None
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{file.parent.name}/{file.name} could not be read as JSON in UTF-8: {error}") from None


def _once_each(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"the key {twice[0]!r} stands twice in one object")
    return dict(pairs)


def _parse_list(listed: object, target: object, source: str, parameters: dict[str, Any]) -> list[Expected]:
    task, table = _target(target, source)
    if not isinstance(listed, list):
        raise UsageError(f"{source}: the expectations are {listed!r}, expected a list of {{type, kwargs, severity}}")
    return [_parse(one, task, table, f"{source}: expectation {place}", parameters) for place, one in enumerate(listed, start=1)]


def _target(target: object, source: str) -> tuple[str | None, str]:
    task, _, table = str(target).rpartition(".")
    if task and task not in TASKS:
        raise UsageError(f"{source}: unknown task {task!r} in {target!r}; {nearest(task, TASKS)}")
    if table not in KEYS:
        raise UsageError(f"{source}: unknown table {table!r}; {nearest(table, KEYS)} (a suite's name says it, or `table` in its meta)")
    return task or None, table


def _parse(one: object, task: str | None, table: str, source: str, parameters: dict[str, Any]) -> Expected:
    written = _mapping(one, source, "a mapping with type, kwargs and severity")
    _refuse_unknown(written, _EXPECTATION, source)
    kind, severity = written.get("type"), written.get("severity", CRITICAL)
    if not isinstance(kind, str):
        raise UsageError(f"{source}: type is {kind!r}, expected the name of an expectation, such as expect_column_values_to_be_between")
    if severity not in SEVERITIES:
        raise UsageError(f"{source} ({kind}): unknown severity {severity!r}; {nearest(str(severity), SEVERITIES)}")
    kwargs = _mapping(written.get("kwargs") or {}, f"{source} ({kind}): kwargs", "a mapping")
    texts = {name: None if written.get(name) is None else str(written[name]) for name in ("notes", "description")}
    return Expected(table, task, kind, kwargs, severity, source=source, parameters=parameters, **texts)


def _mapping(value: object, source: str, expected: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UsageError(f"{source} is {type(value).__name__} {str(value)[:40]!r}, expected {expected}")
    return value


def _refuse_unknown(block: dict[str, Any], known: tuple[str, ...], source: str) -> None:
    for key in block:
        if key not in known:
            raise UsageError(f"{source}: unknown key {key!r}; {nearest(str(key), known)}")
