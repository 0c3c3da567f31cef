"""Making things on a server that may do what it is asked and lose the answer."""

import time
from collections.abc import Callable
from typing import TypeVar

from pipelines.tracking.store import patience

T = TypeVar("T")

REQUEST_SECONDS = 30
ATTEMPTS = 3
PAUSE_SECONDS = 0.5


def once(find: Callable[[], T | None], create: Callable[[], T]) -> T:
    """What `find` finds, or else what `create` makes.

    A request to create is never repeated blindly, as MLflow's client would: after one that failed it is looked whether
    the thing was made all the same. Raises what the last attempt raised.
    """
    for attempt in range(ATTEMPTS):
        if (found := find()) is not None:
            return found
        try:
            with patience(REQUEST_SECONDS, 0):
                return create()
        except Exception:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(PAUSE_SECONDS)
    raise AssertionError("unreachable")
