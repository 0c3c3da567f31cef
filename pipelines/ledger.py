"""The append-only record of every promotion, refusal and rollback: one JSON object a line, each holding the hash of the one before.

Whoever edits, removes, adds or reorders an entry breaks the chain at that entry. Its end is noted in the registry itself (`Mark`), so
that entries missing at the end are found too. Lines written before there was a chain carry no hash; the first that does binds them.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)

START = "0" * 64  # what the very first entry follows


@dataclass(frozen=True)
class Mark:
    """An entry of the ledger, by its number from 1 and its SHA-256, as the registry remembers it."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number} {self.hash}"

    @staticmethod
    def read(text: str) -> "Mark | None":
        """The mark that `str` wrote; None for what is none."""
        found = re.fullmatch(r"(\d+) ([0-9a-f]{64})", text)
        return Mark(int(found[1]), found[2]) if found else None


NOTHING = Mark(0, START)


def digest(entry: Mapping[str, Any]) -> str:
    """SHA-256 of the entry without its own `hash`, as JSON with sorted keys and no spaces (ASCII)."""
    rest = {name: value for name, value in entry.items() if name != "hash"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


class Ledger:
    """The ledger of an embedded store, a file: lines are only ever added, and are on the disk when `append` returns.

    Only the holder of the promoters' lock may append.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: Mapping[str, Any], known: Mark = NOTHING) -> dict[str, Any]:
        """Add the entry with its number, time (UTC, ISO 8601) and the hash of the one before, and answer it.

        `known` is the last entry that the registry remembers: numbers go on from there even if the ledger was lost.
        Raises ServiceError when a server already holds an entry of that number: this promoter has lost its turn.
        """
        lines = self._lines()
        last = max(_end(lines), known, key=lambda mark: mark.number)
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        stamped = {"at": at, **entry, "number": last.number + 1, "previous": last.hash}
        # Through JSON and back: what is answered is what any later reader sees.
        stamped = json.loads(json.dumps({**stamped, "hash": digest(stamped)}))
        self._write(last.number + 1, json.dumps(stamped, sort_keys=True))
        return dict(stamped)

    def entries(self, task: str) -> list[dict[str, Any]]:
        """The task's entries, oldest first; what is wrong with the ledger is warned of."""
        lines = self._lines()
        for fault in faults(lines):
            LOG.warning("the ledger is not as it was written: %s", fault)
        return [entry for entry in map(_parsed, lines) if entry is not None and entry.get("task") == task]

    def verify(self, marks: Sequence[Mark] = ()) -> list[str]:
        """What is wrong with the ledger, in words; nothing when every entry is as it was written. `marks`: what the registry remembers."""
        return list(faults(self._lines(), marks))

    def _lines(self) -> list[str]:
        return self.path.read_text("utf-8", errors="replace").splitlines() if self.path.exists() else []

    def _write(self, _number: int, line: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (_mend(descriptor) + line + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _mend(descriptor: int) -> str:
    """A line break where the last append was cut short."""
    size = os.fstat(descriptor).st_size
    return "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def voided(entries: Sequence[Mapping[str, Any]]) -> set[int]:
    """The numbers of those that a later entry has made void."""
    return {entry["of"] for entry in entries if entry["event"] == "void"}


def _end(lines: Sequence[str]) -> Mark:
    """The entry that the next one follows: the last of the chain, or all that was written before there was one."""
    for line in reversed(lines):
        entry = _parsed(line)
        if entry is not None and "hash" in entry:
            return Mark(int(entry["number"]), str(entry["hash"]))
    return Mark(0, _bound(lines))


def _bound(lines: Sequence[str]) -> str:
    unchained = [line for line in lines if _parsed(line) is not None]
    return hashlib.sha256("\n".join(unchained).encode()).hexdigest() if unchained else START


def faults(lines: Sequence[str], marks: Sequence[Mark] = ()) -> Iterator[str]:
    """Everything by which these lines differ from what was written, each naming its entry; `marks` must be among them."""
    before: list[str] = []
    last: Mark | None = None
    hashes: dict[int, str] = {}
    for position, line in enumerate(lines, start=1):
        entry = _parsed(line)
        if entry is None:
            yield f"line {position} was cut short, by a crash or by somebody: it counts for nothing"
        elif "hash" not in entry:
            if last is not None:
                yield f"line {position} ({_named(entry)}) has no hash: it was not written by a promotion"
            before.append(line)
        else:
            last = last or Mark(0, _bound(before))
            yield from _misfit(entry, last)
            last = Mark(int(entry.get("number", 0)), str(entry["hash"]))
            hashes[last.number] = last.hash
    end = max(hashes, default=0)
    for mark in marks:
        if mark.number > end:
            yield f"entries {end + 1} to {mark.number} are missing at the end: the registry remembers entry {mark.number}"
        elif hashes.get(mark.number, mark.hash) != mark.hash:
            yield f"entry {mark.number} was replaced: the registry remembers another"


def _misfit(entry: Mapping[str, Any], last: Mark) -> Iterator[str]:
    number, named = int(entry.get("number", 0)), _named(entry)
    if digest(entry) != entry["hash"]:
        yield f"entry {number} ({named}) was edited: its content does not have its hash"
    if number > last.number + 1:
        missing = f"entry {last.number + 1} is" if number == last.number + 2 else f"entries {last.number + 1} to {number - 1} are"
        yield f"{missing} missing before entry {number} ({named})"
    elif number <= last.number:
        yield f"entry {number} ({named}) stands after entry {last.number}: moved or repeated"
    elif entry.get("previous") != last.hash:
        what = f"entry {last.number}" if last.number else "what stands before the first entry"
        yield f"{what} is not what entry {number} ({named}) was written after: edited or replaced"


def _named(entry: Mapping[str, Any]) -> str:
    about = (entry.get("at"), entry.get("task"), entry.get("verdict", entry.get("event")))
    return ", ".join(str(part) for part in about if part)
