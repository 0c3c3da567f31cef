"""From the files of the stages to MLflow: publish a model's run, decide for a task."""

import logging
import subprocess
import tempfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import provenance, settings, versions
from pipelines.digest import sha256
from pipelines.evidence import read_report
from pipelines.paths import Paths

if TYPE_CHECKING:
    from pipelines.approval import Say

log = logging.getLogger(__name__)


def publish_model(paths: Paths, model: str, tags: dict[str, str]) -> str | None:
    """Complete the model's MLflow run, once; answers its id, None for a model that was skipped.

    What changed in the data since the champion was trained is attached to it. Raises ServiceError when MLflow is away:
    nothing is lost then, and the next call publishes.
    """
    from pipelines import data_change
    from pipelines.tracking import Tracking

    report = read_report(paths.evaluate(model))
    if "skipped" in report:
        return None
    of_data = [paths.augment(report["task"]) / f"{name}.png" for name in ("samples", "preview")]
    shown = [paths.train(model) / "curves.png", paths.train(model) / "batch.png", *of_data]
    pictures = [path for path in shown if path.is_file()]
    tracking = Tracking(paths)
    then = partial(data_change.attach, paths, tracking.store, report["task"])
    return tracking.publish(paths.train(model), paths.evaluate(model), pictures, {**lineage(paths), **tags}, provenance.files(paths), then)


def lineage(paths: Paths) -> dict[str, str]:
    """What a run comes from: git commit, data revision, and the hash of dvc.lock."""
    lock = paths.root / "dvc.lock"
    locked = sha256(lock) if lock.is_file() else ""
    known = {"git_commit": _git_commit(paths), "data_revision": versions.data_digest(paths), "dvc_lock": locked}
    return {name: value for name, value in known.items() if value}


def _git_commit(paths: Paths) -> str:
    asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=paths.root, capture_output=True, text=True, check=False)
    return asked.stdout.strip() if asked.returncode == 0 else ""


def promote_models(paths: Paths, task: str, models: list[str], say: "Say | None" = None) -> dict[str, Any] | None:
    """Decide for the evaluated models of a task, with a human's `say` if there is one; None when none of them was evaluated.

    Answers the Decision's fields, `is_champion`: whether the one that validation prefers is champion now, and `waits`: the key
    of which of these waits for a human's say, or None.

    The champion is evaluated again first where it was tested on other images than the candidates.
    """
    from components.promote import rank
    from pipelines import flips, seeds
    from pipelines.approval import awaits
    from pipelines.evidence import evidence
    from pipelines.promote import promote
    from pipelines.registry import Registry

    folders = [paths.evaluate(model) for model in models if "skipped" not in read_report(paths.evaluate(model))]
    if not folders:
        return None
    knobs = settings.load(paths.params)
    with tempfile.TemporaryDirectory() as scratch:

        def again(model_file: Path) -> Path:
            return _evaluate_champion(paths, knobs, task, model_file, Path(scratch))

        decision = asdict(promote(task, paths, knobs, folders, again, say=say))
        flips.attach(paths, task, folders, Path(scratch) / "again")
    seeds.attach(paths, knobs, models)
    registry = Registry(paths)
    champion, waiting = registry.at(task, "champion"), awaits(registry.history(task))
    candidates = [one.sha256 for one in rank([evidence(folder) for folder in folders], getattr(knobs.promote, task).metric)]
    waits = waiting["key"] if waiting is not None and waiting["candidate"]["sha256"] in candidates else None
    return {**decision, "is_champion": champion is not None and champion.sha256 == candidates[0], "waits": waits}


def _evaluate_champion(paths: Paths, knobs: settings.Settings, task: str, model_file: Path, scratch: Path) -> Path:
    """Evaluate the champion's own model on today's test images; answers the folder."""
    from components.data.tables import TASKS
    from components.errors import DataError
    from pipelines.registry import Registry
    from pipelines.stages.evaluate import evaluate_model, trained_as

    assert task in TASKS
    registry = Registry(paths)
    champion = registry.at(task, "champion")
    if champion is None:
        raise DataError(f"the {task} champion vanished while it was to be evaluated again: run the same command again")
    report = read_report(registry.evaluation(champion, scratch / "before"))
    log.info("%s was tested on other images: it is evaluated again on today's", report["model"])
    target = scratch / "again"
    evaluate_model(paths, knobs, (model_file, trained_as(report)), target, task)
    return target
