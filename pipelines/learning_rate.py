"""`visionloop lr MODEL`: a learning rate for a model, found by a sweep over all of them on its training images."""

import itertools
import logging
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.errors import DataError
from pipelines import settings
from pipelines.paths import Paths
from pipelines.report.console import screen
from pipelines.stages.models import chosen

if TYPE_CHECKING:
    from pipelines.stages.training import Prepared

log = logging.getLogger(__name__)

HEAD_BATCHES = 100  # that a new head learns before the rate of fine-tuning is looked for


def find(paths: Paths, name: str, out: Path | None) -> dict[str, Any]:
    """Sweep over the learning rates of a model and write a picture; answers each knob's suggestion (None: none can be told).

    A pretrained network with `frozen_epochs` is swept over twice: while it is frozen, and, once its new layers have
    learned a little, while it is fine-tuned. Raises UsageError and DataError as a training does.
    """
    from components.train import lr_finder
    from pipelines.stages.examples import read_dataset
    from pipelines.stages.training import job_of, prepare

    knobs = settings.load(paths.params)
    model = chosen(knobs, name)
    model = replace(model, train=replace(model.train, strategy="single"))  # a rate is that of a batch, on however many devices
    dataset = read_dataset(paths, model.task)
    if dataset.is_absent or dataset.part("train").empty:
        raise DataError(f"data/{model.task} has no images to train {name} on: see `visionloop data check`")
    prepared = prepare(paths, job_of(paths, model, dataset, model.seed))
    config = model.train
    phases = [("learning_rate", config.learning_rate)]
    if prepared.pretrained and config.frozen_epochs:
        tuned = config.fine_tune_learning_rate
        phases.append(("fine_tune_learning_rate", config.learning_rate if tuned is None else tuned))
    found = _sweeps(prepared, model, phases)
    picture = out or paths.outputs / "lr" / f"{name}.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    lr_finder.draw_sweeps(found, f"{name}: {config.optimizer}, batches of {prepared.batches[0].batch_size}", picture)
    rates = {knob: _told(*swept) for knob, swept in found.items()}
    return {"model": name, "batch_size": prepared.batches[0].batch_size, "rates": rates, "files": [str(picture)]}


def show(found: dict[str, Any]) -> None:
    """Print the suggestions as params.yaml says them."""
    console = screen()
    for knob, told in found["rates"].items():
        if told["suggested"] is None:
            console.print(f"{knob}: the loss never fell for long, so nothing can be told; see the picture", markup=False)
            continue
        ended = f"the loss {'diverged at' if told['diverged'] else 'never diverged up to'} {told['highest']:.2g}"
        console.print(f"{knob}: {told['suggested']:.2g}   (params.yaml: {told['present']:.2g}; {ended})", markup=False)
    values = {knob: told["suggested"] for knob, told in found["rates"].items() if told["suggested"] is not None}
    if values:
        lines = "\n".join(f"    {knob}: {value:.2g}" for knob, value in values.items())
        console.print(f"\nmodels:\n  {found['model']}:\n{lines}\n", markup=False)
    console.print(f"see   {found['files'][0]}", markup=False)


def _sweeps(prepared: "Prepared", model: settings.Model, phases: list[tuple[str, float]]) -> dict[str, tuple[Any, float | None, float]]:
    from components.models.freezing import freeze_all, unfreeze_from
    from components.train import lr_finder
    from components.train.fit import adapt

    adapt(prepared.network, prepared.batches[0].examples.pixels)
    found: dict[str, tuple[Any, float | None, float]] = {}
    for knob, present in phases:
        untouched = prepared.network.get_weights()
        if len(phases) > 1 and not found:
            freeze_all(prepared.network, prepared.pretrained)
        elif prepared.pretrained:
            unfreeze_from(prepared.network, prepared.pretrained, model.train.fine_tune_from)
        swept = _trained(prepared, model, lambda train, knob=knob: lr_finder.sweep(_shown(train, knob)))  # type: ignore[misc]
        suggested = lr_finder.suggestion(swept)
        found[knob] = (swept, suggested, present)
        prepared.network.set_weights(untouched)
        if len(found) < len(phases):
            log.info("%s: the new layers learn for %d batches before fine-tuning", model.name, HEAD_BATCHES)
            rate = suggested or present
            _trained(prepared, model, lambda train, rate=rate: [train(number, rate) for number in range(HEAD_BATCHES)])  # type: ignore[misc]
    return found


def _trained(prepared: "Prepared", model: settings.Model, use: Callable[[Callable[[int, float], float]], Any]) -> Any:
    """Let `use` train: it is given a function of a batch's number and a rate that makes one step and answers its loss."""
    from components.train.feed import prefetched
    from components.train.optimizers import build_optimizer
    from components.train.step import Step

    training = prepared.batches[0]
    step = Step(prepared.network, prepared.goal, build_optimizer(model.train), 0.0, model.train.accumulate)
    source = prefetched(lambda number: training.batch(*divmod(number, len(training))), itertools.count(), model.train.threads)
    with closing(source) as feed:

        def train(_: int, rate: float) -> float:
            step.train(*next(feed), rate)
            return step.take_means()["loss"]

        return use(train)


def _shown(train: Callable[[int, float], float], knob: str) -> Callable[[int, float], float]:
    def one(number: int, rate: float) -> float:
        loss = train(number, rate)
        if sys.stderr.isatty():
            print(f"\r{knob} {rate:.2e}: loss {loss:.4g}   ", end="\r", file=sys.stderr, flush=True)
        return loss

    return one


def _told(swept: Any, suggested: float | None, present: float) -> dict[str, Any]:
    ends = {"lowest": float(swept.rates[0]), "highest": float(swept.rates[-1]), "diverged": swept.diverged}
    return {
        "suggested": suggested,
        "present": present,
        **ends,
        "sweep": [list(map(float, row)) for row in zip(swept.rates, swept.smooth, strict=True)],
    }
