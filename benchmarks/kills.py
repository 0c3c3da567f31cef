"""Trainings killed at random moments, again and again, end with weights bit-equal to one that nobody disturbs, or do not.

    python -m benchmarks.kills --kills 200

Every training runs in a process of its own, with batch normalisation, dropout, averaged weights, augmentation in
threads and a frozen phase before the fine-tuning, and saves a checkpoint after every batch. It is ended by SIGKILL at a
random moment, started anew, ended again, until it comes to its end. Printed: how many of the kills were followed by an
end with equal weights and an equal history, and after how many batches.
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


def train(folder: Path) -> None:
    """Train once, from a checkpoint if there is one, and write what came of it."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import numpy as np

    from components.augment.augmenter import Augmenter
    from components.augment.policies import NAMED
    from components.train import precision
    from components.train.class_loss import ClassLoss, is_correct
    from components.train.config import TrainConfig
    from components.train.examples import Examples
    from components.train.fit import Session, fit
    from components.train.loader import TrainingBatches, ValidationBatches
    from components.train.step import Goal

    config = TrainConfig(**CONFIG)
    precision.prepare("float32", seed=0)
    rng = np.random.default_rng(0)
    labels = np.arange(IMAGES, dtype=np.int32) % CLASSES
    pixels = (rng.integers(0, 160, (IMAGES, SIZE, SIZE, 3)) + 24 * labels[:, None, None, None]).astype(np.uint8)
    examples = Examples(pixels, labels, np.arange(IMAGES))
    batches = TrainingBatches(examples, Augmenter(NAMED["strong"], SIZE, 0), config.batch_size, 0)
    told = (folder / "epochs").open("a", buffering=1)
    steps = (folder / "steps").open("ab", buffering=0)
    session = Session(
        report=lambda epoch, _: print(epoch, file=told), folder=folder / "checkpoints", key="benchmark", checkpoint_seconds=0.0,
        told=lambda *_: steps.write(b"."),
    )  # fmt: skip
    model = network(config.dropout)
    goal = Goal(ClassLoss(CLASSES, config.label_smoothing).call, {"accuracy": is_correct})
    outcome, rows = fit(model, goal, (batches, ValidationBatches(examples, 16)), config, ["conv1", "bn1", "conv2", "bn2"], session)
    weights = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights())).hexdigest()
    found = {"weights": weights, "rows": rows, "best": [outcome.best_epoch, outcome.best_loss], "epochs": outcome.epochs}
    (folder / "found.partial").write_text(json.dumps(found))
    (folder / "found.partial").rename(folder / "found.json")


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


def start(context: Any, folder: Path) -> BaseProcess:
    """The training, in a process of its own."""
    process: BaseProcess = context.Process(target=train, args=(folder,))
    process.start()
    return process


def undisturbed(context: Any, folder: Path) -> dict[str, Any]:
    """What comes of a training that nobody kills."""
    folder.mkdir()
    start(context, folder).join()
    return dict(json.loads((folder / "found.json").read_text()))


def disturbed(context: Any, folder: Path, rng: random.Random) -> tuple[dict[str, Any], int]:
    """What comes of a training that is killed at random moments until it ends by itself, and how often it was killed.

    A moment is so many batches after the start, and up to 30 ms more: within a batch, a validation, or a checkpoint.
    """
    folder.mkdir()
    steps, kills = folder / "steps", 0
    steps.touch()
    while not (folder / "found.json").exists():
        process = start(context, folder)
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
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "albumentations"])
    rng, kills, equal, trainings = random.Random(arguments.seed), 0, 0, 0
    with tempfile.TemporaryDirectory() as root:
        expected = undisturbed(context, Path(root) / "whole")
        steps = CONFIG["epochs"] * IMAGES // CONFIG["batch_size"]
        print(f"seed {arguments.seed}; a training of {steps} batches ends with weights {expected['weights'][:16]}")
        while kills < arguments.kills:
            trainings += 1
            folder = Path(root) / str(trainings)
            found, killed = disturbed(context, folder, rng)
            kills, equal = kills + killed, equal + (killed if found == expected else 0)
            done = (folder / "steps").stat().st_size
            print(f"training {trainings}: killed {killed} times, {'equal' if found == expected else 'DIFFERENT'}, in {done} batches")
    print(f"{equal} of {kills} kill points resumed bit-equal, over {trainings} trainings")
    return int(equal != kills)


if __name__ == "__main__":
    sys.exit(main())
