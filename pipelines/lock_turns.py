"""The promoters' lock where there is only an MLflow server: turns, numbered on the server, of which the last is the holder's.

Turn n + 1 may be taken when turn n was ended, or was not renewed for a while by the watcher's own clock; no two machines' clocks are
compared. Of two who take it at once, one gets it (see `SharedLog`). A holder that finds a later turn has lost its own.
"""

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from components.errors import ServiceError
from pipelines.locks import Check, busy, owner
from pipelines.shared_log import SharedLog
from pipelines.tracking.store import Store

log = logging.getLogger(__name__)

RENEW_SECONDS = 1.5
STALE_SECONDS = 6.0
POLL_SECONDS = 0.5
LAST_RENEWED, ENDED = "renewed", "ended"


@contextmanager
def turns_lock(store: Store, seconds: float) -> Iterator[Check]:
    """Hold the last turn. Raises ServiceError, naming the holder, when none can be had within `seconds`."""
    turns = SharedLog(store, "turns")
    mine = _take(turns, seconds)
    renewed, over = [time.monotonic()], threading.Event()

    def renew() -> None:
        count = 0
        while not over.wait(RENEW_SECONDS):
            count += 1
            try:
                if max(turns.read()[0]) != mine:
                    return
                turns.note(LAST_RENEWED, f"{mine} {count}")
                renewed[0] = time.monotonic()
            except Exception as error:  # the server may be back for the next one
                log.debug("turn %d was not renewed: %s", mine, error)

    def check() -> None:
        later = max(turns.read()[0])
        if later != mine or time.monotonic() - renewed[0] > STALE_SECONDS:
            raise ServiceError(f"turn {mine} of the promoters was lost: it was not renewed in time (the last one is {later})")

    thread = threading.Thread(target=renew, name="renew-turn", daemon=True)
    thread.start()
    try:
        yield check
    finally:
        over.set()
        thread.join()
        try:
            turns.note(ENDED, str(mine))
        except Exception as error:
            log.warning("the end of turn %d could not be told (%s): the next promoter waits %g s for it", mine, error, STALE_SECONDS)


def _take(turns: SharedLog, seconds: float) -> int:
    start = time.monotonic()
    seen: tuple[int, str | None] = (-1, None)
    since = start
    while True:
        lines, notes = turns.read()
        last = max(lines, default=0)
        now = time.monotonic()
        if (last, notes.get(LAST_RENEWED)) != seen:
            seen, since = (last, notes.get(LAST_RENEWED)), now
        # An earlier holder that wakes may note the end of its turn late: only the number of the last one counts.
        free = last == 0 or notes.get(ENDED) == str(last) or now - since > STALE_SECONDS
        if free and turns.write(last + 1, f"{owner()}, turn {time.time_ns()}"):
            return last + 1
        if now - start > seconds:
            raise busy(f"turn {last} of the promoters at {turns.store.uri}", lines.get(last, "").partition(",")[0], seconds)
        if not free:
            time.sleep(POLL_SECONDS)
