"""Label files as text, whatever editor wrote them: encodings recognised, sizes bounded, nothing guessed."""

import codecs
import stat
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

MIB = 1024 * 1024
LIMIT = 4 * MIB  # bytes of a label file of one image
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "label-bom"),
    (codecs.BOM_UTF32_LE, "utf-32-le", "label-utf16"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "label-utf16"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "label-utf16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "label-utf16"),
)
_HEAD = 64


class LabelError(Exception):
    """A label file, or a part of it, that cannot be used: `code` is one of the catalogue's, `found` what was seen, in words."""

    def __init__(self, code: str, found: str, line: int | None = None, **values: Any) -> None:
        """`values` complete the texts of the code."""
        super().__init__(found)
        self.code = code
        self.found = found
        self.line = line
        self.values = values


@dataclass(frozen=True)
class Text:
    """What a label file says, and the codes of what is odd about how it is written but did not hinder reading it."""

    text: str
    oddities: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The lines as an editor counts them: only CR and LF end one."""
        return self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def read_bytes(path: Path, limit: int = LIMIT) -> bytes:
    """A regular file of at most `limit` bytes. Raises LabelError."""
    try:
        _refuse(path, limit)
        return path.read_bytes()
    except OSError as error:
        raise LabelError("unreadable", f"cannot be read ({error.strerror})") from error


def _refuse(path: Path, limit: int) -> None:
    """Raise LabelError for what is no regular file, which might never end, and for what is too large."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise LabelError("unreadable", "is no regular file")
    if found.st_size > limit:
        raise LabelError("label-too-large", f"has {found.st_size / MIB:.1f} MiB", limit=limit / MIB)


def decode(data: bytes) -> Text:
    """UTF-8, or UTF-16 and UTF-32 where a mark or the pattern of zeros leaves no doubt. Raises LabelError, with the line."""
    codec, skip, odd = encoding(data[:_HEAD])
    try:
        text = data[skip:].decode(codec)
    except UnicodeDecodeError as error:
        line = data[: skip + error.start].count(b"\n") + 1
        raise LabelError("label-not-text", f"byte {skip + error.start} is not {codec.upper()} text", line) from error
    if "\0" in text:
        raise LabelError("label-not-text", "holds zero bytes", text[: text.index("\0")].count("\n") + 1)
    return Text(text, (*odd, "label-crlf") if "\r" in text else odd)


def open_text(path: Path, limit: int) -> tuple[IO[str], tuple[str, ...]]:
    """A large label file to be read piece by piece, and its oddities. Raises LabelError; reading may raise UnicodeDecodeError."""
    try:
        _refuse(path, limit)
        file = path.open("rb")
    except OSError as error:
        raise LabelError("unreadable", f"cannot be read ({error.strerror})") from error
    codec, skip, odd = encoding(file.read(_HEAD))
    file.seek(skip)
    return TextIOWrapper(file, encoding=codec, newline=""), odd


def encoding(head: bytes) -> tuple[str, int, tuple[str, ...]]:
    """The codec that a file's first bytes show, the length of its byte-order mark, and the codes to note."""
    for mark, codec, code in _MARKS:
        if head.startswith(mark):
            return codec, len(mark), (code,)
    pairs = head[: len(head) // 2 * 2]
    if len(pairs) >= 4 and not any(pairs[1::2]) and all(pairs[::2]):
        return "utf-16-le", 0, ("label-utf16",)
    if len(pairs) >= 4 and not any(pairs[::2]) and all(pairs[1::2]):
        return "utf-16-be", 0, ("label-utf16",)
    return "utf-8", 0, ()
