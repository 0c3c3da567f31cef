"""What a training needs, made from params.yaml and the split tables."""

import hashlib
import json
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

import components
from components.data import tables
from components.data.tiles import Tiling
from components.errors import UsageError
from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.pretrained import pretrained
from pipelines.stages import batch_size
from pipelines.stages.examples import Dataset, examples, in_tiles, targets
from pipelines.stages.models import parameters

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from components.augment.pipeline import Policy
    from components.models.catalog import Design
    from components.models.detectors.yolov3.anchors import Anchors
    from components.train.loader import TrainingBatches, ValidationBatches
    from components.train.replicas import Replicas
    from components.train.step import Goal
    from pipelines.settings import Model

log = logging.getLogger(__name__)
LEAST_TILE, MOST_OVERLAP = 32, 0.9  # pixels; share of a tile
MIRRORING = ("HorizontalFlip", "D4", "SquareSymmetry")
# Of components/, what may change weights.
DECISIVE = ("augment/**/*.py", "models/**/*.py", "train/**/*.py", "data/decode.py", "data/tiles.py")


@dataclass(frozen=True)
class Job:
    """One training: which model, on what."""

    model: "Model"
    dataset: Dataset
    seed: int
    data_digest: str


def job_of(paths: Paths, model: "Model", dataset: Dataset, seed: int) -> Job:
    """The training of a model on the dataset that the split stage left, a detector's in its tiles.

    Raises UsageError for tiles that cannot be.
    """
    _refuse_tiles(model)
    if model.task == tables.DETECTION:
        dataset = in_tiles(dataset, model.name, Tiling(model.tile_size, model.tile_overlap))
    return Job(model, dataset, seed, sha256(paths.split(model.task) / "images.parquet"))


@dataclass(frozen=True)
class Prepared:
    """A network ready to be trained; `pretrained` names its layers that hold weights already, `key` this very training.

    `model` is what was asked for, with a number in place of `batch_size: auto`; `weights_sha256` that of the file the
    pretrained weights came from, None where there is none.
    """

    model: "Model"
    design: "Design"
    network: "keras.Model"
    pretrained: list[str]
    weights_sha256: str | None
    goal: "Goal"
    batches: "tuple[TrainingBatches, ValidationBatches]"
    precision: str
    key: str
    replicas: "Replicas"


def prepare(paths: Paths, job: Job) -> Prepared:
    """Build the network, fill in its pretrained weights, and decode the images.

    Raises UsageError for what params.yaml asks and cannot be, DataError for images that changed, ServiceError when another
    worker does not come or is gone.
    """
    from components.models import catalog
    from components.train import precision
    from components.train.replicas import choose

    model, config = job.model, job.model.train
    head = catalog.chosen_head(model.architecture, model.head, transfers=model.weights is not None)
    shape = (model.architecture, len(job.dataset.classes), model.image_size, config.dropout, head, model.mirror)
    design = catalog.Design(model.task, *shape, _anchors(job))
    catalog.refuse_unknown(design)
    _refuse_train_size(model)
    policy = precision.prepare(config.mixed_precision, job.seed)
    if precision.is_emulated(policy):
        log.warning("%s: this device only emulates bfloat16, several times slower than float32: set mixed_precision: auto", model.name)
    flexible = replace(design, image_size=None) if model.train_size else design
    start = pretrained(paths, model.weights)
    digest = start.sha256 if start else None
    augmentation = json.loads((paths.augment(model.task) / "policy.json").read_text(encoding="utf-8"))
    _refuse_mirror(model, augmentation)
    decisive = [parameters(model), job.seed, augmentation, policy, digest]
    key = _key(paths, job, decisive)
    replicas = choose(config.strategy, os.environ, log.info)
    with replicas.together():
        replicas.refuse_difference(key)
        network, filled = catalog.build(flexible, start.source if start else None)
    if config.batch_size == "auto":
        size = batch_size.remembered(paths, model.name, key) or batch_size.affordable(model, design, len(job.dataset.part("train")))
        with replicas.together():
            size = replicas.shareable(size)
        job, key = replace(job, model=replace(model, train=replace(config, batch_size=size))), f"{key}/{size}"
    batches = _batches(paths, job, augmentation)
    goal = _goal(job, design, batches[0].examples.targets)
    return Prepared(job.model, design, network, filled, digest, goal, batches, policy, key, replicas)


