"""A CSV file row by row, each with its line: separator recognised, encoding and size watched."""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from components.data.formats.csv_columns import Columns, recognise
from components.data.formats.text import LabelError, open_text
from components.data.formats.tree import Tree

LIMIT = 256 * 1024 * 1024  # bytes
_SAMPLE = 1000  # rows that decide what the columns are
_LINE = 65_536  # characters of a line that are looked at for separators
_SEPARATORS = ",;\t|"
_FORM = "rows of one length, texts with separators in double quotes"


@dataclass(frozen=True)
class Table:
    """A CSV file, recognised: `oddities` are codes of how it is written, `header` its names, `sample` its first rows of data."""

    path: str
    separator: str
    columns: Columns
    oddities: tuple[str, ...]
    header: list[str]
    sample: list[list[str]]


def look(tree: Tree, path: str, is_image: Callable[[str], bool]) -> Table | None:
    """Recognise a file by its first rows; None when it is no table of labels. Raises LabelError when it cannot be read."""
    for separator in _by_frequency(tree, path):
        odd, rows = read(tree, path, separator)
        sample = [row for _, row in islice(rows, _SAMPLE) if isinstance(row, list)]
        columns = recognise(sample, is_image)
        if columns is not None:
            return Table(path, separator, columns, odd, sample[0] if columns.header else [], sample[columns.header :])
    return None


def read(tree: Tree, path: str, separator: str) -> tuple[tuple[str, ...], Iterator[tuple[int, list[str] | LabelError]]]:
    """The file's oddities and its rows that are not blank, each with its line; a row that cannot be read is a LabelError.

    Raises LabelError, also while the rows are iterated, when the file as a whole cannot be read.
    """
    file, odd = open_text(tree.root / path, LIMIT)

    def rows() -> Iterator[tuple[int, list[str] | LabelError]]:
        with file:
            reader = csv.reader(file, delimiter=separator)
            while True:
                line = reader.line_num + 1
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error as error:
                    yield line, LabelError("label-unreadable", f"is no row of CSV ({error})", line, form=_FORM)
                except UnicodeDecodeError as error:
                    raise LabelError("label-not-text", f"is not {error.encoding.upper()} text", line) from None
                else:
                    if any(map(str.strip, row)):
                        yield line, row

    return odd, rows()


def _by_frequency(tree: Tree, path: str) -> list[str]:
    """The separators that occur in the first line, the most frequent first; a comma where there are none."""
    file, _ = open_text(tree.root / path, LIMIT)
    with file:
        try:
            first = next(filter(str.strip, (file.readline(_LINE) for _ in range(100))), "")
        except UnicodeDecodeError as error:
            raise LabelError("label-not-text", f"is not {error.encoding.upper()} text", 1) from None
    return sorted((one for one in _SEPARATORS if one in first), key=first.count, reverse=True) or [","]
