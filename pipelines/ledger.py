"""The append-only record of every promotion, refusal and rollback on this machine: one JSON object a line."""

import json
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)


class Ledger:
    """Lines are only ever added, and are on the disk when `append` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Add the entry, with its time (UTC, ISO 8601), and answer it."""
        stamped = {"at": datetime.now(UTC).isoformat(timespec="seconds"), **entry}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(descriptor, (self._mend(descriptor) + json.dumps(stamped, sort_keys=True) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        return stamped

    def entries(self, task: str) -> list[dict[str, Any]]:
        """The task's entries, oldest first; a line cut short by a crash is left out, with a warning."""
        return [entry for entry in self._all() if entry.get("task") == task]

    def _all(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        for number, line in enumerate(self.path.read_text("utf-8", errors="replace").splitlines(), start=1):
            try:
                yield json.loads(line)
            except ValueError:
                LOG.warning("%s line %d was cut short and is left out", self.path, number)

    @staticmethod
    def _mend(descriptor: int) -> str:
        size = os.fstat(descriptor).st_size
        return "\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else ""
