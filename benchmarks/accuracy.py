"""How accurate a network is after a given time of training from scratch, through the product's own engine.

.venv/bin/python benchmarks/accuracy.py cifar10 FOLDER [--cpu-seconds 180] [--seeds 0 1 2] [--networks fast cnn]

FOLDER holds CIFAR-10 as class folders, train/<class>/*.png and test/<class>/*.png. `fast` and `fast_wide` are trained by
components/train/fit.py as RECIPE says and measured as they are served, with `mirror`; `cnn`, the course's network, is trained
by Keras' `fit` as the course does. Every training is a process of its own and ends when it has used so many CPU seconds, user
and system of all threads, of which building, tracing and validating are a part, while importing and decoding are not.
VALIDATION of the training images are held out; nothing is chosen on the test images, and no epoch is chosen at all: the
weights are the last ones. A bare matrix product is timed beside, as a gauge.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

VALIDATION = 5000  # images
RECIPE: dict[str, Any] = {
    "epochs": 100, "batch_size": 1024, "optimizer": "muon", "learning_rate": 0.02, "momentum": 0.6, "weight_decay": 0.0,
    "schedule": "linear", "warmup_epochs": 0.0, "patience": 0, "keep": "last", "ema_decay": 0.0, "mixed_precision": "auto",
    "label_smoothing": 0.2, "dropout": 0.0, "clip_norm": 0.0, "threads": 1,
}  # fmt: skip
POLICY = "shift"
COURSE_BATCH = 128
CLASSES = 10


def decoded(folder: Path) -> tuple[Any, Any]:
    """Pixels (N, 32, 32, 3) uint8 and class indices (N,) int32 of the class folders under `folder`."""
    from components.data.decode import decode

    classes = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if len(classes) != CLASSES:
        raise SystemExit(
            f"{folder} holds {len(classes)} folders, expected CIFAR-10's {CLASSES}: train/<class>/*.png and test/<class>/*.png"
        )
    files = [(path, index) for index, name in enumerate(classes) for path in sorted((folder / name).glob("*.png"))]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pixels = np.stack(list(pool.map(lambda file: decode(file[0].read_bytes()), files)))
    return pixels, np.array([index for _, index in files], np.int32)


def by_the_engine(name: str, data: Any, cpu_seconds: float, seed: int) -> tuple[Any, int, float]:
    """Train a network: what is served, the images it saw, and the CPU seconds it took."""
    from components.augment.augmenter import Augmenter
    from components.augment.policies import NAMED
    from components.data.tables import CLASSIFICATION
    from components.models.catalog import Design, build, serving_model
    from components.train import precision
    from components.train.class_loss import ClassLoss, is_correct
    from components.train.config import TrainConfig
    from components.train.examples import Examples
    from components.train.fit import Session, fit
    from components.train.loader import TrainingBatches, ValidationBatches
    from components.train.step import Goal
    from pipelines.environment import prepare_environment

    start = time.process_time()
    prepare_environment()
    precision.prepare(RECIPE["mixed_precision"], seed)
    design = Design(CLASSIFICATION, name, CLASSES, 32, RECIPE["dropout"], mirror=True)
    network, _ = build(design, None)
    training, validation = (Examples(data[f"{part}_x"], data[f"{part}_y"], np.arange(len(data[f"{part}_y"]))) for part in ("train", "val"))
    batches = TrainingBatches(training, Augmenter(NAMED[POLICY], 32, seed), RECIPE["batch_size"], seed)
    goal = Goal(ClassLoss(CLASSES, RECIPE["label_smoothing"]).call, {"accuracy": is_correct})
    seen = [0]

    def told(done: int, total: int) -> None:
        seen[0] += RECIPE["batch_size"]

    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(**RECIPE, budget=f"{cpu_seconds - (time.process_time() - start):.2f}s")
        session = Session(lambda epoch, numbers: None, Path(folder), checkpoint_seconds=1e9, told=told, clock=time.process_time)
        fit(network, goal, (batches, ValidationBatches(validation, 500)), config, [], session)
    used = time.process_time() - start
    return serving_model(network, design), seen[0], used


def by_keras(data: Any, cpu_seconds: float, seed: int) -> tuple[Any, int, float]:
    """Train the course's network as it does: adam, batches of 128, no augmentation, Keras' own loop."""
    import keras

    from components.models.classifiers.cnn import cnn

    start = time.process_time()
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((32, 32, 3))
    network = keras.Model(pixels, cnn(pixels, CLASSES, 0.0))
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    seen = [0]

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen[0] += COURSE_BATCH
            self.model.stop_training = time.process_time() - start >= cpu_seconds

    x, y = data["train_x"], data["train_y"]
    while time.process_time() - start < cpu_seconds:
        network.fit(x, y, batch_size=COURSE_BATCH, verbose=0, callbacks=[Stop()])
    return network, seen[0], time.process_time() - start


TRAININGS = {"fast": partial(by_the_engine, "fast"), "fast_wide": partial(by_the_engine, "fast_wide"), "cnn": by_keras}


def one(network: str, arrays: Path, cpu_seconds: float, seed: int) -> dict[str, Any]:
    """Train once and measure."""
    from benchmarks.gauge import gauge

    data = {path.stem: np.load(path) for path in arrays.glob("*.npy")}
    flops = gauge()
    model, seen, used = TRAININGS[network](data, cpu_seconds, seed)
    accuracy = {}
    for part in ("val", "test"):
        x, y = data[f"{part}_x"], data[f"{part}_y"]
        answers = np.concatenate([np.asarray(model(x[i : i + 500], training=False)) for i in range(0, len(x), 500)])
        accuracy[part] = float((answers.argmax(axis=1) == y).mean())
    return {"network": network, "seed": seed, "seen": seen, "cpu": used, "gauge": flops, "parameters": model.count_params(), **accuracy}


def cifar10(folder: Path, cpu_seconds: float, seeds: list[int], networks: list[str]) -> None:
    """Print one line a training, and the mean and spread of each network's."""
    with tempfile.TemporaryDirectory() as place:
        arrays = Path(place)
        x, y = decoded(folder / "train")
        order = np.random.default_rng(0).permutation(len(y))
        parts = {"val": (x[order[:VALIDATION]], y[order[:VALIDATION]]), "train": (x[order[VALIDATION:]], y[order[VALIDATION:]])}
        for part, (pixels, labels) in {**parts, "test": decoded(folder / "test")}.items():
            np.save(arrays / f"{part}_x.npy", pixels)
            np.save(arrays / f"{part}_y.npy", labels)
        print(f"{'network':9} {'seed':>5} {'images seen':>12} {'val acc':>8} {'test acc':>9} {'CPU s':>7} {'gauge GFLOP/CPU s':>18}")
        for network in networks:
            rows = [_alone(network, arrays, cpu_seconds, seed) for seed in seeds]
            print(f"{network:9} {'mean':>5} {'':12} {_spread(rows, 'val')} {_spread(rows, 'test')}", flush=True)


