"""`visionloop data check`: what a scan finds in a dataset, which is only read."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.data.catalog import Catalog, Rules
from components.data.findings import BAD, bad
from components.data.formats import AUTO, READERS, Listing, is_present, read_dataset
from components.data.scan import scan
from components.data.tables import OK, TASKS
from components.errors import DataError
from pipelines.data_commands import Summary, findings_of
from pipelines.paths import Paths
from pipelines.report.data_page import by_code, write_page

_SHOWN = 3  # files of each code


@dataclass(frozen=True)
class Checked:
    """A dataset and what was found in it."""

    root: Path
    task: str
    layout: str
    found: Catalog

    def summary(self) -> Summary:
        """Plain values for `--json`."""
        images, boxes = self.found.images, self.found.boxes
        counts = {"images": len(images), "usable_images": int((images["status"] == OK).sum())}
        counts |= {"boxes": len(boxes), "usable_boxes": int((boxes["status"] == OK).sum())}
        codes = {some[0].code: len(some) for some in by_code(self.found.findings)}
        own = {"data": str(self.root), "task": self.task, "layout": self.layout, "classes": self.found.classes}
        return own | counts | {"bad": len(bad(self.found.findings)), "codes": codes} | findings_of(self.found.findings)


def command(paths: Paths, path: Path | None, task: str | None, out: Path | None, *, as_json: bool, layout: str | None = None) -> int:
    """Check, print, write the pages if `out` is given; 1 when something had to be left out, else 0."""
    checked = checks(paths, path, task, layout)
    for one in checked if out else ():
        write(one, out)  # type: ignore[arg-type]
    if as_json:
        print(json.dumps([one.summary() for one in checked], indent=2, ensure_ascii=True, default=str))
    else:
        for one in checked:
            show(one, out)
    return int(any(bad(one.found.findings) for one in checked))


def check(paths: Paths, path: Path | None = None, task: str | None = None) -> list[Summary]:
    """`checks` as plain values."""
    return [one.summary() for one in checks(paths, path, task)]


def checks(paths: Paths, path: Path | None = None, task: str | None = None, layout: str | None = None) -> list[Checked]:
    """Scan datasets without changing anything: those in data/, or the one at `path`, whose task is tried if not given.

    `layout` names how the labels lie; by default params.yaml's for data/, recognised for `path`. Every image is decoded.
    Raises DataError when nothing is found.
    """
    if path is not None:
        root = path.resolve()
        name, listing = (task, read_dataset(root, task, layout or AUTO)) if task else _guess(root, layout or AUTO)
        return [_scanned(root, name, listing, _rules(paths, None))]
    wanted = [name for name in ([task] if task else TASKS) if is_present(paths.data / name)]
    if not wanted:
        raise DataError(f"{paths.data} holds no {task or 'dataset'}: run `visionloop data sample` or `visionloop data import SRC`")
    return [_scanned(paths.data / name, name, _own(paths, name, layout), _rules(paths, name)) for name in wanted]


def _guess(root: Path, layout: str) -> tuple[str, Listing]:
    failures = []
    for task in (task for task, readers in READERS.items() if layout == AUTO or layout in readers):
        try:
            return task, read_dataset(root, task, layout)
        except DataError as error:
            failures.append(str(error))
    raise DataError(f"{failures[-1]} (name the task with --task if it is known)")


def _own(paths: Paths, task: str, layout: str | None) -> Listing:
    from pipelines import settings

    if not paths.params.is_file():
        return read_dataset(paths.data / task, task, layout or AUTO)
    own = getattr(settings.load(paths.params).data, task)
    return read_dataset(paths.data / task, task, layout or own.format, own.group_column)


def _rules(paths: Paths, task: str | None) -> Rules:
    """The limits of params.yaml where there is one; its labels and groups for the project's own dataset of a task only."""
    from pipelines import settings

    if not paths.params.is_file():
        return Rules(min_side=1, max_side=1_000_000)
    knobs = settings.load(paths.params)
    limits = knobs.validate
    if task is None:
        return Rules(limits.min_side, limits.max_side)
    own = getattr(knobs.data, task)
    return Rules(limits.min_side, limits.max_side, limits.labels, own.group_pattern, own.near_duplicates)


def _scanned(root: Path, task: str, listing: Listing, rules: Rules) -> Checked:
    with _progress(f"decoding {root.name}", len(listing.images)) as progress:
        return Checked(root, task, listing.layout, scan(root, task, listing, rules, progress=progress))


@contextmanager
def _progress(title: str, total: int) -> Iterator[Callable[[int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(title, total=total)
        yield lambda finished: bar.advance(task, finished)


def write(one: Checked, out: Path) -> None:
    """Write `<task>.html` and `<task>.json` into the folder `out`."""
    out.mkdir(parents=True, exist_ok=True)
    write_page(out / f"{one.task}.html", one.root, one.task, one.layout, one.found)
    (out / f"{one.task}.json").write_text(json.dumps(one.summary(), indent=2, default=str) + "\n", encoding="utf-8")


def show(one: Checked, out: Path | None) -> None:
    """Print what was found: a line on the whole, then a table with a row for each code."""
    from rich.markup import escape
    from rich.table import Column, Table

    from pipelines.report.console import screen

    console, summary = screen(), one.summary()
    console.print(f"[bold]{escape(str(one.root))}[/bold]: {one.task}, {one.layout}", soft_wrap=True)
    console.print(_counts(summary), soft_wrap=True)
    table = Table(Column("findings", justify="right"), "code", "", Column("the first of them", overflow="fold"), "remedy")
    for some in by_code(one.found.findings):
        kind = "[red]left out[/red]" if some[0].severity == BAD else "[yellow]note[/yellow]"
        files = "\n".join(escape(f"{finding.where.removeprefix(one.task + '/')} {finding.found}") for finding in some[:_SHOWN])
        more = f"\n… and {len(some) - _SHOWN:,} more" if len(some) > _SHOWN else ""
        table.add_row(f"{len(some):,}", some[0].code, kind, files + more, escape(some[0].remedy))
    if table.row_count:
        console.print(table)
    if out is not None:
        console.print(f"see {escape(str(out / one.task))}.html, and .json for machines", soft_wrap=True)
    elif table.row_count:
        console.print("pictures of them: add --out FOLDER", soft_wrap=True)


def _counts(summary: dict[str, Any]) -> str:
    text = f"{summary['images']:,} images, {summary['usable_images']:,} usable; {_plural(len(summary['classes']), 'class', 'es')}"
    if summary["boxes"]:
        text += f"; {summary['boxes']:,} boxes, {summary['usable_boxes']:,} usable"
    return text + ("; [green]nothing was found[/green]" if not summary["findings"] else "")


def _plural(count: int, word: str, ending: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else ending}"
