"""What it costs to feed a training, and what a training that is fed from disk loses by it.

    python -m benchmarks.feeding FOLDER [--rounds 5] [--images 12800]

FOLDER holds one folder of images a class (CIFAR-10's training images, say). First table: CPU microseconds an image of the
feed alone, by batches and by Albumentations an image at a time, on random pictures of 32 and 224 pixels. Second table:
the course's CIFAR network (582,026 parameters) in batches of 128, by the project's training step with pixels in memory
that nobody augments, by the same fed from the mapped cache with flip, shift and brightness, and by Keras' `fit` with
ImageDataGenerator from the folders with the same. Each is a process of its own; rounds, one pass over the images each,
are interleaved. Printed are medians of CPU microseconds an image and of images a second, the ratios within a round, and
as a gauge what a bare matrix product does here. Seed 0 everywhere.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
BATCH, SIZE, SEED, THREADS = 128, 32, 0, 2
SHIFTED = [
    {"HorizontalFlip": {"p": 0.5}},
    {"Affine": {"translate_percent": [-0.1, 0.1], "border_mode": 1, "p": 1.0}},
    {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.0, "p": 1.0}},
]


def feed_alone() -> None:
    """Print the first table."""
    import cv2

    from components.augment.augmenter import Augmenter
    from components.augment.policies import NAMED

    cv2.setNumThreads(1)
    print(f"{'feed alone, CPU us an image':38} {'batches':>9} {'one by one':>11} {'ratio':>7}")
    for size, count in ((32, 128), (224, 32)):
        pixels = np.random.default_rng(SEED).integers(0, 256, (4 * count, size, size, 3)).astype(np.uint8)
        for name, policy in (("nothing", []), ("flip, shift, brightness", SHIFTED), ("light", NAMED["light"]), ("strong", NAMED["strong"])):
            fast = cost(Augmenter(policy, size, SEED), pixels, count)
            if not policy:
                print(f"{size:4} px  {name:30} {fast:9.1f}")
                continue
            slow = cost(Augmenter([{"Sequential": {"transforms": policy, "p": 1.0}}], size, SEED), pixels, count)
            print(f"{size:4} px  {name:30} {fast:9.1f} {slow:11.1f} {slow / fast:7.1f}")


def cost(augmenter: Any, pixels: Any, count: int) -> float:
    """Median CPU microseconds an image over 9 batches."""
    from components.train.examples import Examples
    from components.train.loader import TrainingBatches

    keys = np.arange(len(pixels), dtype=np.int64)
    batches = TrainingBatches(Examples(pixels, np.zeros(len(pixels), np.int32), keys), augmenter, count, SEED)
    spent = []
    for epoch in range(10):
        start = time.process_time()
        batches.batch(epoch, epoch % len(batches))
        spent.append((time.process_time() - start) / count * 1e6)
    return statistics.median(spent[1:])


def ours(folder: Path, images: int, is_fed: bool) -> Iterator[None]:
    """An epoch of the project's own training step each time."""
    from contextlib import closing

    from components.augment.augmenter import Augmenter
    from components.models.catalog import Design, build
    from components.train import precision
    from components.train.class_loss import ClassLoss, is_correct
    from components.train.examples import Examples
    from components.train.feed import prefetched
    from components.train.loader import TrainingBatches
    from components.train.optimizers import build_optimizer
    from components.train.step import Goal, Step
    from pipelines.settings import load

    import cv2  # isort: skip

    cv2.setNumThreads(1)
    precision.prepare("auto", SEED)
    config = load(ROOT / "params.yaml").models["cnn"].train
    network, _ = build(Design("classification", "cnn", 10, SIZE, 0.0), None)
    step = Step(network, Goal(ClassLoss(10).call, {"accuracy": is_correct}), build_optimizer(config), 0.0, 1)
    with tempfile.TemporaryDirectory() as scratch:
        pixels, labels = mapped(folder, images, Path(scratch))
        given = Examples(pixels if is_fed else np.array(pixels), labels, np.arange(images, dtype=np.int64))
        batches = TrainingBatches(given, Augmenter(SHIFTED if is_fed else [], SIZE, SEED), BATCH, SEED)
        epoch = 0
        while True:
            source: Callable[[int], Any] = lambda number, epoch=epoch: batches.batch(epoch, number)  # noqa: E731
            with closing(prefetched(source, range(len(batches)), THREADS)) if is_fed else closing(resident(given, epoch)) as feed:
                for shown, truth in feed:
                    step.train(shown, truth, 0.001)
            step.take_means()
            epoch += 1
            yield


def resident(given: Any, epoch: int) -> Iterator[Any]:
    """Shuffled batches of arrays in memory, made where they are used."""
    order = np.random.default_rng([SEED, epoch]).permutation(len(given))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        picked = order[start : start + BATCH]
        yield given.pixels[picked], given.targets[picked]


