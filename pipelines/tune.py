"""`visionloop tune MODEL`: train again and again with other knobs, and find the values that do best on validation images."""

import gc
import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from components.errors import DataError, ResourceError, UsageError
from components.train.space import Space
from pipelines import settings
from pipelines.paths import Paths
from pipelines.settings import Model, Settings
from pipelines.stages.models import chosen, in_a_line, parameters

if TYPE_CHECKING:
    from components.train.search import Trial
    from pipelines.stages.training import Job
    from pipelines.tracking.search import Runs

log = logging.getLogger(__name__)

Stopping = Callable[[], bool]


class Hopeless(Exception):
    """A trial that is so much worse than others that the rest of it is spared."""


@dataclass(frozen=True)
class Plan:
    """A model's search: what is searched, how many trials in all, and when to leave by `time.monotonic()`."""

    paths: Paths
    knobs: Settings
    model: Model
    space: Space
    trials: int
    deadline: float


@dataclass(frozen=True)
class Found:
    """Where a search stands; `importance` says how much each knob matters, 0..1."""

    plan: Plan
    trials: "list[Trial]"
    best: "Trial | None"
    importance: dict[str, float]
    validation_images: int


def plan(paths: Paths, name: str, trials: int | None, budget: str | None, metric: str | None) -> Plan:
    """What params.yaml and the command line ask for. Raises UsageError for what cannot be."""
    from components.train.budget import seconds

    knobs = settings.load(paths.params)
    model = chosen(knobs, name)
    space: Space = getattr(knobs.tune, model.task)
    if metric is not None:
        space = replace(space, metric=metric)  # type: ignore[arg-type]
        if model.task == "detection" and metric != "val/loss":
            raise UsageError(f"--metric {metric} was given for a detector, expected val/loss: what its training measures")
    if model.train.strategy == "multi_worker":
        raise UsageError(f"models.{name}.strategy is multi_worker, but a search trains on one machine: set it to auto or single")
    if trials is not None and trials < 1:
        raise UsageError(f"--trials is {trials}, expected 1 or more")
    wanted = Plan(paths, knobs, model, space, trials or knobs.tune.trials, time.monotonic() + seconds(budget) if budget else float("inf"))
    for knob, values in space.space.items():
        for value in values.edges:
            with_knobs(wanted, {knob: value})
    return wanted


def with_knobs(plan: Plan, params: dict[str, Any]) -> Model:
    """The model with other values of some knobs. Raises UsageError when params.yaml could not say so."""
    raw = yaml.safe_load(plan.paths.params.read_text(encoding="utf-8"))
    raw["models"][plan.model.name] |= params
    return settings.parse(raw, f"tune.{plan.model.task}.space").models[plan.model.name]


def search(plan: Plan) -> Found:
    """Go on with the search, or begin it, until all its trials have ended or the time is over.

    Raises KeyboardInterrupt when it is asked to leave; the trial under way goes on from there the next time.
    """
    from filelock import FileLock, Timeout

    from pipelines.stages.stopping import remembered

    _make_ready(plan)
    folder = plan.paths.searches(plan.model.name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0), remembered() as wished:
            return _Search(plan, wished).run()
    except Timeout:
        raise UsageError(f"another `visionloop tune {plan.model.name}` works in {plan.paths.root}: wait for it to end") from None


def _make_ready(plan: Plan) -> None:
    """Bring the data and their split up to date, as a run would."""
    from pipelines import data_commands, dvc_stages

    data_commands.ensure_data(plan.paths)
    for stage in ("validate", "split", "augment"):
        if stage in dvc_stages.stale(plan.paths):
            dvc_stages.reproduce(plan.paths, stage, log.info, plan.knobs.run.stage_timeout)


