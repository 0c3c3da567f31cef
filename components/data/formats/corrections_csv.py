"""`corrections.csv`, the overlay of label corrections as a person writes it in a spreadsheet: the rows, with their lines.

| path | action | box | label | new_box | expected | note |
|---|---|---|---|---|---|---|
| cat/7.jpg | relabel | | dog | | cat | an image gets another class |
| cat/8.jpg | delete | | | | cat | an image is left out |
| a.jpg | relabel | 0.1 0.2 0.4 0.6 | dog | | cat | a box gets another class |
| a.jpg | move | 0.1 0.2 0.4 0.6 | | 0.1 0.2 0.5 0.6 | cat | a box gets other corners |
| a.jpg | delete | 0.1 0.2 0.4 0.6 | | | cat | a box is left out |
| a.jpg | add | | dog | 0.5 0.5 0.7 0.8 | | a box that was overlooked |

`path` is relative to the dataset. A box is x_min y_min x_max y_max as fractions 0..1 of the upright image. `expected` is
the class that stood there when the row was written, and may be left empty; `note` is for people.
"""

import csv
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from components.data.boxes import Corners
from components.data.findings import Finding, finding

FILE = "corrections.csv"
COLUMNS = ("path", "action", "box", "label", "new_box", "expected", "note")
REQUIRED = ("path", "action")
ACTIONS = ("relabel", "delete", "move", "add")
_FORM = "UTF-8 text with a first line of the columns path, action and those needed of box, label, new_box, expected, note"
# What each action needs and must not have, for an image and for a box.
_NEEDS = {"relabel": {"label"}, "delete": set(), "move": {"box", "new_box"}, "add": {"label", "new_box"}}
_MAY = {"relabel": {"box", "label"}, "delete": {"box"}, "move": {"box", "new_box"}, "add": {"label", "new_box"}}


@dataclass(frozen=True)
class Correction:
    """One row: `line` counts from 1; `box` says which box is meant, `new_box` where one ought to be."""

    line: int
    path: str
    action: str
    box: Corners | None = None
    label: str | None = None
    new_box: Corners | None = None
    expected: str | None = None
    note: str = ""


def read(path: Path) -> tuple[list[Correction], list[Finding]]:
    """The rows of a corrections.csv, comma, semicolon or tab between its columns, and what is wrong with others.

    Raises nothing: a file that cannot be read at all is a finding.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        return [], [_unreadable(1, f"cannot be read as UTF-8 text ({error})", _FORM)]
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[Correction] = []
    found: list[Finding] = []
    try:
        columns = [name.strip().lower() for name in next(reader, [])]
        if (problem := _header_problem(columns)) is not None:
            return [], [_unreadable(1, problem, _FORM)]
        line = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                row = _row(line, columns, [cell.strip() for cell in cells])
                if isinstance(row, Finding):
                    found.append(row)
                else:
                    rows.append(row)
            line = reader.line_num + 1
    except csv.Error as error:
        found.append(_unreadable(reader.line_num, f"is no CSV from here on ({error})", "quotes that are closed"))
    return rows, found


def write(corrections: Iterable[Correction], path: Path) -> None:
    """Write rows in the form that `read` reads; their lines are not kept."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for one in corrections:
            cells = (one.path, one.action, _shown(one.box), one.label, _shown(one.new_box), one.expected, one.note)
            writer.writerow(["" if cell is None else cell for cell in cells])


def _header_problem(columns: list[str]) -> str | None:
    if missing := [name for name in REQUIRED if name not in columns]:
        return f"the first line names no column {' and '.join(missing)}: {', '.join(columns) or 'nothing'}"
    if unknown := [name or "(empty)" for name in columns if name not in COLUMNS]:
        return f"the first line names the unknown column {', '.join(unknown)}"
    return "the first line names a column twice" if len(set(columns)) < len(columns) else None


def _row(line: int, columns: list[str], cells: list[str]) -> Correction | Finding:
    if len(cells) > len(columns):
        return _unreadable(line, f"has {len(cells)} cells", f"{len(columns)} cells, as the first line names columns")
    row = {name: cell for name, cell in zip(columns, cells, strict=False) if cell}
    action = row.get("action", "").lower()
    if action not in ACTIONS:
        return _unreadable(line, f"has the action {row.get('action', '')!r}", f"one of {', '.join(ACTIONS)}")
    if "path" not in row:
        return _unreadable(line, "names no image", "the path of an image")
    given = set(row) & {"box", "label", "new_box"}
    if (missing := _NEEDS[action] - given) or (extra := given - _MAY[action]):
        found = f"lacks {' and '.join(sorted(missing))}" if missing else f"has {' and '.join(sorted(extra))}"
        needed = ", ".join(name for name in COLUMNS if name in _NEEDS[action]) or "path alone, or box"
        return _unreadable(line, f"{action} {found}", f"for {action}: {needed}")
    try:
        boxes = {name: _corners(row[name]) for name in ("box", "new_box") if name in row}
    except ValueError:
        shown = " and ".join(repr(row[name]) for name in ("box", "new_box") if name in row)
        return _unreadable(line, f"has the box {shown}", "x_min y_min x_max y_max, fractions 0..1 of the image, such as 0.1 0.2 0.4 0.6")
    path = row["path"].replace("\\", "/").removeprefix("./")
    texts = {name: row[name] for name in ("label", "expected", "note") if name in row}
    return Correction(line, path, action, boxes.get("box"), new_box=boxes.get("new_box"), **texts)


def _corners(text: str) -> Corners:
    """Raises ValueError for what is no box with an area inside the image."""
    x0, y0, x1, y1 = (float(part) for part in text.replace(",", " ").replace(";", " ").split())
    if not all(math.isfinite(value) and 0 <= value <= 1 for value in (x0, y0, x1, y1)) or x1 <= x0 or y1 <= y0:
        raise ValueError(text)
    return x0, y0, x1, y1


def _shown(corners: Corners | None) -> str:
    return "" if corners is None else " ".join(f"{value:.6g}" for value in corners)


def _unreadable(line: int, found: str, form: str) -> Finding:
    return finding("correction-unreadable", FILE, found, line, form=form)
