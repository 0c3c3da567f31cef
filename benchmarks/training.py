"""How fast the course's CIFAR network (582,026 parameters) trains here, beside Keras' `fit` and PyTorch.

    python -m benchmarks.training FOLDER [--rounds 5] [--threads N] [--torch-python ENVIRONMENT/bin/python]

FOLDER holds one folder of images a class (CIFAR-10's training images, say). Every competitor is a process of its own with
THREADS threads (as many as there are cores), trains one epoch of the same images to warm up and one a round, batch 128; rounds are
interleaved. `keras fit` is float32 on arrays with its defaults. PyTorch computes in bfloat16, channels last, with its
fused Adam; resident, its DataLoader hands out whole batches of a tensor in memory; from disk it decodes, flips, shifts
and brightens in worker processes (ImageFolder, torchvision v2). Ours is components/train/fit.py; from disk it reads the
mapped cache and augments in threads. TORCH_PYTHON is an interpreter that has torch and torchvision.

Printed: medians of images a second and of CPU microseconds an image, their ratios to the first line in the same round,
and as a gauge what a bare matrix product of this machine does meanwhile, with the images a second it would allow.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BATCH, SIZE, SEED = 128, 32, 0
FLIP, SHIFT, BRIGHTNESS = 0.5, 0.1, 0.2
# Multiply-adds count twice; the first layer needs no gradient of its inputs.
FORWARD = 2 * (1024 * 27 * 32 + 256 * 288 * 64 + 64 * 576 * 64 + 4096 * 128 + 128 * 10)
FLOPS = 3 * FORWARD - 2 * 1024 * 27 * 32
TABLE = (
    ("keras fit", "keras"), ("ours, resident", "resident"), ("torch, resident", "torch-resident"), ("ours, from disk", "disk"),
    ("torch, from disk", "torch-disk"),
)  # fmt: skip


class Rounds:
    """A worker's side: called after every epoch, says what it took and waits until the next is wanted."""

    def __init__(self) -> None:
        self.out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what a library prints is no measurement
        self.start: tuple[float, float] | None = None

    def __call__(self) -> None:
        """End of an epoch."""
        now = _used()
        if self.start is not None:
            print(json.dumps([now[0] - self.start[0], now[1] - self.start[1]]), file=self.out, flush=True)
        else:
            print("ready", file=self.out, flush=True)
        if not sys.stdin.readline():
            os._exit(0)
        self.start = _used()


