"""Learning rates over a training, and whether an epoch was better than the best so far."""

import math
from typing import Any

import keras
from keras import ops


class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """Linear from a tenth of `peak` to `peak` over `warmup_steps`, then half a cosine to zero at `steps`.

    SGDR without restarts (arXiv:1608.03983). Keras' CosineDecay gives the same numbers by a conditional, which an
    optimizer puts into the graph once a variable: tracing a network of 170 variables took seconds longer.
    """

    def __init__(self, peak: float, steps: int, warmup_steps: int) -> None:
        self.peak = peak
        self.steps = steps
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        """The learning rate of a step, counted from 0."""
        done = ops.cast(step, "float32")
        warm = 0.1 + 0.9 * done / max(self.warmup_steps, 1)
        share = ops.clip((done - self.warmup_steps) / max(self.steps - self.warmup_steps, 1), 0.0, 1.0)
        cooled = 0.5 * (1.0 + ops.cos(math.pi * share))
        return self.peak * ops.where(done < self.warmup_steps, warm, cooled)

    def get_config(self) -> dict[str, Any]:
        """What Keras needs to build it again."""
        return {"peak": self.peak, "steps": self.steps, "warmup_steps": self.warmup_steps}


def learning_rate(schedule: str, peak: float, steps: int, warmup_steps: int) -> WarmupCosine | float:
    """`cosine` is WarmupCosine over `steps`; the other schedules hold the peak (`plateau` is lowered by a callback)."""
    return WarmupCosine(peak, steps, min(warmup_steps, max(steps - 1, 0))) if schedule == "cosine" else peak


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
