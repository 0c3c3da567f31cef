import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from components.data import workers
from components.data.workers import Failure, work
from tests.project import environment

OBEY = "tests.components.data.hostile:obey"


@pytest.fixture
def orders(tmp_path: Path) -> Callable[..., list[str]]:
    """Files that hold an order each."""

    def write(*words: str) -> list[str]:
        paths = [tmp_path / f"{number}" for number in range(len(words))]
        for path, word in zip(paths, words, strict=True):
            path.write_text(word)
        return [str(path) for path in paths]

    return write


def answers(function: str, items: list[str], count: int = 2) -> dict[int, object]:
    got = list(work(function, items, count))
    assert len(got) == len(items), "each is answered once"
    return dict(got)


def test_nothing_to_do_starts_nothing() -> None:
    assert answers("no.such:function", []) == {}


def test_every_item_is_answered_whatever_the_number_of_processes(orders: Callable[..., list[str]]) -> None:
    items = orders(*(f"word {number}" for number in range(150)))
    assert answers(OBEY, items, 3) == {number: f"word {number}" for number in range(150)}


def test_what_ends_a_process_fails_alone(orders: Callable[..., list[str]]) -> None:
    items = orders(*["fine"] * 40, "crash", *["fine"] * 10, "leave", "crash", *["fine"] * 40)
    got = answers(OBEY, items)
    failed = {index: answer for index, answer in got.items() if answer != "fine"}
    assert {index: answer.reason for index, answer in failed.items() if isinstance(answer, Failure)} == {
        40: "crashed",
        51: "crashed",
        52: "crashed",
    }


@pytest.mark.parametrize(("order", "limit"), [("spin", "CPU_SECONDS"), ("sleep", "WALL_SECONDS")])
def test_what_does_not_end_is_ended(order: str, limit: str, orders: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_START", f"import components.data.workers as w; w.{limit} = 0.5; " + workers._START)
    begun = time.monotonic()
    got = answers(OBEY, orders("fine", order, "fine"), 1)
    assert time.monotonic() - begun < 30
    assert isinstance(got[1], Failure) and got[1].reason == "too-slow"
    assert (got[0], got[2]) == ("fine", "fine")


def test_memory_is_limited_and_something_large_gets_more_alone(orders: Callable[..., list[str]]) -> None:
    got = answers(OBEY, orders("hoard", "large", "fine"), 1)
    assert isinstance(got[0], Failure) and got[0].reason == "out-of-memory"
    assert (got[1], got[2]) == (1, "fine")


def test_heavy_work_is_done_by_one_process_at_a_time(orders: Callable[..., list[str]]) -> None:
    held = sorted(answer for _, answer in work("tests.components.data.hostile:held", orders("x") * 40, 2))
    assert len({process for _, _, process in held}) == 2
    assert all(before[1] <= after[0] for before, after in pairwise(held))


def test_what_native_code_writes_is_heard_once_and_not_shown(orders: Callable[..., list[str]], capfd: pytest.CaptureFixture[str]) -> None:
    assert answers(OBEY, orders("noise"), 1) == {0: ("a decoder complains\n", "")}
    assert capfd.readouterr().err == ""


def test_a_function_that_does_not_exist_is_an_error_of_ours(orders: Callable[..., list[str]]) -> None:
    with pytest.raises(RuntimeError, match="no_such"):
        list(work("components.data.no_such:thing", orders("fine"), 1))


def test_a_process_ends_when_the_one_that_started_it_is_killed(orders: Callable[..., list[str]]) -> None:
    code = (
        "import os, psutil, signal; from components.data.workers import work\n"
        f"answers = work({OBEY!r}, {orders('fine')!r}, 1); next(answers)\n"
        "print(psutil.Process().children()[0].pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), stdout=subprocess.PIPE, text=True, check=False)
    child = int(done.stdout)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(child)
