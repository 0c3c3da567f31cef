"""What a model costs in memory on this machine."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import keras
import numpy as np
import psutil

from components.predict import load_model

STATUS, CLEAR_PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def load_measured(path: Path, image_size: int) -> tuple[keras.Model, float]:
    """`load_model`, and the megabytes (10^6 bytes) by which this process grew at most while it loaded and looked at one image."""
    with peak_memory() as grown:
        model = load_model(path)
        model.predict_on_batch(np.zeros((1, image_size, image_size, 3), np.uint8))
    return model, grown() / 1e6


@contextmanager
def peak_memory() -> Iterator[Callable[[], int]]:
    """How many bytes more than at its beginning this process held in memory, at most, within the block.

    Linux forgets the peak so far when asked to; elsewhere what an earlier, higher peak hides is not seen.
    """
    with suppress(OSError):
        CLEAR_PEAK.write_text("5")
    before = psutil.Process().memory_info().rss
    peaks: list[int] = []
    yield lambda: max(0, peaks[0] - before)
    peaks.append(_peak())


def _peak() -> int:
    with suppress(OSError, StopIteration):
        line = next(line for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
