"""Train a model: first what is new on a frozen network, then the network itself; keep the best epoch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from components.errors import UsageError
from components.models.freezing import freeze_all, unfreeze_from
from components.train.callbacks import BestWeights, RefuseNaN, Report, TellEpoch
from components.train.config import TrainConfig
from components.train.loader import TrainingBatches, ValidationBatches
from components.train.schedule import Patience, learning_rate


@dataclass(frozen=True)
class Goal:
    """What a training minimises and shows: a Keras loss, and Keras metrics made anew for each phase."""

    loss: keras.losses.Loss
    metrics: Callable[[], list[Any]]


@dataclass(frozen=True)
class Outcome:
    """How a training ended: epochs run, the best of them (counted from 0), its validation loss, seconds of wall time."""

    epochs: int
    best_epoch: int
    best_loss: float
    seconds: float
    stopped_early: bool


def fit(
    model: keras.Model,
    goal: Goal,
    batches: tuple[TrainingBatches, ValidationBatches],
    config: TrainConfig,
    pretrained: list[str],
    best: Path,
    report: Report,
) -> Outcome:
    """Train `model` in place and leave it with the weights of its best epoch, or its last, as `config.keep` says.

    `pretrained` names the layers that hold pretrained weights (none: train everything at once). `best` is where the
    best weights are kept meanwhile; `report(epoch, numbers)` hears of every epoch.
    """
    start = time.perf_counter()
    best.unlink(missing_ok=True)
    patience = Patience(config.patience)
    frozen = config.frozen_epochs if pretrained else 0
    ran = 0
    if frozen:
        freeze_all(model, pretrained)
        ran += _phase(model, goal, batches, config, (frozen, config.learning_rate), [BestWeights(patience, best, 0), TellEpoch(report, 0)])
        _keep(model, best, config)
    if pretrained:
        unfreeze_from(model, pretrained, config.fine_tune_from)
    patience.waited = 0
    rate = config.fine_tune_learning_rate if pretrained and config.fine_tune_learning_rate is not None else config.learning_rate
    ran += _phase(model, goal, batches, config, (config.epochs - frozen, rate), [BestWeights(patience, best, ran), TellEpoch(report, ran)])
    _keep(model, best, config)
    return Outcome(ran, patience.best_epoch, patience.best, time.perf_counter() - start, ran < config.epochs)


def _keep(model: keras.Model, best: Path, config: TrainConfig) -> None:
    if not best.is_file():
        raise UsageError("the validation loss was no number in any epoch: lower learning_rate, or set mixed_precision: float32")
    if config.keep == "best":
        model.load_weights(best)


def _phase(
    model: keras.Model,
    goal: Goal,
    batches: tuple[TrainingBatches, ValidationBatches],
    config: TrainConfig,
    length: tuple[int, float],
    listeners: list[keras.callbacks.Callback],
) -> int:
    """Compile and run one phase of (epochs, learning rate); returns the epochs it ran."""
    epochs, peak = length
    if epochs <= 0:
        return 0
    steps = len(batches[0])
    rate = learning_rate(config.schedule, peak, epochs * steps, round(config.warmup_epochs * steps))
    model.compile(_optimizer(rate, config), loss=goal.loss, metrics=goal.metrics(), steps_per_execution=min(8, steps), jit_compile=False)
    model.optimizer.build(model.trainable_variables)  # or Keras does so inside the first step, and TensorFlow traces it twice
    callbacks = [RefuseNaN(), *_averaging(config), *listeners, *_plateau(config)]
    history = model.fit(batches[0], validation_data=batches[1], epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks)
    return len(history.epoch)


def _optimizer(rate: Any, config: TrainConfig) -> keras.optimizers.Optimizer:
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=config.weight_decay,
        clipnorm=None,
        global_clipnorm=config.clip_norm or None,
        use_ema=config.ema_decay > 0,
        ema_momentum=config.ema_decay or 0.99,
    )
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])  # as in arXiv:1812.01187
    return optimizer


def _averaging(config: TrainConfig) -> list[Any]:
    return [keras.callbacks.SwapEMAWeights(swap_on_epoch=True)] if config.ema_decay > 0 else []


def _plateau(config: TrainConfig) -> list[Any]:
    return [keras.callbacks.ReduceLROnPlateau(patience=max(config.patience // 2, 1))] if config.schedule == "plateau" else []
