"""Batches made ahead: in order, no further ahead than said, and no thread left behind however it ends."""

import itertools
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.train.feed import LOOK_AHEAD, prefetched


def feeders() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("feed")]


@settings(max_examples=25, deadline=None)
@given(numbers=st.lists(st.integers(0, 9), max_size=30), threads=st.integers(1, 5))
def test_every_number_comes_once_and_in_order_whichever_is_done_first(numbers, threads):
    def slow_first(number: int) -> int:
        time.sleep(0.0002 * (9 - number))
        return number * number

    assert list(prefetched(slow_first, numbers, threads)) == [number * number for number in numbers]
    assert not feeders()


@pytest.mark.parametrize("threads", [1, 3])
def test_no_more_is_made_ahead_than_said(threads):
    begun = []
    for place, _ in enumerate(itertools.islice(prefetched(lambda number: begun.append(number), itertools.count(), threads), 20), start=1):
        time.sleep(0.002)
        assert place <= len(begun) <= place + LOOK_AHEAD * threads


def test_batches_are_made_by_several_threads_while_another_is_used():
    together = threading.Barrier(3, timeout=10)
    feed = prefetched(lambda number: together.wait() >= 0, range(6), 3)
    assert list(feed) == [True] * 6


def test_what_goes_wrong_is_raised_where_its_batch_would_have_come():
    def third_fails(number: int) -> int:
        if number == 2:
            raise ValueError("number 2")
        return number

    feed = prefetched(third_fails, range(100), 4)
    assert [next(feed), next(feed)] == [0, 1]
    with pytest.raises(ValueError, match="number 2"):
        next(feed)
    assert next(feed, "over") == "over"
    assert not feeders()


def test_closing_early_leaves_no_thread_and_begins_nothing_more():
    begun = []
    feed = prefetched(lambda number: begun.append(number), itertools.count(), 3)
    next(feed)
    feed.close()
    made = len(begun)
    assert made <= 1 + LOOK_AHEAD * 3 and not feeders()
    time.sleep(0.02)
    assert len(begun) == made


def test_an_exception_in_the_loop_that_consumes_ends_the_threads():
    with pytest.raises(KeyError):
        for _ in prefetched(lambda number: number, range(50), 2):
            raise KeyError
    assert not feeders()


def test_waiting_costs_no_processor_time():
    start = time.process_time()
    feed = prefetched(lambda number: time.sleep(0.3), range(2), 2)
    list(feed)
    assert time.process_time() - start < 0.15
