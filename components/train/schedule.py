"""Learning rates over a training, and whether an epoch was better than the best so far."""

import keras


def learning_rate(schedule: str, peak: float, steps: int, warmup_steps: int) -> keras.optimizers.schedules.LearningRateSchedule | float:
    """`cosine` warms up linearly from a tenth of the peak, then falls to zero (SGDR, arXiv:1608.03983) after `steps`;
    the other schedules hold the peak (`plateau` is lowered by a callback while training).
    """
    if schedule != "cosine":
        return peak
    warmup = min(warmup_steps, max(steps - 1, 0))
    if warmup == 0:
        return keras.optimizers.schedules.CosineDecay(peak, max(steps, 1))
    return keras.optimizers.schedules.CosineDecay(peak / 10, max(steps - warmup, 1), warmup_target=peak, warmup_steps=warmup)


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
