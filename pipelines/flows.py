"""The loop as a Prefect flow: the stages of dvc.yaml as tasks, then publishing and promotion."""

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prefect import flow, get_run_logger, runtime, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from components.data.tables import TASKS
from components.errors import UsageError, VisionloopError
from pipelines import dvc_stages, seeds, settings
from pipelines.environment import prepare_environment
from pipelines.paths import Paths, find_root
from pipelines.report import candidates as report
from pipelines.report import validation
from pipelines.tracking import Tracking
from pipelines.turns import Turns, expected_work

if TYPE_CHECKING:
    from pipelines.approval import Say

Decisions = dict[str, dict[str, Any] | None]

RETRY_SECONDS = 2
DELIVER_SECONDS = 10.0


def _worth_retrying(_task: Any, _run: Any, state: State) -> bool:
    """What the user must mend fails the same way again."""
    try:
        state.result()
    except dvc_stages.StageFailed as failure:
        return not failure.is_users
    except UsageError:
        return False
    except BaseException:
        return True
    return False


@task(cache_policy=NO_CACHE, persist_result=False, retry_condition_fn=_worth_retrying, retry_delay_seconds=RETRY_SECONDS)
def stage(root: str, name: str, upstream: list[bool], fresh: bool, turn: Any, timeout: float) -> bool:
    """Bring one DVC stage up to date; answers whether it had to run."""
    logger = get_run_logger()
    if fresh and not any(upstream):
        with turn:  # those whose turn comes later wait for it
            logger.info("%s is up to date", name)
        return False
    try:
        with turn:
            ran = dvc_stages.reproduce(Paths(Path(root)), name, logger.info, timeout)
    finally:
        if name == "validate":
            _show_validation(Paths(Path(root)))
    logger.info("%s %s", name, "done" if ran else "is up to date")
    return ran


def _show_validation(paths: Paths) -> None:
    """The expectations and what became of them, most of all when the stage failed for them."""
    if found := validation.rows(paths):
        create_table_artifact(found, key="validation", description="what is expected of the data, what is not met first")


@task(cache_policy=NO_CACHE, persist_result=False, retries=1, retry_delay_seconds=RETRY_SECONDS, retry_condition_fn=_worth_retrying)
def publish(root: str, model: str, _evaluated: bool) -> str | None:
    """Complete the model's MLflow run; answers its id, None for a model that was skipped."""
    from pipelines.publishing import publish_model

    run_id = publish_model(Paths(Path(root)), model, {"flow_run": str(runtime.flow_run.id or "")})
    get_run_logger().info("%s: %s", model, f"MLflow run {run_id}" if run_id else "skipped, nothing to publish")
    return run_id


@task(cache_policy=NO_CACHE, persist_result=False)
def promote(root: str, task_name: str, models: list[str], _published: list[str | None], say: "Say | None" = None) -> dict[str, Any] | None:
    """Decide for the task's candidates and set the aliases; answers the decision, None when all were skipped."""
    from pipelines.publishing import promote_models

    decision = promote_models(Paths(Path(root)), task_name, models, say)
    if decision is None:
        get_run_logger().info("%s: no candidate", task_name)
        return None
    get_run_logger().info("%s: %s: %s", task_name, decision["verdict"], "; ".join(decision["reasons"]))
    create_markdown_artifact(
        report.decision_markdown(task_name, decision), key=f"decision-{task_name}", description=f"{task_name}: {decision['verdict']}"
    )
    return decision


@flow(name="visionloop", validate_parameters=True, persist_result=False, task_runner=ThreadPoolTaskRunner(max_workers=16))  # type: ignore[arg-type]
def visionloop(tasks: list[str] | None = None, models: list[str] | None = None, root: str | None = None) -> dict[str, Any]:
    """Images in, a believed and promoted model out.

    `tasks` and `models` narrow the run to some of params.yaml's; `root` is the project's folder, the current one when
    not said. Answers `candidates` (rows of the table), `seeds` (the spreads over them), `decisions` by task, and what `ran`.
    """
    prepare_environment()  # a worker comes here without passing the command line
    speak_plainly()
    dvc_stages.begin()
    paths = Paths(Path(root)) if root else Paths(find_root())
    knobs = settings.load(paths.params)
    chosen = select(knobs, tasks, models)
    Tracking(paths).reconcile()
    _version_data(paths)
    try:
        return _loop(paths, knobs, chosen)
    except BaseException:
        dvc_stages.end_all()
        raise


def _loop(paths: Paths, knobs: settings.Settings, chosen: dict[str, list[str]]) -> dict[str, Any]:
    plan = _Plan(paths, knobs, dvc_stages.stale(paths))
    published = plan.submit(chosen)
    decisions = {
        name: promote.with_options(name=f"promote-{name}", tags=["promote", name]).submit(
            str(paths.root), name, list(runs), _later(runs.values())
        )
        for name, runs in published.items()
    }
    _raise_first([*plan.stages.values(), *(run for runs in published.values() for run in runs.values()), *decisions.values()])
    by_task = {name: list(runs) for name, runs in published.items()}
    decided = _approved(paths, knobs, by_task, {name: future.result() for name, future in decisions.items()})
    models = [model for runs in by_task.values() for model in runs]
    rows, spreads = report.rows(paths, models), seeds.of_models(paths, knobs, models)
    table = report.plain([*rows, *report.spread_rows(spreads)])
    create_table_artifact(table, key="candidates", description="every candidate of this run, by task, and the spread over seeds")
    return {
        "candidates": rows,
        "seeds": report.spread_values(spreads),
        "decisions": {name: decision for name, decision in decided.items() if decision},
        "ran": plan.ran(),
    }


