"""A wish to stop, remembered until the training has saved what it has."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

log = logging.getLogger(__name__)

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_SECONDS = 3.0  # Ctrl-C reaches a stage twice: from the terminal, and from the run that ends its stages


@contextmanager
def remembered() -> Iterator[Callable[[], bool]]:
    """A function that says whether SIGINT or SIGTERM has come; one more after 3 seconds interrupts at once.

    Outside the main thread, where Python knows no signals, it always says no.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    came: list[float] = []

    def wish(_number: int, _frame: FrameType | None) -> None:
        if came and time.monotonic() - came[0] > PATIENCE_SECONDS:
            raise KeyboardInterrupt
        if not came:
            log.info("stopping: the training is saved first, and goes on from there when it is run again")
        came.append(time.monotonic())

    before = {number: signal.signal(number, wish) for number in SIGNALS}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
