"""Functions for `components.data.workers` that do what a broken decoder may do, as the file's text asks."""

import ctypes
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from components.data import facts
from components.data.workers import Guard


def measure(item: str, guard: Guard) -> facts.Facts:
    obey(item, guard)
    return facts.measure(Path(item), guard)


def obey(item: str, guard: Guard) -> Any:
    order = Path(item).read_bytes()[:40].decode("ascii", errors="replace")
    if order == "crash":
        ctypes.string_at(0)
    if order == "leave":
        os._exit(3)
    if order == "spin":
        while True:
            sum(range(10**9))
    if order == "sleep":
        time.sleep(600)
    if order == "hoard":
        return np.ones(2 << 30, np.uint8).sum()
    if order == "large":  # more than a process may at first, less than the one that works on something huge
        return int(np.ones(600 << 20, np.uint8)[-1])
    if order == "noise":
        os.write(2, b"a decoder complains\n")
        return guard.heard(), guard.heard()
    return order


def held(item: str, guard: Guard) -> tuple[float, float, int]:
    """From when to when this process held the lock of heavy work."""
    with guard.heavy():
        start = time.monotonic()
        time.sleep(0.01)
        return start, time.monotonic(), os.getpid()
