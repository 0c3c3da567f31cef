"""Which training goes first, and how many go at once."""

import threading
from types import TracebackType

from pipelines.settings import Model


def expected_work(model: Model) -> int:
    """Pixels that each training image costs, over all epochs: enough to tell a long training from a short one."""
    return int(model.train.epochs * (model.train_size or model.image_size) ** 2)


class Turns:
    """Turns of any number of workers, of whom `at_once` may work; they begin in the order in which `next` was asked."""

    def __init__(self, at_once: int) -> None:
        self.at_once = at_once
        self.given = 0
        self.ended = 0
        self.working = 0
        self.changed = threading.Condition()

    def next(self) -> "Turn":
        """The turn after those asked for before."""
        self.given += 1
        return Turn(self, self.given - 1)


class Turn:
    """One worker's turn: entering waits for it, and may be done again after an exit, as a retry does."""

    def __init__(self, turns: Turns, rank: int) -> None:
        self.turns = turns
        self.rank = rank

    def __enter__(self) -> None:
        """Wait until it is this worker's turn and one may work."""
        turns = self.turns
        with turns.changed:
            turns.changed.wait_for(lambda: self.rank < turns.ended + turns.at_once and turns.working < turns.at_once)
            turns.working += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Let the next one begin."""
        with self.turns.changed:
            self.turns.working -= 1
            self.turns.ended += 1
            self.turns.changed.notify_all()