def _anchors(job: Job) -> "Anchors | None":
    """Anchor boxes found in the training boxes, for an architecture that refines some."""
    from components.models.catalog import REFINE_ANCHORS
    from components.models.detectors.yolov3.anchors import find_anchors, mean_iou, sizes_of

    model = job.model
    if model.architecture not in REFINE_ANCHORS:
        return None
    sizes = sizes_of(targets(job.dataset, "train"))
    anchors = find_anchors(sizes)
    told = ", ".join(f"{width * model.image_size:.0f}×{height * model.image_size:.0f}" for width, height in anchors)
    log.info("%s: anchor boxes of %d boxes, mean IoU %.3f, pixels: %s", model.name, len(sizes), mean_iou(sizes, anchors), told)
    return anchors


def _refuse_tiles(model: "Model") -> None:
    size, overlap, whose = model.tile_size, model.tile_overlap, f"models.{model.name}"
    if size is not None and model.task == tables.CLASSIFICATION:
        raise UsageError(f"{whose} is a classifier with tile_size: {size}; tiles are for detectors: leave it out")
    if size is not None and size < LEAST_TILE:
        raise UsageError(f"{whose}.tile_size is {size} pixels, expected {LEAST_TILE} or more, or null for whole photographs")
    if not 0 <= overlap <= MOST_OVERLAP:
        raise UsageError(f"{whose}.tile_overlap is {overlap}, expected a share of tile_size, 0 to {MOST_OVERLAP}")


def _refuse_train_size(model: "Model") -> None:
    if model.train_size and (model.task == tables.DETECTION or not 32 <= model.train_size <= model.image_size):
        found = f"models.{model.name}.train_size is {model.train_size} pixels"
        raise UsageError(f"{found}: a classifier may have 32 to image_size, a detector none")


def _refuse_mirror(model: "Model", augmentation: "Policy") -> None:
    """Whoever does not train on mirror images has said, or never thought about, that they may be of another class."""
    from components.augment.pipeline import leaves, parts

    if model.mirror and model.task == tables.DETECTION:
        raise UsageError(f"models.{model.name}.mirror is for classifiers: leave it out")
    if model.mirror and not any(parts(entry)[0] in MIRRORING for entry in leaves(augmentation)):
        remedy = "add HorizontalFlip there if a mirror image keeps its class, or leave mirror out"
        raise UsageError(f"models.{model.name}.mirror is true, but augment.{model.task} mirrors nothing: {remedy}")


def _batches(paths: Paths, job: Job, augmentation: Any) -> "tuple[TrainingBatches, ValidationBatches]":
    from components.augment.augmenter import Augmenter
    from components.train.loader import ValidationBatches, training_batches

    config, size = job.model.train, job.model.image_size
    cv2.setNumThreads(1)  # or OpenCV's own threads spin between two calls, at the cost of those that train
    augmenter = Augmenter(augmentation, size, job.seed, job.model.train_size)
    assert config.batch_size != "auto"
    given, classes = examples(paths, job.dataset, "train", size), len(job.dataset.classes)
    training = training_batches(given, augmenter, config.batch_size, config, classes, job.seed)
    return training, ValidationBatches(examples(paths, job.dataset, "val", size), training.batch_size)


def _goal(job: Job, design: "Design", targets: "NDArray[Any]") -> "Goal":
    from components.models.catalog import detection_loss
    from components.train.class_loss import class_loss, is_correct
    from components.train.step import Goal

    if design.task == tables.DETECTION:
        return Goal(detection_loss(design).call, {})
    return Goal(class_loss(job.model.train, targets, design.num_classes).call, {"accuracy": is_correct})


def _key(paths: Paths, job: Job, decisive: list[Any]) -> str:
    """The SHA-256 of everything that decides a training's result: what is `decisive`, and the data.

    Only a checkpoint of the same key is continued, and only workers of the same key train together.
    """
    import keras
    import tensorflow as tf

    folder = paths.split(job.model.task)
    tables_read = [sha256(folder / name) for name in ("images.parquet", "boxes.parquet", "classes.json")]
    root = Path(components.__file__).parent
    # Read from the disk: which modules are loaded by now differs between the processes of one training.
    code = {str(file.relative_to(root)): sha256(file) for pattern in DECISIVE for file in root.glob(pattern)}
    what = json.dumps([decisive, tables_read, code, keras.__version__, tf.__version__], sort_keys=True, default=str)
    return hashlib.sha256(what.encode()).hexdigest()
