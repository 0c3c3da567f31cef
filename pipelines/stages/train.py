"""Stage `train`: one model of params.yaml, from the split tables to model.keras and what is known of its training."""

import json
import logging
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from components.data import tables
from components.errors import DataError, UsageError
from pipelines.digest import sha256
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.stages.examples import Dataset, examples, read_dataset
from pipelines.stages.models import chosen, parameters, write_json

if TYPE_CHECKING:
    import keras

    from components.models.catalog import Design
    from components.train.fit import Goal, Outcome
    from components.train.loader import TrainingBatches, ValidationBatches
    from pipelines.settings import Model, Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """One training: which model, on what, described how in the tracking."""

    model: "Model"
    dataset: Dataset
    seed: int
    data_digest: str


def run(paths: Paths, settings: "Settings", name: str) -> None:
    """Write outputs/train/<name>/: model.keras, model.json, history.csv and curves.png.

    A model whose dataset is absent leaves a model.json that says so, and empty files. Raises UsageError for an unknown model or
    architecture, DataError for data that cannot be trained on.
    """
    model = chosen(settings, name)
    dataset = read_dataset(paths, model.task)
    with replacing(paths.train(name)) as folder:
        if dataset.is_absent:
            _skip(folder, name, f"data/{model.task} is absent")
            return
        _refuse_untrainable(dataset)
        digest = sha256(paths.split(model.task) / "images.parquet")
        _train(paths, Job(model, dataset, settings.seed, digest), folder)


def _skip(folder: Path, name: str, reason: str) -> None:
    from components.train.curves import draw_curves

    history = pd.DataFrame(columns=["epoch", "train/loss", "val/loss", "learning_rate"])
    write_json(folder / "model.json", {"skipped": reason})
    (folder / "model.keras").touch()
    history.to_csv(folder / "history.csv", index=False)
    draw_curves(history, 0, f"{name}: {reason}", folder / "curves.png")
    log.warning("%s skipped: %s", name, reason)


def _refuse_untrainable(dataset: Dataset) -> None:
    for split in ("train", "val"):
        if dataset.part(split).empty:
            raise DataError(f"data/{dataset.task} has no image to {split} on: add images, or raise split.{split} in params.yaml")
    if dataset.task == tables.CLASSIFICATION and len(dataset.classes) < 2:
        raise DataError(f"data/classification holds the one class {dataset.classes}; a classifier needs two folders of images at least")
    if dataset.task == tables.DETECTION and dataset.boxes.empty:
        raise DataError("data/detection holds no usable box: annotate some images, then run `visionloop data check data/detection`")


def _refuse_train_size(model: "Model") -> None:
    if model.train_size and (model.task == tables.DETECTION or not 32 <= model.train_size <= model.image_size):
        found = f"models.{model.name}.train_size is {model.train_size} pixels"
        raise UsageError(f"{found}: a classifier may have 32 to image_size, a detector none")


def _train(paths: Paths, job: Job, folder: Path) -> None:
    from components.models import catalog, summary
    from components.train import curves, precision
    from components.train.saving import save_model
    from pipelines.pretrained import weights_file

    model, config = job.model, job.model.train
    design = catalog.Design(model.task, model.architecture, len(job.dataset.classes), model.image_size, config.dropout)
    catalog.refuse_unknown(design)
    _refuse_train_size(model)
    policy = precision.prepare(config.mixed_precision, job.seed)
    flexible = replace(design, image_size=None) if model.train_size else design
    network, pretrained = catalog.build(flexible, weights_file(paths, model.weights))
    log.info("%s: %s parameters, %s", model.name, f"{network.count_params():,}", policy)
    outcome, history, live = _fit(paths, job, design, (network, pretrained))
    serving = catalog.serving_model(network, design)
    save_model(serving, folder / "model.keras")
    history.to_csv(folder / "history.csv", index=False)
    curves.draw_curves(history, outcome.best_epoch, f"{model.name} on {model.task}", folder / "curves.png")
    digest = sha256(folder / "model.keras")
    known = {"parameters": network.count_params(), "flops": summary.total_flops(serving), "precision": policy, "model_sha256": digest}
    about = {"name": model.name, "classes": job.dataset.classes, "data_digest": job.data_digest, "seed": job.seed, **known}
    write_json(folder / "model.json", {**about, **asdict(outcome), "params": parameters(model)})
    if live:
        live.finish(digest)


def _fit(paths: Paths, job: Job, design: "Design", network: "tuple[keras.Model, list[str]]") -> "tuple[Outcome, Any, Any]":
    from components.train.fit import fit
    from pipelines.tracking import Tracking

    name, task = job.model.name, job.model.task
    tags = {"visionloop.data_digest": job.data_digest}
    live = Tracking(paths).start_candidate(task, name, f"{name}-{job.data_digest[:8]}", parameters(job.model), tags)
    rows: list[dict[str, float]] = []

    def report(epoch: int, numbers: dict[str, float]) -> None:
        row = {_metric(key): value for key, value in numbers.items()}
        rows.append({"epoch": epoch, **row})
        told = "  ".join(f"{key} {value:.4g}" for key, value in row.items())
        log.info("%s epoch %d/%d: %s", name, epoch + 1, job.model.train.epochs, told)
        if live:
            live.log_epoch(epoch, row)

    batches = _batches(paths, job)
    best = paths.private / "best" / f"{name}.weights.h5"
    outcome = fit(network[0], _goal(job, design), batches, job.model.train, network[1], best, report)
    return outcome, pd.DataFrame(rows), live


def _metric(key: str) -> str:
    """Keras' name of a number as every run and picture names it: `val_loss` -> `val/loss`."""
    if key == "learning_rate":
        return key
    return f"val/{key[4:]}" if key.startswith("val_") else f"train/{key}"


def _batches(paths: Paths, job: Job) -> "tuple[TrainingBatches, ValidationBatches]":
    from components.augment.augmenter import Augmenter
    from components.train.loader import TrainingBatches, ValidationBatches

    config, size = job.model.train, job.model.image_size
    policy = json.loads((paths.augment(job.model.task) / "policy.json").read_text(encoding="utf-8"))
    augmenter = Augmenter(policy, size, job.seed, job.model.train_size)
    training = TrainingBatches(examples(paths, job.dataset, "train", size), augmenter, config.batch_size, job.seed, config.threads)
    return training, ValidationBatches(examples(paths, job.dataset, "val", size), config.batch_size)


def _goal(job: Job, design: "Design") -> "Goal":
    from components.train.class_loss import ClassLoss
    from components.train.fit import Goal
    from components.train.losses import DetectionLoss

    if design.task == tables.DETECTION:
        return Goal(DetectionLoss(design.num_classes, job.model.image_size), list)
    return Goal(ClassLoss(design.num_classes, job.model.train.label_smoothing), _accuracy)


def _accuracy() -> list[Any]:
    import keras

    return [keras.metrics.SparseCategoricalAccuracy(name="accuracy")]