def _approved(paths: Paths, knobs: settings.Settings, models: dict[str, list[str]], decided: Decisions) -> Decisions:
    """The decisions by task, each after a human had a say in it, if one must; what follows from it may need another.

    All that waits is asked about at once, each for as long as its own time lasts, and an answer is carried out when it comes.
    """
    seconds, ends = knobs.promote.approval_timeout, dict[str, float]()
    while waiting := {name: str(decision["waits"]) for name, decision in decided.items() if decision and decision["waits"]}:
        from pipelines.flow_approval import Question, ask

        for key in waiting.values():
            ends.setdefault(key, time.monotonic() + seconds)
        name, say = ask(paths, {name: Question(key, seconds, ends[key]) for name, key in waiting.items()})
        again = promote.with_options(name=f"promote-{name}-after-approval", tags=["promote", name])
        decided = {**decided, name: again.submit(str(paths.root), name, models[name], [], say).result()}
    return decided


def select(knobs: settings.Settings, tasks: list[str] | None, models: list[str] | None) -> dict[str, list[str]]:
    """Model names by task. Raises UsageError for names that params.yaml does not hold."""
    unknown = [name for name in models or [] if name not in knobs.models] + [name for name in tasks or [] if name not in TASKS]
    if unknown:
        raise UsageError(f"unknown {', '.join(unknown)}; tasks are {', '.join(TASKS)}, models {', '.join(knobs.models)}")
    picked = [model for model in knobs.models.values() if (not models or model.name in models) and (not tasks or model.task in tasks)]
    if not picked:
        raise UsageError(f"no model of params.yaml is both one of {models} and for {tasks}")
    return {name: [model.name for model in picked if model.task == name] for name in TASKS if any(model.task == name for model in picked)}


def _raise_first(futures: list[PrefectFuture[Any]]) -> None:
    """Wait for all; then raise what the earliest that failed raised, not that others waited for it in vain."""
    for future in futures:
        future.wait()
    for future in futures:
        if future.state.is_failed() or future.state.is_crashed():
            future.result()


def _version_data(paths: Paths) -> None:
    from pipelines import versions

    if not versions.is_current(paths):
        digest = versions.add_data(paths)
        get_run_logger().info("data/ has changed: versioned as %s", digest)


class _Plain(logging.Filter):
    """What the user must mend is said in words; a traceback is for what nobody foresaw."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, VisionloopError):
            record.msg, record.args, record.exc_info = "%s", (str(error),), None
        return True


_PLAIN = _Plain()


def speak_plainly() -> None:
    """Have Prefect log a VisionloopError without a traceback."""
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).addFilter(_PLAIN)


def deliver() -> None:
    """Send the server what is still queued of logs and events; without it, leaving waits for a server that is gone."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    for worker in (APILogWorker, EventsWorker):
        worker.drain_all(timeout=DELIVER_SECONDS)


class _Plan:
    """Which tasks wait for which; as many trainings at once as params.yaml allows."""

    def __init__(self, paths: Paths, knobs: settings.Settings, stale: set[str]) -> None:
        self.paths, self.knobs, self.stale = paths, knobs, stale
        self.training = Turns(knobs.run.trainings_at_once)
        self.other = threading.BoundedSemaphore(1)
        self.stages: dict[str, PrefectFuture[bool]] = {}

    def submit(self, chosen: dict[str, list[str]]) -> dict[str, dict[str, "PrefectFuture[str | None]"]]:
        """Every stage and publication of the chosen models, as futures of run ids by task and model."""
        validated = self._stage("validate", [])
        divided = self._stage("split", [validated])
        augmented = self._stage("augment", [divided])
        wanted = [self.knobs.models[model] for models in chosen.values() for model in models]
        longest_first = sorted(wanted, key=expected_work, reverse=True)  # or the longest would end alone, on one core of two
        trained = {model.name: self._stage(f"train@{model.name}", [divided, augmented]) for model in longest_first}
        return {
            name: {model: self._published(name, model, [divided, trained[model]]) for model in models} for name, models in chosen.items()
        }

    def ran(self) -> list[str]:
        """The stages that had to run."""
        return [name for name, future in self.stages.items() if future.result()]

    def _published(self, task_name: str, model: str, upstream: list["PrefectFuture[bool]"]) -> "PrefectFuture[str | None]":
        evaluated = self._stage(f"evaluate@{model}", upstream)
        named = publish.with_options(name=f"publish-{model}", tags=["publish", task_name])
        return named.submit(str(self.paths.root), model, _later(evaluated))

    def _stage(self, name: str, upstream: list["PrefectFuture[bool]"]) -> "PrefectFuture[bool]":
        kind = name.partition("@")[0]
        turn: Any = self.training.next() if kind == "train" else self.other
        run = self.knobs.run
        named = stage.with_options(name=name.replace("@", "-"), tags=["stage", kind], retries=run.retries)
        self.stages[name] = named.submit(
            str(self.paths.root), name, _later(upstream), name not in self.stale, turn, float(run.stage_timeout)
        )
        return self.stages[name]


def _later(futures: Any) -> Any:
    """Prefect waits for the futures in a task's arguments and hands it what they answer."""
    return futures if isinstance(futures, PrefectFuture) else list(futures)
