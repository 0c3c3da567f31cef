"""A large JSON file, one element of its lists at a time, each with its line: memory holds a piece, never the file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from components.data.formats.text import LabelError, open_text

LIMIT = 1024 * 1024 * 1024  # bytes: COCO's own largest file has 450 MB
_CHUNK = 1024 * 1024
_ELEMENT_LIMIT = 64 * 1024 * 1024  # characters of one element
_FORM = "a JSON object with the lists images, annotations and categories"
_BLANK = " \t\n\r"
_AFTER = tuple(",]}: \t\n\r")
_CUT = 16  # characters: what goes wrong nearer to the end of a piece may be a word or number cut in two


class Element(NamedTuple):
    """An element of one of the lists of the top object: the list's name, its place in it (from 0), its line, its value."""

    name: str
    number: int
    line: int
    value: Any


def elements(path: Path, names: tuple[str, ...], limit: int = LIMIT) -> tuple[tuple[str, ...], Iterator[Element]]:
    """How oddly the file is written, and the elements of the named lists of its top object; everything else is passed over.

    Raises LabelError, at once or while it is iterated, for what cannot be read, is no JSON, nests too deeply, or names
    a list twice.
    """
    file, odd = open_text(path, limit)
    return odd, _elements(_Reader(file), names)


def _elements(reader: "_Reader", names: tuple[str, ...]) -> Iterator[Element]:
    with reader.file:
        try:
            reader.expect("{")
            seen = set()
            while (key := reader.key()) is not None:
                if key in seen:
                    raise reader.error(f"holds {key!r} twice")
                seen.add(key)
                if key in names and reader.peek() == "[":
                    yield from reader.list_of(key)
                elif key in names:
                    raise reader.error(f"holds no list as {key!r}")
                else:
                    reader.value()
            if reader.peek():
                raise reader.error("goes on after its end")
        except RecursionError:
            raise LabelError("label-too-deep", "nests too deeply", reader.line, limit=1000) from None
        except UnicodeDecodeError as error:
            raise LabelError("label-not-text", f"is not {error.encoding.upper()} text", reader.line) from None


class _Reader:
    """A window over the text: `buffer` from `at` on is not read yet."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file
        self.buffer = ""
        self.at = 0
        self.line = 1
        self._decoder = json.JSONDecoder()
        self._ended = False

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self.at < len(self.buffer):
                if (found := self.buffer[self.at]) not in _BLANK:
                    return found
                self._advance(self.at + 1)
            if not self._more(_CHUNK):
                return ""

    def expect(self, character: str) -> None:
        if (found := self.peek()) != character:
            raise self.error(f"has {found!r} where {character!r} should stand" if found else f"ends where {character!r} should stand")
        self._advance(self.at + 1)

    def key(self) -> str | None:
        """The next key of the top object, its colon passed; None at its end."""
        if self.peek() == ",":
            self.expect(",")
        elif self.peek() == "}":
            self.expect("}")
            return None
        if self.peek() != '"':
            self.expect('"')
        name = str(self.value())
        self.expect(":")
        return name

    def list_of(self, name: str) -> Iterator[Element]:
        self.expect("[")
        index = 0
        while self.peek() != "]":
            line = self.line
            yield Element(name, index, line, self.value())
            index += 1
            if self.peek() != "]":
                self.expect(",")
                if self.peek() == "]":
                    raise self.error("has a comma before ']'")
        self.expect("]")

    def value(self) -> Any:
        """The next value; read on until it is complete, twice as much each time."""
        self.peek()
        wanted = _CHUNK
        while True:
            try:
                value, end = self._decoder.raw_decode(self.buffer, self.at)
                if self._ended or len(self.buffer) - end > _CUT or self.buffer[end : end + 1] in _AFTER:
                    self._advance(end)
                    return value
            except ValueError as error:
                if self._ended or (len(self.buffer) - getattr(error, "pos", 0) > _CUT and not str(error).startswith("Unterminated string")):
                    raise self._invalid(error) from None
            if len(self.buffer) - self.at > _ELEMENT_LIMIT:
                raise LabelError(
                    "label-too-large", f"has an element of {_ELEMENT_LIMIT >> 20} MiB, or is not valid JSON", self.line, limit=64
                )
            self._more(wanted)
            wanted *= 2

    def error(self, found: str) -> LabelError:
        return LabelError("label-unreadable", f"is not valid JSON: it {found}", self.line, form=_FORM)

    def _invalid(self, error: ValueError) -> LabelError:
        if isinstance(error, json.JSONDecodeError):
            line = self.line + self.buffer.count("\n", self.at, error.pos)
            return LabelError("label-unreadable", f"is not valid JSON ({error.msg})", line, form=_FORM)
        return LabelError("label-unreadable", f"is not valid JSON ({error})"[:200], self.line, form=_FORM)

    def _advance(self, to: int) -> None:
        self.line += self.buffer.count("\n", self.at, to)
        self.at = to

    def _more(self, wanted: int) -> bool:
        piece = "" if self._ended else self.file.read(wanted)
        self._ended = not piece
        self.buffer, self.at = self.buffer[self.at :] + piece, 0
        return bool(piece)