class _Search:
    """One search at work."""

    def __init__(self, plan: Plan, wished: Stopping) -> None:
        from components.train.search import Rules, Search
        from pipelines.stages.examples import read_dataset
        from pipelines.tracking import Tracking

        self.plan, self.wished = plan, wished
        model = plan.model
        self.dataset = read_dataset(plan.paths, model.task)
        if self.dataset.is_absent or self.dataset.part("train").empty or self.dataset.part("val").empty:
            raise DataError(f"data/{model.task} has no images to train and validate {model.name} on: see `visionloop data check`")
        key, batch_size, self.digest = self._base()
        self.folder = plan.paths.searches(model.name) / key[:12]
        tune = plan.knobs.tune
        rules = Rules(plan.space.metric != "val/loss", plan.knobs.seed, tune.random_trials, round(tune.prune_from * model.train.epochs))
        self.study: Search = Search(self.folder, plan.space.space, rules)
        self.fixed = {"batch_size": self.study.remembered("batch_size", batch_size)} if model.train.batch_size == "auto" else {}
        self.runs: Runs = Tracking(plan.paths).search(model.task, model.name, key, f"tune-{model.name}-{self.digest[:8]}")
        self.key = key

    def run(self) -> Found:
        """Every trial that is still to do."""
        if self.study.trials:
            log.info("%s: going on after %d of %d trials", self.plan.model.name, self.study.ended, self.plan.trials)
        try:
            while self.study.ended < self.plan.trials and not self._over():
                self._trial(self.study.begin({**parameters(self.plan.model), **self.fixed}))
        except Exception:
            self.runs.failed()
            raise
        if self.wished() and self.study.ended < self.plan.trials:
            self.runs.interrupted()
            raise KeyboardInterrupt
        return self._found()

    def _base(self) -> tuple[str, int, str]:
        """The SHA-256 of what decides the search, the model's own batch size, and the SHA-256 of its images.

        Raises what keeps the model from being trained with its own values.
        """
        from pipelines.stages.training import prepare

        job = self._job(self.plan.model)
        prepared = prepare(self.plan.paths, job)
        what = [prepared.key, asdict(self.plan.space), self.plan.knobs.tune.random_trials, self.plan.knobs.tune.prune_from]
        key = hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()
        return key, prepared.batches[0].batch_size, job.data_digest

    def _job(self, model: Model) -> "Job":
        from pipelines.stages.training import job_of

        return job_of(self.plan.paths, model, self.dataset, model.seed)

    def _over(self) -> bool:
        return self.wished() or time.monotonic() >= self.plan.deadline

    def _model(self, params: dict[str, Any]) -> Model:
        return with_knobs(self.plan, {**self.fixed, **params})

    def _trial(self, trial: "Trial") -> None:
        """Train once, from the beginning or from where it was left."""
        from components.train import checkpoint

        name, number = self.plan.model.name, trial.number
        model = self._model(trial.params)
        log.info("%s trial %d (of %d): %s", name, number, self.plan.trials, told(trial.params))
        live = self.runs.trial(number, parameters(model))
        place = self.folder / "checkpoints" / f"{number:04d}"
        try:
            self.study.end(number, "complete", self._train(model, number, place, live))
        except Hopeless:
            self.study.end(number, "pruned")
        except (UsageError, ResourceError) as error:
            self.study.end(number, "failed", reason=str(error))
        except KeyboardInterrupt:
            if live:
                live.interrupted()
            if not self.wished() and not self._over():
                raise  # a second Ctrl-C, before the training could save itself
            return
        except Exception:
            if live:
                live.failed()
            raise
        finally:
            _forget_network()
        checkpoint.remove(place)
        done = self.study.trials[number]
        log.info("%s trial %d (of %d): %s", name, number, self.plan.trials, how_it_ended(done, self.plan.space.metric))
        self.runs.ended(done, parameters(model))

    def _train(self, model: Model, number: int, place: Path, live: Any) -> float:
        from components.train.fit import Session, fit
        from pipelines.stages.train import told_batches
        from pipelines.stages.training import prepare

        prepared = prepare(self.plan.paths, self._job(model))
        metric = self.plan.space.metric

        def report(epoch: int, numbers: dict[str, float]) -> None:
            shown = in_a_line(numbers)
            log.info("%s trial %d (of %d) epoch %d/%d: %s", model.name, number, self.plan.trials, epoch + 1, model.train.epochs, shown)
            if live:
                live.log_epoch(epoch, numbers)
            if self.study.report(number, epoch, numbers, numbers.get(metric)):
                raise Hopeless

        key = f"{self.key}/{number}"
        every = self.plan.knobs.run.checkpoint_seconds
        session = Session(report, place, key, every, self._over, told_batches, replicas=prepared.replicas)
        outcome, rows = fit(prepared.network, prepared.goal, prepared.batches, model.train, prepared.pretrained, session)
        return rows[outcome.best_epoch if model.train.keep == "best" else -1][metric]

    def _found(self) -> Found:
        from pipelines.tune_report import summary, write

        found = Found(self.plan, self.study.trials, self.study.best, self.study.importance(), len(self.dataset.part("val")))
        write(found)
        params = {trial.number: parameters(self._model(trial.params)) for trial in found.trials}
        self.runs.complete(found.trials, params, summary(found), self.plan.paths.tune(self.plan.model.name))
        return found


def told(params: dict[str, Any]) -> str:
    """Knobs and their values in a line."""
    return "  ".join(f"{name} {value}" for name, value in params.items())


def how_it_ended(trial: "Trial", metric: str) -> str:
    """A trial's end in words."""
    if trial.state == "complete":
        return f"{metric} {trial.value:.4g}"
    return f"pruned after {len(trial.rows)} epochs" if trial.state == "pruned" else f"failed: {trial.reason}"


def _forget_network() -> None:
    import keras

    keras.backend.clear_session()
    gc.collect()
