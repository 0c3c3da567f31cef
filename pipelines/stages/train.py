"""Stage `train`: one model of params.yaml, from the split tables to model.keras and what is known of its training."""

import logging
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from components.data import tables
from components.errors import DataError
from pipelines.digest import sha256
from pipelines.folders import replacing
from pipelines.paths import Paths
from pipelines.stages import batch_size, calibrate
from pipelines.stages.examples import Dataset, read_dataset
from pipelines.stages.models import chosen, in_a_line, parameters, write_json
from pipelines.stages.stopping import remembered
from pipelines.stages.training import Job, Prepared, job_of, prepare

if TYPE_CHECKING:
    from components.augment.clipping import BoxCounts
    from components.train.progress import Numbers, Outcome
    from pipelines.settings import Model, Settings
    from pipelines.tracking import LiveRun

log = logging.getLogger(__name__)


def run(paths: Paths, settings: "Settings", name: str) -> None:
    """Write outputs/train/<name>/: model.keras, model.json, history.csv, curves.png and batch.png, the first batch.

    A training that was interrupted goes on from its last checkpoint. SIGINT and SIGTERM save one and raise KeyboardInterrupt.
    A model whose dataset is absent leaves a model.json that says so, and empty files. Raises UsageError for an unknown model or
    architecture, DataError for data that cannot be trained on. Of several workers only the chief writes.
    """
    model = chosen(settings, name)
    dataset = read_dataset(paths, model.task)
    if not _is_chief(model.train.strategy):
        _follow(paths, model, dataset, model.seed)
        return
    with replacing(paths.train(name)) as folder:
        if dataset.is_absent:
            _skip(folder, name, f"data/{model.task} is absent")
            return
        _refuse_untrainable(dataset)
        _train(paths, job_of(paths, model, dataset, model.seed), settings.run.checkpoint_seconds, folder)


def _is_chief(strategy: str) -> bool:
    from components.train.cluster import read_cluster

    return strategy != "multi_worker" or read_cluster(os.environ).index == 0


def _follow(paths: Paths, model: "Model", dataset: Dataset, seed: int) -> None:
    """Train with the chief, as another worker, and leave the writing to it."""
    from components.train.fit import Session, fit

    if dataset.is_absent:
        log.warning("%s skipped: data/%s is absent", model.name, model.task)
        return
    _refuse_untrainable(dataset)
    prepared = prepare(paths, job_of(paths, model, dataset, seed))
    with remembered() as stopping:
        session = Session(_unreported, paths.checkpoints(model.name), stopping=stopping, told=told_batches, replicas=prepared.replicas)
        fit(prepared.network, prepared.goal, prepared.batches, prepared.model.train, prepared.pretrained, session)
    log.info("%s: trained as worker %d; the chief writes the model", model.name, prepared.replicas.worker)


def _unreported(_epoch: int, _numbers: "Numbers") -> None:
    """The chief reports."""


def _skip(folder: Path, name: str, reason: str) -> None:
    from components.train.curves import draw_curves

    history = pd.DataFrame(columns=["epoch", "train/loss", "val/loss", "learning_rate"])
    write_json(folder / "model.json", {"skipped": reason})
    (folder / "model.keras").touch()
    history.to_csv(folder / "history.csv", index=False)
    for picture in ("curves.png", "batch.png"):
        draw_curves(history, 0, f"{name}: {reason}", folder / picture)
    log.warning("%s skipped: %s", name, reason)


def _refuse_untrainable(dataset: Dataset) -> None:
    for split in ("train", "val"):
        if dataset.part(split).empty:
            raise DataError(f"data/{dataset.task} has no image to {split} on: add images, or raise split.{split} in params.yaml")
    if dataset.task == tables.CLASSIFICATION and len(dataset.classes) < 2:
        raise DataError(f"data/classification holds the one class {dataset.classes}; a classifier needs two folders of images at least")
    if dataset.task == tables.DETECTION and dataset.boxes.empty:
        raise DataError("data/detection holds no usable box: annotate some images, then run `visionloop data check data/detection`")


