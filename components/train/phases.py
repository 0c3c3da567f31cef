"""What learns when: spans of a training, in steps, or in seconds of a budget."""

from dataclasses import dataclass

from components.train.budget import Span, seconds
from components.train.config import TrainConfig


@dataclass(frozen=True)
class Phase:
    """What learns, over which span of the training, up to which learning rate."""

    frozen: bool
    span: Span
    peak: float


def phases(config: TrainConfig, steps: int, is_pretrained: bool) -> list[Phase]:
    """The phases of a training of `steps` batches an epoch: on a frozen network, where one is pretrained, then the whole."""
    frozen = config.frozen_epochs if is_pretrained else 0
    unit = _epoch(config, steps)
    tuned_peak = config.fine_tune_learning_rate if is_pretrained and config.fine_tune_learning_rate is not None else config.learning_rate
    parts = [(True, 0, frozen, config.learning_rate), (False, frozen, config.epochs, tuned_peak)]
    return [
        Phase(part, Span(first * unit, last * unit, min(config.warmup_epochs / (last - first), 1.0)), peak)
        for part, first, last, peak in parts
        if last > first
    ]


def composed_until(config: TrainConfig, steps: int) -> float:
    """When `close_mosaic_epochs` begin, whose pictures are made of one each: seconds of the budget, or steps."""
    return (config.epochs - config.close_mosaic_epochs) * _epoch(config, steps)


def _epoch(config: TrainConfig, steps: int) -> float:
    """What an epoch is: seconds of the budget, or steps."""
    return seconds(config.budget) / config.epochs if config.budget else steps
