"""The tables of a model's page, from its report.json."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from pipelines.report import svg

Report = Mapping[str, Any]
FIRST = {"classification": ("test/accuracy", "test/macro_f1", "test/ece"), "detection": ("test/map50", "test/map", "test/recall")}
UNBOUNDED = ("log_loss",)  # all other metrics of val and test are shares
ENDS = ("_low", "_high")
COSTS = {
    "cost/parameters": ("parameters", "{:,.0f}"),
    "cost/flops": ("FLOPs an image", "{:,.0f}"),
    "cost/latency_ms": ("latency of one image here, median", "{:,.1f} ms"),
    "cost/latency_p99_ms": ("latency of one image here, 99th percentile", "{:,.1f} ms"),
    "cost/memory_megabytes": ("memory to load it and look at one image, at most", "{:,.0f} MB"),
    "cost/megabytes": ("size of its file", "{:,.1f} MB"),
    "cost/train_seconds": ("training", "{:,.0f} s"),
}
CLASSES_SHOWN = 200


def first(report: Report) -> list[str]:
    """The metrics that stand on top."""
    return [name for name in FIRST[report["task"]] if report["metrics"].get(name) is not None]


def number(name: str, value: float | None) -> str:
    """A metric as people read it: shares in percent."""
    if value is None:
        return "–"
    return f"{value:.3f}" if name.rpartition("/")[2] in UNBOUNDED else f"{value:.1%}"


def limits(name: str, ends: Sequence[float | None] | None) -> str:
    """An interval in words; nothing where there is none."""
    if ends is None or None in ends:
        return ""
    return f"{number(name, ends[0])} to {number(name, ends[1])}"


def panel(title: str, inside: str) -> str:
    """A section under a heading; nothing for nothing."""
    return f'<h2>{escape(title)}</h2>\n<section class="panel">{inside}</section>' if inside else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers_from: int, *, markup_from: int | None = None) -> str:
    """A table of text; columns from `numbers_from` on are aligned as numbers, those from `markup_from` on are HTML already."""
    last = len(head) if markup_from is None else markup_from

    def kind(column: int) -> str:
        return ' class="number"' if numbers_from <= column < last else ""

    def cells(row: Sequence[str]) -> str:
        return "".join(f"<td{kind(at)}>{escape(cell) if at < last else cell}</td>" for at, cell in enumerate(row))

    heads = "".join(f'<th scope="col"{kind(column)}>{escape(name)}</th>' for column, name in enumerate(head))
    body = "".join(f"<tr>{cells(row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'


def headlines(report: Report) -> str:
    """Every metric of the test images with its interval, beside that of validation."""
    metrics, ends = report["metrics"], report["intervals"]
    names = [name for name in metrics if name.startswith("test/") and not name.endswith(ENDS)]
    rows = []
    for name in names:
        own, value, val = ends.get(name), metrics[name], metrics.get(name.replace("test/", "val/", 1))
        shown = name.removeprefix("test/"), number(name, value), limits(name, own), number(name, val)
        rows.append((*shown, _range(name, value, own)))
    return table(("metric", "test", "95 % interval", "validation", ""), rows, 1, markup_from=4)


def slices(report: Report) -> str:
    """Every slice with its interval, as they are grouped by name."""
    rows = []
    for row in report["slices"]:
        own = (row["low"], row["high"])
        shown = _range(row["slice"], row["value"], own)
        rows.append((row["slice"], f"{row['images']:,}", number("", row["value"]), limits("", own), shown))
    measure = "accuracy" if report["task"] == "classification" else "AP50"
    return table(("slice", "images", measure, "95 % interval", ""), rows, 1, markup_from=4) if rows else ""


def classes(report: Report) -> str:
    """What the report knows of each class, the weakest first."""
    rows = report["per_class"]
    names = list(dict.fromkeys(key for row in rows.values() for key in row))
    decisive = "recall" if "recall" in names else "ap50"
    order = sorted(rows, key=lambda label: (rows[label].get(decisive) is None, rows[label].get(decisive) or 0.0))
    counted = ("support", "boxes")
    cells = [
        (label, *(f"{rows[label][key] or 0:,.0f}" if key in counted else number(key, rows[label].get(key)) for key in names))
        for label in order[:CLASSES_SHOWN]
    ]
    more = f'<p class="soft">and {len(order) - CLASSES_SHOWN:,} more</p>' if len(order) > CLASSES_SHOWN else ""
    return table(("class", *names), cells, 1) + more


def corruptions(told: Mapping[str, Any]) -> str:
    """A row a corruption: the measure over all severities, then at each."""
    rows = []
    for name, row in told["corruptions"].items():
        each = (number("", value) for value in row["by_severity"])
        rows.append((name, number("", row["value"]), limits("", (row.get("low"), row.get("high"))), *each))
    return table(("corruption", told["measure"], "95 % interval", *(f"severity {level}" for level in range(1, 6))), rows, 1)


def cost(report: Report) -> str:
    """Parameters, FLOPs, latency, memory, size and training."""
    metrics = report["metrics"]
    rows = [(words, form.format(metrics[name])) for name, (words, form) in COSTS.items() if metrics.get(name) is not None]
    return table(("", ""), rows, 1)


def provenance(report: Report, commit: str) -> str:
    """Digests, the commit and the parameters."""
    known = {"weights (SHA-256)": report["model_sha256"], "data digest": report["data_digest"], "test set digest": report["test_digest"]}
    rows = [*known.items(), ("git commit", commit or "unknown")]
    rows += [(name, "–" if value is None else str(value)) for name, value in report["params"].items()]
    return table(("", ""), rows, 2)


def _range(name: str, value: float | None, ends: Sequence[float | None] | None) -> str:
    if value is None or ends is None or ends[0] is None or ends[1] is None or name.rpartition("/")[2] in UNBOUNDED:
        return ""
    return svg.interval(value, ends[0], ends[1], f"{value:.1%}, {limits('', ends)}")
