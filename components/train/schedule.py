"""Learning rates over a training, and whether an epoch was better than the best so far.

Every schedule is a function of the share of a phase that is done, 0..1, whatever it is counted in (steps, or seconds
of a budget), and of the share that warms up; it answers a factor of the peak learning rate, 0..1.
"""

import math
from collections.abc import Callable

START = 0.1  # of the peak, where a warm-up begins
ONE_CYCLE_START, ONE_CYCLE_END = 1 / 25, 1 / 25e4
PLATEAU_FACTOR = 0.1


def cosine(done: float, warm: float) -> float:
    """Up in a line from a tenth, then half a cosine to zero: SGDR without restarts (https://arxiv.org/abs/1608.03983)."""
    return 0.5 * (1 + math.cos(math.pi * _cooled(done, warm))) if done >= warm else _warmed(done, warm)


def linear(done: float, warm: float) -> float:
    """Up in a line from a tenth, then down in a line to zero."""
    return 1 - _cooled(done, warm) if done >= warm else _warmed(done, warm)


def constant(done: float, warm: float) -> float:
    """Up in a line from a tenth, then the peak; `plateau` is this one, lowered by Plateau."""
    return 1.0 if done >= warm else _warmed(done, warm)


def one_cycle(done: float, warm: float) -> float:
    """From 1/25 up and down to 1/250,000, both by half a cosine (https://arxiv.org/abs/1708.07120, as PyTorch has it)."""
    if done < warm:
        return _between(ONE_CYCLE_START, 1.0, done / warm)
    return _between(1.0, ONE_CYCLE_END, _cooled(done, warm))


def _warmed(done: float, warm: float) -> float:
    return START + (1 - START) * done / warm


def _cooled(done: float, warm: float) -> float:
    return min((done - warm) / (1 - warm), 1.0) if warm < 1 else 1.0


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * share))


SCHEDULES: dict[str, Callable[[float, float], float]] = {
    "cosine": cosine,
    "linear": linear,
    "one_cycle": one_cycle,
    "constant": constant,
    "plateau": constant,
}


class Patience:
    """Counts epochs without improvement of a value that should fall, such as the validation loss."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.best = float("inf")
        self.best_epoch = -1
        self.waited = 0

    def improved(self, epoch: int, value: float) -> bool:
        """Whether this epoch is the best so far; a value that is no number never is."""
        if value < self.best:
            self.best, self.best_epoch, self.waited = value, epoch, 0
            return True
        self.waited += 1
        return False

    @property
    def exhausted(self) -> bool:
        """Whether it is time to stop."""
        return self.epochs > 0 and self.waited >= self.epochs


class Plateau:
    """A factor that falls to a tenth whenever a value has not fallen for `epochs` epochs in a row; 0 epochs: never."""

    def __init__(self, epochs: int) -> None:
        self.patience = Patience(epochs)
        self.factor = 1.0

    def heard(self, epoch: int, value: float) -> None:
        """Take note of an epoch's value."""
        self.patience.improved(epoch, value)
        if self.patience.exhausted:
            self.factor *= PLATEAU_FACTOR
            self.patience.waited = 0
