"""Trainings killed at random moments, again and again, end with weights bit-equal to one that nobody disturbs, or do not.

    python -m benchmarks.kills --kills 200 [--task detection]

Every training runs in a process of its own, with batch normalisation, dropout, averaged weights, augmentation in threads and a
frozen phase before the fine-tuning (a detector: by the assignment and loss of `yolo`, on mosaics, until its last epoch; it is a
small one of 64 pixels, for it is built anew after every kill), and saves a checkpoint after every batch. It is ended by SIGKILL
at a random moment, started anew, ended again, until it comes to its end. Printed: how many of the kills were followed by an end
with equal weights and an equal history, and after how many batches.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

IMAGES, SIZE, CLASSES = 64, 16, 4
MOST_STEPS = 12  # a killed training makes of its 40 batches
CONFIG: dict[str, Any] = {
    "epochs": 5, "batch_size": 8, "learning_rate": 0.01, "weight_decay": 1e-3, "schedule": "cosine", "warmup_epochs": 0.5, "patience": 0,
    "keep": "best", "ema_decay": 0.9, "mixed_precision": "float32", "label_smoothing": 0.1, "dropout": 0.3, "clip_norm": 1.0, "threads": 2,
    "frozen_epochs": 2, "fine_tune_from": "conv2", "fine_tune_learning_rate": 0.004,
}  # fmt: skip


def train(task: str, folder: Path) -> None:
    """Train once, from a checkpoint if there is one, and write what came of it."""
    from pipelines.environment import prepare_environment

    prepare_environment()
    from components.train import precision
    from components.train.fit import Session, fit

    precision.prepare("float32", seed=0)
    told = (folder / "epochs").open("a", buffering=1)
    steps = (folder / "steps").open("ab", buffering=0)
    session = Session(
        report=lambda epoch, _: print(epoch, file=told), folder=folder / "checkpoints", key="benchmark", checkpoint_seconds=0.0,
        told=lambda *_: steps.write(b"."),
    )  # fmt: skip
    model, *how = TASKS[task]()
    outcome, rows = fit(model, *how, session)
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
    best, boxes = [outcome.best_epoch, outcome.best_loss], vars(outcome.box_counts)
    found = {"weights": weights, "rows": rows, "best": best, "epochs": outcome.epochs, "boxes": boxes}
    (folder / "found.partial").write_text(json.dumps(found))
    (folder / "found.partial").rename(folder / "found.json")


def classifier() -> tuple[Any, ...]:
    """What `fit` needs to train a small classifier: the network, its goal, batches, knobs and pretrained layers."""
    import numpy as np

    from components.augment.augmenter import Augmenter
    from components.augment.policies import NAMED
    from components.train.class_loss import ClassLoss, is_correct
    from components.train.config import TrainConfig
    from components.train.examples import Examples
    from components.train.loader import TrainingBatches, ValidationBatches
    from components.train.step import Goal

    config = TrainConfig(**CONFIG)
    labels = np.arange(IMAGES, dtype=np.int32) % CLASSES
    pixels = np.random.default_rng(0).integers(0, 160, (IMAGES, SIZE, SIZE, 3)) + 24 * labels[:, None, None, None]
    examples = Examples(pixels.astype(np.uint8), labels, np.arange(IMAGES))
    batches = TrainingBatches(examples, Augmenter(NAMED["strong"], SIZE, 0), CONFIG["batch_size"], 0)
    goal = Goal(ClassLoss(CLASSES, config.label_smoothing).call, {"accuracy": is_correct})
    return network(config.dropout), goal, (batches, ValidationBatches(examples, 16)), config, ["conv1", "bn1", "conv2", "bn2"]


def detector() -> tuple[Any, ...]:
    """Likewise for a detector."""
    import numpy as np

    from components.augment.augmenter import Augmenter
    from components.augment.policies import NAMED
    from components.models.catalog import Design, detection_loss
    from components.train.config import TrainConfig
    from components.train.examples import Examples
    from components.train.loader import ValidationBatches, training_batches
    from components.train.step import Goal

    config = TrainConfig(**{**CONFIG, "frozen_epochs": 0, "mosaic": 0.5, "box_mixup": 0.2, "close_mosaic_epochs": 1})
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 0.6, (IMAGES, 3, 2))
    boxes = np.concatenate([rng.integers(0, 2, (IMAGES, 3, 1)), low, low + rng.uniform(0.1, 0.4, low.shape)], axis=2).astype(np.float32)
    examples = Examples(rng.integers(0, 256, (IMAGES, 64, 64, 3)).astype(np.uint8), boxes, np.arange(IMAGES))
    batches = training_batches(examples, Augmenter(NAMED["aerial"], 64, 0), CONFIG["batch_size"], config, 2, 0)
    goal = Goal(detection_loss(Design("detection", "yolo", 2, 64, 0.0)).call, {})
    return rows_network(), goal, (batches, ValidationBatches(examples, 16)), config, []


TASKS = {"classification": classifier, "detection": detector}


def network(dropout: float) -> Any:
    """Two convolutions that pass for pretrained, and a head with batch normalisation and dropout."""
    import keras
    from keras import layers

    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(pixels)
    for number in (1, 2):
        x = layers.Conv2D(8, 3, strides=2, use_bias=False, name=f"conv{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"bn{number}")(x))
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization(name="new_bn")(x))
    return keras.Model(pixels, layers.Dense(CLASSES, name="logits")(layers.Dropout(dropout)(x)))


def rows_network() -> Any:
    """Three convolutions and their maps of strides 8, 16 and 32, as rows of four sides and two classes."""
    import keras
    from keras import layers

    pixels = keras.Input((64, 64, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(pixels)
    for number in (1, 2, 3):
        x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False, name=f"conv{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"bn{number}")(x))
    maps = [x, layers.MaxPooling2D(2)(x), layers.MaxPooling2D(4)(x)]
    shared = layers.Conv2D(6, 1, name="rows")
    return keras.Model(pixels, layers.Concatenate(axis=1, dtype="float32")([layers.Reshape((-1, 6))(shared(one)) for one in maps]))


def start(context: Any, task: str, folder: Path) -> BaseProcess:
    """The training, in a process of its own."""
    process: BaseProcess = context.Process(target=train, args=(task, folder))
    process.start()
    return process


def undisturbed(context: Any, task: str, folder: Path) -> dict[str, Any]:
    """What comes of a training that nobody kills."""
    folder.mkdir()
    start(context, task, folder).join()
    return dict(json.loads((folder / "found.json").read_text()))


def disturbed(context: Any, task: str, folder: Path, rng: random.Random) -> tuple[dict[str, Any], int]:
    """What comes of a training that is killed at random moments until it ends by itself, and how often it was killed.

    A moment is so many batches after the start, and up to 30 ms more: within a batch, a validation, or a checkpoint.
    """
    folder.mkdir()
    steps, kills = folder / "steps", 0
    steps.touch()
    while not (folder / "found.json").exists():
        process = start(context, task, folder)
        end = steps.stat().st_size + rng.randint(0, MOST_STEPS)
        while process.is_alive() and steps.stat().st_size < end:
            time.sleep(0.001)
        process.join(rng.uniform(0, 0.03))
        if process.is_alive():
            os.kill(process.pid or 0, signal.SIGKILL)
            kills += 1
        process.join()
    return dict(json.loads((folder / "found.json").read_text())), kills


def main() -> int:
    """Kill until the number is reached; answers 1 when any training ended otherwise than the undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--task", choices=list(TASKS), default="classification")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "albumentations"])
    rng, kills, equal, trainings = random.Random(arguments.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as root:
        expected = undisturbed(context, arguments.task, Path(root) / "whole")
        steps = CONFIG["epochs"] * IMAGES // CONFIG["batch_size"]
        print(f"seed {arguments.seed}; a training of {steps} batches ends with weights {expected['weights'][:16]}")
        while kills < arguments.kills:
            trainings += 1
            folder = Path(root) / str(trainings)
            found, killed = disturbed(context, arguments.task, folder, rng)
            kills, equal = kills + killed, equal + (killed if found == expected else 0)
            done = (folder / "steps").stat().st_size
            print(f"training {trainings}: killed {killed} times, {'equal' if found == expected else 'DIFFERENT'}, in {done} batches")
    print(f"{equal} of {kills} kill points resumed bit-equal, over {trainings} trainings")
    return int(equal != kills)


if __name__ == "__main__":
    sys.exit(main())