def mapped(folder: Path, images: int, scratch: Path) -> tuple[Any, Any]:
    """The cache of evenly spaced images of the class folders, and their classes."""
    import hashlib

    from components.data.decode import resize_crop
    from components.train.cache import cached_pixels

    kinds = sorted(path for path in folder.iterdir() if path.is_dir())
    found = [(path, label) for label, kind in enumerate(kinds) for path in sorted(kind.iterdir())]
    found = [found[index * len(found) // images] for index in range(images)]
    names = [hashlib.sha256(path.read_bytes()).hexdigest() for path, _ in found]
    pixels = cached_pixels(names, [path for path, _ in found], SIZE, resize_crop, scratch, lambda count: None)
    return pixels, np.array([label for _, label in found], np.int32)


def keras_fit(folder: Path, images: int) -> Iterator[None]:
    """An epoch of Keras' `fit`, fed by ImageDataGenerator with its defaults, each time."""
    import keras
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    from components.models.catalog import Design, build

    keras.utils.set_random_seed(SEED)
    network, _ = build(Design("classification", "cnn", 10, SIZE, 0.0), None)
    network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    generator = ImageDataGenerator(
        horizontal_flip=True, width_shift_range=0.1, height_shift_range=0.1, brightness_range=(0.8, 1.2), fill_mode="nearest"
    )
    shown = generator.flow_from_directory(folder, target_size=(SIZE, SIZE), batch_size=BATCH, class_mode="sparse", seed=SEED)
    while True:
        network.fit(shown, steps_per_epoch=images // BATCH, epochs=1, verbose=0)
        yield


COMPETITORS: dict[str, Callable[[Path, int], Iterator[None]]] = {
    "resident, not augmented": lambda folder, images: ours(folder, images, is_fed=False),
    "from disk, augmented": lambda folder, images: ours(folder, images, is_fed=True),
    "fit + ImageDataGenerator": keras_fit,
}


def work(name: str, folder: Path, images: int) -> None:
    """A competitor's process: an epoch to warm up, then one for each line that comes in, what it took going out."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no measurement
    epochs = COMPETITORS[name](folder, images)
    next(epochs)
    print("ready", file=out, flush=True)
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        next(epochs)
        print(json.dumps([time.process_time() - cpu, time.perf_counter() - wall]), file=out, flush=True)


def gauge() -> float:
    """GFLOP/s of a matrix product, by CPU time."""
    left = np.random.default_rng(SEED).random((1024, 1024), np.float32)
    start = time.process_time()
    for _ in range(10):
        left @ left
    return 10 * 2 * 1024**3 / (time.process_time() - start) / 1e9


def training(folder: Path, images: int, rounds: int) -> None:
    """Print the second table."""
    images = images // BATCH * BATCH
    command = [sys.executable, "-m", "benchmarks.feeding", str(folder), "--images", str(images), "--work"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    workers = {name: subprocess.Popen([*command, name], cwd=ROOT, **pipes) for name in COMPETITORS}
    for name, worker in workers.items():
        if worker.stdout.readline() != "ready\n":
            sys.exit(f"{name} failed; see: {' '.join(command)} '{name}'")
    took: dict[str, list[list[float]]] = {name: [] for name in COMPETITORS}
    gauges = []
    for _ in range(rounds):
        gauges.append(gauge())
        for name, worker in workers.items():
            print("go", file=worker.stdin, flush=True)
            took[name].append(json.loads(worker.stdout.readline()))
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    first, _, last = COMPETITORS
    print("\nspeed by CPU time, and by wall time in brackets, where the named one is 1")
    print(f"{'training':26} {'CPU us':>8} {'images/s':>9} {'resident':>19} {'fit':>19}")
    for name, rows in took.items():
        cpu, wall = (statistics.median(column) for column in zip(*rows, strict=True))
        told = " ".join(f"{speed(took[base], rows, 0):9.2f} ({speed(took[base], rows, 1):7.2f})" for base in (first, last))
        print(f"{name:26} {cpu / images * 1e6:8.0f} {images / wall:9.0f} {told}")
    print(f"{rounds} rounds of {images} images, batch {BATCH}; matrix product {statistics.median(gauges):.0f} GFLOP per CPU second")


def speed(base: list[list[float]], rows: list[list[float]], which: int) -> float:
    """Median over the rounds of how many times as fast as `base` it was; which: 0 CPU time, 1 wall time."""
    return statistics.median(other[which] / row[which] for other, row in zip(base, rows, strict=True))


def main() -> None:
    """Read the arguments and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="one folder of images a class")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=12_800)
    parser.add_argument("--work", choices=COMPETITORS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.work, given.folder, given.images)
        return
    feed_alone()
    training(given.folder.resolve(), given.images, given.rounds)


if __name__ == "__main__":
    main()