def _alone(network: str, arrays: Path, cpu_seconds: float, seed: int) -> dict[str, Any]:
    """`one`, in a process of its own."""
    command = [sys.executable, __file__, "one", network, str(arrays), str(cpu_seconds), str(seed)]
    root = Path(__file__).resolve().parent.parent
    environment = {**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    if run.returncode:
        raise SystemExit(run.stderr)
    row: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    print(f"{network:9} {seed:5} {row['seen']:12,} {row['val']:8.4f} {row['test']:9.4f} {row['cpu']:7.1f} {row['gauge']:18.0f}", flush=True)
    return row


def _spread(rows: list[dict[str, Any]], part: str) -> str:
    values = [row[part] for row in rows]
    return f"{statistics.mean(values):.4f} ({min(values):.4f} to {max(values):.4f})"


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    whole = commands.add_parser("cifar10", help="train on CIFAR-10 for a given time")
    whole.add_argument("folder", type=Path, help="holds train/<class>/*.png and test/<class>/*.png")
    whole.add_argument("--cpu-seconds", type=float, default=180.0)
    whole.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    whole.add_argument("--networks", nargs="+", choices=list(TRAININGS), default=["fast", "cnn"])
    single = commands.add_parser("one")
    single.add_argument("network")
    single.add_argument("arrays", type=Path)
    single.add_argument("cpu_seconds", type=float)
    single.add_argument("seed", type=int)
    given = parser.parse_args()
    if given.command == "one":
        print(json.dumps(one(given.network, given.arrays, given.cpu_seconds, given.seed)))
    else:
        cifar10(given.folder, given.cpu_seconds, given.seeds, given.networks)


if __name__ == "__main__":
    main()