def _train(paths: Paths, job: Job, checkpoint_seconds: float, folder: Path) -> None:
    from components.train import checkpoint
    from pipelines.tracking.live import unless_it_ends

    prepared = prepare(paths, job)
    name, network = job.model.name, prepared.network
    devices = f"{prepared.replicas.count} device{'s' if prepared.replicas.count > 1 else ''}"
    log.info("%s: %s parameters, %s, %s", name, f"{network.count_params():,}", prepared.precision, devices)
    place = paths.checkpoints(name)
    batch_size.remember(paths, name, prepared.key)
    _draw_batch(job, prepared, folder / "batch.png")
    live = _begun(paths, job, prepared)
    outcome, rows = _fit(job, prepared, (place, checkpoint_seconds), live)
    with unless_it_ends(live):
        digest = _write(job, prepared, outcome, rows, folder)
    if live:
        live.finish(digest)
    checkpoint.remove(place)
    batch_size.forget(paths, name)


def _begun(paths: Paths, job: Job, prepared: Prepared) -> "LiveRun | None":
    from pipelines.tracking import Tracking

    name = job.model.name
    tags = {"visionloop.data_digest": job.data_digest, "visionloop.training": prepared.key}
    return Tracking(paths).start_candidate(job.model.task, name, f"{name}-{job.data_digest[:8]}", parameters(prepared.model), tags)


def _write(job: Job, prepared: Prepared, outcome: "Outcome", rows: "list[Numbers]", folder: Path) -> str:
    """model.keras, model.json, history.csv and curves.png; answers the SHA-256 of model.keras."""
    from components.models import catalog, summary
    from components.train import curves
    from components.train.saving import save_model

    name, network, config = job.model.name, prepared.network, job.model.train
    temperature = calibrate.temperature(prepared)
    serving = catalog.serving_model(network, prepared.design, temperature)
    save_model(serving, folder / "model.keras")
    history = pd.DataFrame([{"epoch": epoch, **row} for epoch, row in enumerate(rows)])
    history.to_csv(folder / "history.csv", index=False)
    frozen = config.frozen_epochs if prepared.pretrained and not config.budget else None
    curves.draw_curves(history, outcome.best_epoch, f"{name} on {job.model.task}", folder / "curves.png", frozen)
    digest = sha256(folder / "model.keras")
    cost = {"parameters": network.count_params(), "flops": summary.total_flops(serving), "precision": prepared.precision}
    about = {"name": name, "classes": job.dataset.classes, "data_digest": job.data_digest, "seed": job.seed, "model_sha256": digest, **cost}
    about |= {"weights_sha256": prepared.weights_sha256, "anchors": prepared.design.anchors, "training": prepared.key}
    about["temperature"] = temperature
    trained = {name: value for name, value in asdict(outcome).items() if name != "box_counts" or outcome.box_counts.given}
    write_json(folder / "model.json", {**about, **trained, "params": parameters(prepared.model)})
    if outcome.box_counts.given:
        log.info("%s: %s", name, in_words(outcome.box_counts))
    return digest


def _draw_batch(job: Job, prepared: Prepared, path: Path) -> None:
    import cv2

    from components.train.batch_picture import SHOWN, batch_sheet

    title = f"{job.model.name}: the first batch, as the network is shown it"
    sheet = batch_sheet(*prepared.batches[0].batch(0, 0, slice(SHOWN)), job.dataset.classes, title)
    cv2.imwrite(str(path), sheet[:, :, ::-1])


def in_words(boxes: "BoxCounts") -> str:
    """What augmentation did to boxes, in one line."""
    clipped, dropped = (f"{count:,} ({count / boxes.given:.1%})" for count in (boxes.clipped, boxes.dropped))
    return f"of {boxes.given:,} boxes shown over all epochs augmentation clipped {clipped} and dropped {dropped}"


def _fit(job: Job, prepared: Prepared, checkpoints: tuple[Path, float], live: "LiveRun | None") -> "tuple[Outcome, list[Numbers]]":
    from components.train.fit import Session, fit
    from pipelines.tracking.live import unless_it_ends

    name = job.model.name

    def report(epoch: int, numbers: "Numbers") -> None:
        log.info("%s epoch %d/%d: %s", name, epoch + 1, job.model.train.epochs, in_a_line(numbers))
        if live:
            live.log_epoch(epoch, numbers)

    with remembered() as stopping, unless_it_ends(live):
        session = Session(report, checkpoints[0], prepared.key, checkpoints[1], stopping, told_batches, replicas=prepared.replicas)
        return fit(prepared.network, prepared.goal, prepared.batches, prepared.model.train, prepared.pretrained, session)


def told_batches(done: int, total: int) -> None:
    """Show on a terminal how far an epoch is."""
    if sys.stderr.isatty():
        print(f"\rbatch {done}/{total}", end="\r" if done == total else "", file=sys.stderr, flush=True)
