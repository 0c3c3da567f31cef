"""What a scan tells about a dataset: each finding names a file, a line, what was found, what was expected and the remedy."""

from collections.abc import Sequence
from dataclasses import dataclass

from components.data.codes import corrections, files, labels, sets
from components.data.codes.code import BAD, NOTE, Code
from components.data.decode import DecodeError

__all__ = ["BAD", "CODES", "NOTE", "Finding", "bad", "finding", "in_words"]

CODES: dict[str, Code] = {**files.CODES, **labels.CODES, **corrections.CODES, **sets.CODES}


@dataclass(frozen=True)
class Finding:
    """Something about a dataset its owner should know.

    `file` is a POSIX path relative to the dataset, `line` counts from 1 (None: the file as a whole). `severity` is
    "bad" for what had to be left out, "note" for what had not.
    """

    file: str
    line: int | None
    code: str
    found: str
    expected: str
    remedy: str
    severity: str

    @property
    def where(self) -> str:
        """`file`, or `file:line`."""
        return self.file if self.line is None else f"{self.file}:{self.line}"


def finding(code: str, file: str, found: str, line: int | None = None, **values: object) -> Finding:
    """A finding of a known code, its texts completed with `values`. Raises KeyError for a code or value that is missing."""
    kind = CODES[code]
    return Finding(file, line, code, found, kind.expected.format(**values), kind.remedy.format(**values), kind.severity)


def in_words(error: DecodeError) -> str:
    """What was found in an image that could not be decoded, what was expected, and the remedy."""
    one = finding(error.code, "", error.found, **error.values)
    return f"{one.found}, expected {one.expected}; {one.remedy}"


def bad(findings: Sequence[Finding]) -> list[Finding]:
    """Those findings that left something out and that someone should mend."""
    return [one for one in findings if one.severity == BAD]
