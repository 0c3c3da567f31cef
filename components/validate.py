"""What a dataset must be before anything is trained on it, as Great Expectations over the tables.

Five small tables are judged: the images and boxes found, those kept after quarantine, and the classes. A share of
bad rows up to `max_bad_fraction` passes for what was found, since quarantine has left those rows out; nothing bad
passes for what is kept.
"""

import logging
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from components.data.tables import OK, usable

CRITICAL = "critical"
WARNING = "warning"
_CORNERS = ("x_min", "y_min", "x_max", "y_max")


@dataclass(frozen=True)
class Limits:
    """What is demanded: fractions 0..1, sides in pixels; `labels` None allows every class that was found."""

    max_bad_fraction: float
    min_side: int
    max_side: int
    min_images_per_class: int
    labels: Sequence[str] | None


@dataclass(frozen=True)
class Result:
    """One expectation's outcome; `observed` says what was found when it failed or has a value worth knowing."""

    table: str
    expectation: str
    column: str
    success: bool
    observed: str
    severity: str


def validate(images: pd.DataFrame, boxes: pd.DataFrame, classes: Sequence[str], limits: Limits, docs: Path) -> list[Result]:
    """Judge the two tables (columns of components.data.tables) and write readable HTML to `docs`.

    `classes` are the dataset's own; every one must have `min_images_per_class` images that are kept. An image counts
    for a class by its label, or by the boxes on it.
    """
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    import great_expectations as gx

    for chatty in ("great_expectations", "great_expectations.data_context.types.base"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = _silent()
    backend = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(docs.resolve())}
    site: Any = {"class_name": "SiteBuilder", "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"}, "store_backend": backend}
    context.add_data_docs_site(site_name="docs", site_config=site)
    source = context.data_sources.add_pandas("visionloop")
    results = []
    for name, (table, key, expectations) in _suites(images, boxes, classes, limits).items():
        results += _judge(context, source, name, table, key, expectations)
    context.build_data_docs(site_names=["docs"])
    _make_offline(docs)
    _write_index(docs, results)
    return results


