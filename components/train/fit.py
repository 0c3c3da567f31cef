"""Train a model: first what is new on a frozen network, then the network itself; keep the best epoch, lose nothing."""

import itertools
import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from components.errors import UsageError
from components.models.freezing import freeze_all, unfreeze_from
from components.train import checkpoint
from components.train.batch_size import explained
from components.train.checkpoint import Checkpoint
from components.train.config import TrainConfig
from components.train.feed import made_ahead, prefetched
from components.train.loader import Made, TrainingBatches, ValidationBatches
from components.train.optimizers import build_optimizer
from components.train.phases import Phase, composed_until, phases
from components.train.progress import Numbers, Outcome, Progress
from components.train.replicas import Replicas, alone, synchronised
from components.train.schedule import SCHEDULES
from components.train.step import Goal, Step, read

Report = Callable[[int, Numbers], None]

ADAPT_IMAGES = 2048
CHECK_EVERY = 16  # batches, whether the loss is still a number
VALIDATION_SHARE = 0.02  # of a budget
SAVING_SHARE = 0.05  # of the time


@dataclass(frozen=True)
class Session:
    """What surrounds a training.

    `report(epoch, numbers)` hears of every epoch once, and `told(done, total)` of every batch within one. `folder` is
    where checkpoints go, every `checkpoint_seconds`, or less often where they take long (0: after every batch); one with
    the same `key` is continued. `stopping()` is asked after
    every batch whether to save and leave. `clock` counts the seconds of a budget. `replicas` are the devices that train;
    only the chief of several workers reports and writes, and they agree on when to save and leave every CHECK_EVERY batches.
    """

    report: Report
    folder: Path
    key: str = ""
    checkpoint_seconds: float = 30.0
    stopping: Callable[[], bool] = lambda: False
    told: Callable[[int, int], None] = lambda done, total: None
    clock: Callable[[], float] = time.perf_counter
    replicas: Replicas = field(default_factory=alone)


def fit(
    model: keras.Model,
    goal: Goal,
    batches: tuple[TrainingBatches, ValidationBatches],
    config: TrainConfig,
    pretrained: list[str],
    session: Session,
) -> tuple[Outcome, list[Numbers]]:
    """Train `model` in place and leave it with the weights of its best epoch, or its last, as `config.keep` says.

    `pretrained` names the layers that hold pretrained weights (none: train everything at once). Answers the outcome
    and a row of numbers for every epoch. Raises KeyboardInterrupt, with a checkpoint saved, when `session.stopping()`,
    UsageError when the loss is no number any more or the replicas cannot share a batch, ServiceError when a worker is gone,
    ResourceError when the device's memory runs out.
    """
    with session.replicas.together(), synchronised(model, session.replicas, config.accumulate):
        training = Training(model, goal, batches, config, pretrained, session)
        training.resume()
        with explained(training.batches.batch_size):
            for number in range(training.progress.phase, len(training.phases)):
                training.run(number)
        done, used = training.progress, training.used()
    epochs = len(done.rows)
    early = done.patience.exhausted and config.budget is None and epochs < config.epochs
    return Outcome(epochs, done.patience.best_epoch, done.patience.best, used, early, done.box_counts), done.rows