def _used() -> tuple[float, float]:
    """Wall seconds, and CPU seconds of this process and of those it started and saw end."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in spent)


def files(folder: Path, images: int) -> Iterator[tuple[Path, int]]:
    """Evenly spaced files of the class folders, with the number of their class."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir())
    found = [(path, label) for label, kind in enumerate(classes) for path in sorted(kind.iterdir())]
    for index in range(images):
        yield found[index * len(found) // images]


def mapped(folder: Path, images: int, scratch: Path) -> tuple[Any, Any]:
    """The product's cache of the images, and their classes."""
    import hashlib

    import numpy as np

    from components.data.decode import resize_crop
    from components.train.cache import cached_pixels

    paths, labels = zip(*files(folder, images), strict=True)
    ids = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    return cached_pixels(ids, list(paths), SIZE, resize_crop, scratch, lambda _: None), np.array(labels, np.int32)


def keras_fit(arguments: argparse.Namespace, rounds: Rounds) -> None:
    """Keras as everyone writes it."""
    import keras
    import numpy as np

    from components.models.classifiers.cnn import cnn

    pixels, labels = mapped(arguments.folder, arguments.images, arguments.scratch)
    pixels = np.array(pixels)
    image = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(image, cnn(image, 10, 0.0))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    while True:
        model.fit(pixels, labels, batch_size=BATCH, verbose=0)
        rounds()


def ours(arguments: argparse.Namespace, rounds: Rounds) -> None:
    """The product's engine, resident or from its cache with augmentation."""
    import keras
    import numpy as np

    from components.augment.augmenter import Augmenter
    from components.models.classifiers.cnn import cnn
    from components.train import precision
    from components.train.class_loss import ClassLoss, is_correct
    from components.train.config import TrainConfig
    from components.train.examples import Examples
    from components.train.fit import Session, fit
    from components.train.loader import TrainingBatches, ValidationBatches
    from components.train.step import Goal
    from pipelines.environment import prepare_environment

    prepare_environment()
    precision.prepare("auto", SEED)
    pixels, labels = mapped(arguments.folder, arguments.images, arguments.scratch)
    shift, light = (-SHIFT, SHIFT), (-BRIGHTNESS, BRIGHTNESS)
    policy: list[dict[str, dict[str, Any]]] = [{"HorizontalFlip": {"p": FLIP}}, {"Affine": {"translate_percent": shift, "p": 1.0}}]
    policy += [{"RandomBrightnessContrast": {"brightness_limit": light, "contrast_limit": 0.0, "p": 1.0}}]
    if arguments.worker == "resident":
        pixels, policy = np.array(pixels), []
    examples = Examples(pixels, labels, np.arange(len(labels)))
    validation = Examples(pixels[:BATCH], labels[:BATCH], np.arange(BATCH))
    batches = TrainingBatches(examples, Augmenter(policy, SIZE, SEED), BATCH, SEED), ValidationBatches(validation, BATCH)
    image = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    model = keras.Model(image, keras.layers.Activation("linear", dtype="float32")(cnn(image, 10, 0.0)))
    config = TrainConfig(
        epochs=10_000, batch_size=BATCH, learning_rate=1e-3, weight_decay=0.0, schedule="constant", warmup_epochs=0.0, patience=0,
        keep="last", ema_decay=0.0, mixed_precision="auto", label_smoothing=0.0, dropout=0.0, clip_norm=0.0, threads=arguments.threads,
    )  # fmt: skip
    session = Session(lambda *_: rounds(), arguments.scratch / arguments.worker, checkpoint_seconds=1e9)
    fit(model, Goal(ClassLoss(10).call, {"accuracy": is_correct}), batches, config, [], session)


def torch_fit(arguments: argparse.Namespace, rounds: Rounds) -> None:
    """PyTorch, whose module imports nothing else of the project."""
    from benchmarks.training_torch import train

    train(arguments, rounds)


def gauge(_: argparse.Namespace, rounds: Rounds) -> None:
    """Twenty products of matrices, of 1024 x 1024 bfloat16 numbers."""
    import tensorflow as tf

    matrix = tf.cast(tf.random.normal((1024, 1024)), tf.bfloat16)
    product = tf.function(lambda x: tf.matmul(x, x))
    while True:
        for _ in range(20):
            product(matrix).numpy()
        rounds()


WORKERS = {
    "gauge": gauge, "keras": keras_fit, "resident": ours, "disk": ours, "torch-resident": torch_fit, "torch-disk": torch_fit,
}  # fmt: skip


def start(python: str, worker: str, arguments: argparse.Namespace, scratch: str) -> subprocess.Popen[str]:
    """A competitor that has trained an epoch and waits."""
    own = [
        str(arguments.folder),
        "--images",
        str(arguments.images),
        "--threads",
        str(arguments.threads),
        "--scratch",
        scratch,
        "--worker",
        worker,
    ]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), "TF_NUM_INTRAOP_THREADS": str(arguments.threads)}
    process = subprocess.Popen(
        [python, str(Path(__file__).resolve()), *own], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=None if arguments.verbose else subprocess.DEVNULL, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout
    if process.stdout.readline() != "ready\n":
        sys.exit(f"{worker} did not start; run with --verbose to see why")
    return process


def once(process: subprocess.Popen[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one epoch."""
    assert process.stdin and process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    wall, cpu = json.loads(process.stdout.readline())
    return wall, cpu


def show(taken: dict[str, list[tuple[float, float]]], images: int) -> None:
    """Medians, and ratios to the first line of the same round."""
    base = next(iter(taken.values()))
    print(f"{'':18} {'images/s':>9} {'ratio':>6} {'CPU us/image':>13} {'ratio':>6}")
    for name, rows in taken.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        ratios = zip(*((first[0] / own[0], first[1] / own[1]) for first, own in zip(base, rows, strict=True)), strict=True)
        speed, thrift = (statistics.median(column) for column in ratios)
        print(f"{name:18} {images / wall:9,.0f} {speed:6.2f} {1e6 * cpu / images:13,.0f} {thrift:6.2f}")


def compare(arguments: argparse.Namespace) -> None:
    """Interleave the competitors' epochs, then print the table."""
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        pythons = {worker: arguments.torch_python if worker.startswith("torch") else sys.executable for _, worker in TABLE}
        running = {name: start(pythons[worker], worker, arguments, scratch) for name, worker in TABLE if pythons[worker]}
        bare = start(sys.executable, "gauge", arguments, scratch)
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in running}
        speeds = []
        for _ in range(arguments.rounds):
            speeds.append([20 * 2 * 1024**3 / spent / 1e9 for spent in once(bare)])
            for name, process in running.items():
                taken[name].append(once(process))
        for process in (*running.values(), bare):
            process.communicate()
    wall, cpu = (statistics.median(column) for column in zip(*speeds, strict=True))
    print(
        f"{arguments.images:,} images an epoch, {arguments.threads} threads, medians of {arguments.rounds} interleaved rounds, seed {SEED}"
    )
    show(taken, arguments.images // BATCH * BATCH)
    print(f"gauge: a bfloat16 product makes {wall:,.0f} GFLOP/s, {cpu:,.0f} a CPU-second; {FLOPS / 1e6:.1f} MFLOP an image would")
    print(f"then allow {1e9 * wall / FLOPS:,.0f} images/s, {FLOPS / cpu / 1e3:,.0f} CPU us/image")


def main() -> None:
    """Compare, or be one of the compared."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12_800, help="an epoch; best a multiple of 128")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of each competitor; 1 where other work shares the cores")
    parser.add_argument("--torch-python", default="", help="interpreter with torch and torchvision; without it PyTorch is left out")
    parser.add_argument("--verbose", action="store_true", help="show what the competitors print")
    parser.add_argument("--worker", choices=WORKERS, help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        WORKERS[arguments.worker](arguments, Rounds())
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
