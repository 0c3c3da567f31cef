"""Batches made ahead of a training by threads, in the order in which they are wanted."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

LOOK_AHEAD = 2  # batches a thread: one being made, one waiting
Batch = TypeVar("Batch")


def prefetched(source: Callable[[int], Batch], numbers: Iterable[int], threads: int) -> Generator[Batch, None, None]:
    """`source(number)` of each number, in order, made by `threads` threads that are LOOK_AHEAD batches each in front.

    `numbers` may be endless. What `source` raises is raised where its batch would have come, and ends the iteration.
    Closing the generator early drops what has not begun, waits for what has, and leaves no thread.
    """
    wanted = iter(numbers)
    with ThreadPoolExecutor(max(threads, 1), thread_name_prefix="feed") as pool:
        ahead: deque[Future[Batch]] = deque(pool.submit(source, number) for number in islice(wanted, made_ahead(threads)))
        try:
            while ahead:
                batch = ahead.popleft().result()
                ahead.extend(pool.submit(source, number) for number in islice(wanted, 1))
                yield batch
        finally:
            for future in ahead:
                future.cancel()


def made_ahead(threads: int) -> int:
    """How many batches may be under way, or made, beyond the one that was asked for last."""
    return LOOK_AHEAD * max(threads, 1)