class Training:
    """One training under way."""

    def __init__(
        self,
        model: keras.Model,
        goal: Goal,
        batches: tuple[TrainingBatches, ValidationBatches],
        config: TrainConfig,
        pretrained: list[str],
        session: Session,
    ) -> None:
        self.model, self.goal, self.config, self.session = model, goal, config, session
        self.batches, self.validation = batches
        self.pretrained, self.replicas = pretrained, session.replicas
        self.rows = self.replicas.rows(self.batches.batch_size)
        self.phases = phases(config, len(self.batches), bool(pretrained))
        self.composed = composed_until(config, len(self.batches))
        self.progress = Progress.start(config)
        if not config.budget:
            self.progress.closed = math.ceil(self.composed)
        self.best: list[NDArray[Any]] | None = None
        self.saved: checkpoint.Arrays = {}
        self.began = self._clock()
        self.due = time.monotonic() + session.checkpoint_seconds

    def resume(self) -> None:
        """Go on from the newest checkpoint of this very training, or prepare a fresh one."""
        found = self._newest()
        if found is None:
            if self.replicas.is_chief:
                checkpoint.remove(self.session.folder)
            adapt(self.model, self.batches.examples.pixels)
            return
        self.progress = Progress.from_json(found.about["progress"], self.config)
        self.saved = found.arrays
        best = [name for name in sorted(found.arrays) if name.startswith("best/")]
        self.best = [found.arrays[name] for name in best] or None

    def _newest(self) -> Checkpoint | None:
        found = checkpoint.newest(self.session.folder, self.session.key) if self.replicas.is_chief else None
        if self.replicas.workers == 1:
            return found
        return checkpoint.from_bytes(self.replicas.chiefs_bytes(checkpoint.to_bytes(found)))

    def used(self) -> float:
        """Seconds of the clock since the training began, those before an interruption included."""
        return self.progress.used + self._clock() - self.began

    def _clock(self) -> float:
        return self.replicas.chiefs(self.session.clock())

    def run(self, number: int) -> None:
        """Run one phase to its end, or from where it was left."""
        phase = self.phases[number]
        step = self._begin(phase)
        first = self.progress.batch
        with closing(prefetched(self._batch, itertools.count(first), self.config.threads)) as feed:
            over = self._over(phase)
            while not over:
                rate = self._rate(phase)
                pixels, truth, box_counts = next(feed)
                step.train(pixels, truth, rate)
                self.progress.batch += 1
                self.progress.box_counts += box_counts
                over = self._after(phase, step, rate)
        self._keep(step)
        # The next phase begins with an epoch of its own.
        self.progress.batch = -(-self.progress.batch // len(self.batches)) * len(self.batches)
        self.progress.phase, self.progress.fresh = number + 1, True

    def _begin(self, phase: Phase) -> Step:
        if phase.frozen:
            freeze_all(self.model, self.pretrained)
        elif self.pretrained:
            unfreeze_from(self.model, self.pretrained, self.config.fine_tune_from)
        optimizer = build_optimizer(self.config)
        step = Step(self.model, self.goal, optimizer, self.config.ema_decay, self.config.accumulate, self.replicas)
        if self.progress.fresh:
            self.progress.begin_phase(self.config)
            self.progress.fresh = False
        else:
            step.restore(self.saved)
        self.saved = {}
        return step

    def _batch(self, number: int) -> Made:
        closed = self.progress.closed
        return self.batches.made(*divmod(number, len(self.batches)), self.rows, composes=closed is None or number < closed)

    def _end_composing(self) -> None:
        """Decide from which batch on no picture is composed; of a budget, when its share is used, the first that is not made yet."""
        if self.progress.closed is None and self.composed <= self._now():
            self.progress.closed = self.progress.batch + made_ahead(self.config.threads)

    def _now(self) -> float:
        return self.used() if self.config.budget else self.progress.batch

    def _over(self, phase: Phase) -> bool:
        reserve = self.progress.validating if self.config.budget else 0.0
        return self.progress.patience.exhausted or self._now() + reserve >= phase.span.end

    def _rate(self, phase: Phase) -> float:
        return phase.peak * self.progress.plateau.factor * SCHEDULES[self.config.schedule](phase.span.done(self._now()), phase.span.warm)

    def _after(self, phase: Phase, step: Step, rate: float) -> bool:
        """What follows a batch; answers whether the phase is over."""
        self._end_composing()
        done, over = self.progress.batch % len(self.batches), self._over(phase)
        if done % CHECK_EVERY == 0:
            self._refuse_no_number(step)
        if done == 0 or over:
            self._end_epoch(step, rate, over)
        self.session.told(done or len(self.batches), len(self.batches))
        stopping, due = self._wishes(done)
        if stopping or due:
            self._save(step)
        if stopping:
            raise KeyboardInterrupt
        return over or self.progress.patience.exhausted

    def _wishes(self, done: int) -> tuple[bool, bool]:
        """Whether to leave, as any worker may wish, and whether a checkpoint is due, as the chief says."""
        if self.replicas.workers > 1 and done % CHECK_EVERY:
            return False, False
        own = [self.session.stopping(), self.replicas.is_chief and time.monotonic() >= self.due]
        stopping, due = self.replicas.total(np.array(own, np.float64)) > 0
        return bool(stopping), bool(due)

    def _end_epoch(self, step: Step, rate: float, is_last: bool) -> None:
        self._refuse_no_number(step)
        epoch = len(self.progress.rows)
        numbers = {f"train/{name}": value for name, value in step.take_means().items()}
        if is_last or self._validates():
            numbers |= self._validate(step, epoch)
        numbers["learning_rate"] = rate
        self.progress.rows.append(numbers)
        if self.replicas.is_chief:
            self.session.report(epoch, numbers)

    def _validates(self) -> bool:
        """Always; of a budget, only as often as it takes a small share of it."""
        times = 1 + sum("val/loss" in row for row in self.progress.rows)
        return not self.config.budget or self.progress.validating * times <= VALIDATION_SHARE * self.used()

    def _validate(self, step: Step, epoch: int) -> Numbers:
        began = self._clock()
        step.swap()
        sums = np.zeros(step.sums.shape)
        with closing(prefetched(self.validation.batch, self.replicas.share(len(self.validation)), 1)) as feed:
            while some := tuple(itertools.islice(feed, self.replicas.local)):
                sums += step.measure(*some)
        means = step.means(self.replicas.total(sums))
        if self.progress.patience.improved(epoch, means["loss"]):
            self.best = [read(variable) for variable in self.model.variables]
        self.progress.plateau.heard(epoch, means["loss"])
        step.swap()
        self.progress.validating = self._clock() - began
        return {f"val/{name}": value for name, value in means.items()}

    def _refuse_no_number(self, step: Step) -> None:
        loss = step.means(step.sums.numpy())["loss"]
        if not math.isfinite(loss):
            remedy = "lower learning_rate, set clip_norm, or set mixed_precision: float32"
            raise UsageError(f"the training loss became {loss} at batch {self.progress.batch}: {remedy}")

    def _keep(self, step: Step) -> None:
        if self.best is None:
            raise UsageError("the validation loss was no number in any epoch: lower learning_rate, or set mixed_precision: float32")
        if self.config.keep == "best":
            for variable, value in zip(self.model.variables, self.best, strict=True):
                variable.assign(value)
        else:
            step.swap()

    def _save(self, step: Step) -> None:
        began = time.monotonic()
        best = {f"best/{index:04d}": value for index, value in enumerate(self.best or [])}
        progress = {**self.progress.to_json(), "used": self.used()}
        about = {"key": self.session.key, "progress": progress}
        arrays = step.arrays()
        if self.replicas.is_chief:
            checkpoint.save(self.session.folder, Checkpoint({**arrays, **best}, about))
        wait, took = self.session.checkpoint_seconds, time.monotonic() - began
        self.due = time.monotonic() + (max(wait, took / SAVING_SHARE) if wait else 0.0)


def adapt(model: keras.Model, pixels: NDArray[np.uint8]) -> None:
    """Show training pixels (N, S, S, 3) to the layers that must see some before they can work."""
    some = np.linspace(0, len(pixels) - 1, min(ADAPT_IMAGES, len(pixels))).astype(int)
    for layer in model._flatten_layers():
        if hasattr(layer, "adapt"):
            layer.adapt(np.asarray(pixels[some]))
