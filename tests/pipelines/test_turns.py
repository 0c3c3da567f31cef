"""Who may begin, whatever order the workers arrive in."""

import threading
import time

import pytest

from pipelines import settings
from pipelines.turns import Turns, expected_work
from tests.imports import ROOT


@pytest.mark.parametrize("at_once", [1, 2, 3])
@pytest.mark.parametrize("arrival", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]])
def test_they_begin_in_the_order_asked_and_no_more_at_once(at_once: int, arrival: list[int]) -> None:
    turns = Turns(at_once)
    waiting = [turns.next() for _ in range(5)]
    begun: list[int] = []
    at_work: list[int] = []

    def work(number: int) -> None:
        with waiting[number]:
            begun.append(number)
            at_work.append(turns.working)
            time.sleep(0.02)

    threads = [threading.Thread(target=work, args=(number,)) for number in arrival]
    for thread in threads:
        thread.start()
        time.sleep(0.005)
    for thread in threads:
        thread.join(timeout=10)
    assert sorted(begun) == [0, 1, 2, 3, 4] and max(at_work) <= at_once
    # The n-th to begin is one of the first n + at_once - 1 asked for: with one at a time, exactly the n-th.
    assert all(number < place + at_once for place, number in enumerate(begun))


def test_a_worker_that_failed_lets_the_next_begin_and_may_try_again() -> None:
    turns = Turns(1)
    first, second = turns.next(), turns.next()
    with pytest.raises(ValueError, match="broken"), first:
        raise ValueError("broken")
    with second:
        pass
    with first:
        assert turns.working == 1


def test_the_sample_s_longest_training_is_expected_to_be_the_transfer_detector() -> None:
    models = settings.load(ROOT / "params.yaml").models
    assert sorted(models, key=lambda name: -expected_work(models[name])) == ["yolo_lite0", "yolo", "efficientnet_lite0", "cnn"]