def class_counts(images: pd.DataFrame, boxes: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Kept images and boxes by class: columns label, images, boxes; one row for each of `classes`."""
    images, boxes = usable(images, boxes)
    labelled = pd.concat([images[["image_id", "label"]], boxes[["image_id", "label"]]]).dropna(subset=["label"])
    by_class = labelled.drop_duplicates()["label"].value_counts()
    rows = [(name, int(by_class.get(name, 0)), int((boxes["label"] == name).sum())) for name in classes]
    return pd.DataFrame(rows, columns=["label", "images", "boxes"])


Suites = dict[str, tuple[pd.DataFrame, str, list[Any]]]


def _suites(images: pd.DataFrame, boxes: pd.DataFrame, classes: Sequence[str], limits: Limits) -> Suites:
    """By table: its rows, the column that names a row, and what is expected of it."""
    kept_images, kept_boxes = usable(images, boxes)
    demanded = list(classes) if limits.labels is None else list(limits.labels)
    suites: Suites = {
        "images-found": (_plain(_without_copies(images)), "path", _images_found(limits)),
        "images-kept": (_plain(kept_images), "path", _images_kept()),
        "classes": (class_counts(images, boxes, demanded), "label", _classes(limits)),
    }
    if len(boxes):
        suites["boxes-found"] = (_plain(boxes), "box_id", _boxes_found(limits))
        suites["boxes-kept"] = (_plain(kept_boxes), "box_id", _boxes_kept())
    return suites


def _expectations() -> Any:
    return import_module("great_expectations.expectations")


def _images_found(limits: Limits) -> list[Any]:
    expect = _expectations()
    mostly = 1 - limits.max_bad_fraction
    sides = [
        expect.ExpectColumnValuesToBeBetween(column=side, min_value=limits.min_side, max_value=limits.max_side, mostly=mostly)
        for side in ("width", "height")
    ]
    return [
        expect.ExpectTableRowCountToBeBetween(min_value=1),
        expect.ExpectColumnValuesToBeUnique(column="path"),
        expect.ExpectColumnValuesToBeInSet(column="status", value_set=[OK], mostly=mostly),
        expect.ExpectColumnValuesToNotBeNull(column="width", mostly=mostly),
        *sides,
        *_allowed(limits, mostly),
    ]


def _images_kept() -> list[Any]:
    expect = _expectations()
    return [
        expect.ExpectTableRowCountToBeBetween(min_value=1),
        expect.ExpectColumnValuesToBeUnique(column="image_id"),
        expect.ExpectColumnValuesToMatchRegex(column="image_id", regex="^[0-9a-f]{64}$"),
        expect.ExpectColumnValuesToBeBetween(column="brightness", min_value=0.02, max_value=0.98, mostly=0.99, severity=WARNING),
        expect.ExpectColumnValuesToBeBetween(column="contrast", min_value=0.01, mostly=0.99, severity=WARNING),
    ]


def _classes(limits: Limits) -> list[Any]:
    expect = _expectations()
    return [
        expect.ExpectTableRowCountToBeBetween(min_value=1),
        expect.ExpectColumnValuesToBeBetween(column="images", min_value=limits.min_images_per_class),
    ]


def _boxes_found(limits: Limits) -> list[Any]:
    expect = _expectations()
    mostly = 1 - limits.max_bad_fraction
    return [expect.ExpectColumnValuesToBeInSet(column="status", value_set=[OK], mostly=mostly), *_allowed(limits, mostly)]


def _boxes_kept() -> list[Any]:
    expect = _expectations()
    return [
        expect.ExpectTableRowCountToBeBetween(min_value=1),
        expect.ExpectColumnValuesToBeUnique(column="box_id"),
        *(expect.ExpectColumnValuesToBeBetween(column=name, min_value=0, max_value=1) for name in _CORNERS),
        expect.ExpectColumnPairValuesAToBeGreaterThanB(column_A="x_max", column_B="x_min"),
        expect.ExpectColumnPairValuesAToBeGreaterThanB(column_A="y_max", column_B="y_min"),
    ]


def _allowed(limits: Limits, mostly: float) -> list[Any]:
    expect = _expectations()
    if limits.labels is None:
        return []
    return [expect.ExpectColumnValuesToBeInSet(column="label", value_set=list(limits.labels), mostly=mostly)]


def _judge(context: Any, source: Any, name: str, table: pd.DataFrame, key: str, expectations: list[Any]) -> list[Result]:
    import great_expectations as gx

    batch = source.add_dataframe_asset(name=name).add_batch_definition_whole_dataframe("all")
    suite = context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
    definition = context.validation_definitions.add(gx.ValidationDefinition(name=name, data=batch, suite=suite))
    wanted = {"result_format": "SUMMARY", "unexpected_index_column_names": [key]}
    outcome = definition.run(batch_parameters={"dataframe": table}, result_format=wanted)
    return [_result(name, key, one) for one in outcome.results]


def _result(table: str, key: str, outcome: Any) -> Result:
    config = outcome.expectation_config
    column = config.kwargs.get("column") or " > ".join(config.kwargs[name] for name in ("column_A", "column_B") if name in config.kwargs)
    kind = re.sub(r"^expect_(column_)?(pair_)?", "", config.type).replace("_", " ")
    severity = str(getattr(config.severity, "value", config.severity) or CRITICAL)
    return Result(table, kind, column, bool(outcome.success), _observed(key, outcome), severity)


def _observed(key: str, outcome: Any) -> str:
    found = outcome.result
    raised = (outcome.exception_info or {}).get("exception_message")
    if raised:
        return str(raised)
    if found.get("unexpected_count"):
        rows = found.get("partial_unexpected_index_list") or []
        shown = "; ".join(", ".join(f"{name} {value}" for name, value in row.items() if name != key or value) for row in rows[:5])
        return f"{found['unexpected_count']} of {found['element_count']}: {shown}"
    value = found.get("observed_value")
    return "" if value is None else str(value)


def _silent() -> Any:
    from great_expectations.data_context.types.base import ProgressBarsConfig

    return ProgressBarsConfig(globally=False)


def _without_copies(images: pd.DataFrame) -> pd.DataFrame:
    """Byte-identical copies are left out but not bad: they must not use up the share of bad files."""
    return images[~images["problems"].map(lambda problems: list(problems) == ["duplicate"])]


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Without the list column, which Great Expectations cannot profile."""
    return table.drop(columns=["problems"], errors="ignore")


_OUTSIDE = re.compile(r"<(?:script|link|img)\b[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>(?:\s*</script>)?", re.IGNORECASE)
_STYLE = (
    "<style>body{font:15px sans-serif;margin:1.5rem}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3rem}"
    "ul{list-style:none}.hide,.modal,footer{display:none}</style></head>"
)


def _make_offline(docs: Path) -> None:
    """Without what would be loaded from outside, with a small style of their own instead; fonts and pictures (4 MB) go."""
    for heavy in ("fonts", "images"):
        shutil.rmtree(docs / "static" / heavy, ignore_errors=True)
    for page in docs.rglob("*.html"):
        page.write_text(_OUTSIDE.sub("", page.read_text(encoding="utf-8")).replace("</head>", _STYLE, 1), encoding="utf-8")


def _write_index(docs: Path, results: list[Result]) -> None:
    """An index that is plain HTML: Great Expectations' own fills its lists by scripts from outside."""
    lines = []
    for one in results:
        page = next(docs.glob(f"validations/{one.table}/**/*.html"))
        link = f'<a href="{quote(page.relative_to(docs).as_posix())}">{escape(one.table)}</a>'
        verdict = "met" if one.success else f"<b>not met ({escape(one.severity)})</b>"
        cells = (link, escape(one.expectation), escape(one.column), verdict, escape(one.observed))
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Validation</title>{_STYLE}<body><h1>Validation</h1>'
    header = "<tr><th>table</th><th>expectation</th><th>column</th><th>verdict</th><th>observed</th></tr>"
    (docs / "index.html").write_text(f"{head}<table>{header}{''.join(lines)}</table></body></html>\n", encoding="utf-8")
