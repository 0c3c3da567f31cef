"""What it saves a training that TensorFlow keeps the memory of its maps, beside giving it back to the system by malloc.

    python -m benchmarks.allocator [--rounds 3] [--updates 5]

A process of its own trains each network for a few updates on resident tensors, with the allocator that
`pipelines/environment.py` chooses and with malloc, interleaved. Medians, an image: wall milliseconds, CPU milliseconds of the
program and of the system, pages that the system had to give; the ratios are of the same round. Seed 0, `auto` precision.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

NETWORKS = {"efficientnet_lite0": (224, 32), "yolo_lite0": (320, 16), "fast": (32, 1024)}  # pixels, images an update
CLASSES = 10
SWITCH = "TF_CPU_ALLOCATOR_USE_BFC"


def update(name: str) -> Callable[[], Any]:
    """A training step of the product's own engine."""
    size, batch = NETWORKS[name]
    if name.startswith("yolo"):
        from benchmarks import detection_speed

        assert (size, batch) == (detection_speed.SIZE, detection_speed.BATCH)
        return detection_speed.update(name, own_loss=True)
    import numpy as np

    from benchmarks.kills import CONFIG
    from components.models.catalog import Design, build
    from components.train.class_loss import ClassLoss
    from components.train.config import TrainConfig
    from components.train.optimizers import build_optimizer
    from components.train.step import Goal, Step

    network, _ = build(Design("classification", name, CLASSES, size, 0.0), None)
    step = Step(network, Goal(ClassLoss(CLASSES).call, {}), build_optimizer(TrainConfig(**CONFIG)), 0.998, 1)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (batch, size, size, 3)).astype(np.uint8)
    truth = np.eye(CLASSES, dtype=np.float32)[random.integers(0, CLASSES, batch)]
    return lambda: step.train(pixels, truth, 1e-4)


def one(name: str, updates: int) -> None:
    """Train, and print what an image took: wall, user and system milliseconds, page faults."""
    from pipelines.environment import prepare_environment

    prepare_environment()
    from components.train import precision

    precision.prepare("auto", 0)
    call, images = update(name), updates * NETWORKS[name][1]
    for _ in range(2):
        call()
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    for _ in range(updates):
        call()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    print(json.dumps([1e3 * wall / images, 1e3 * user / images, 1e3 * system / images, (after.ru_minflt - before.ru_minflt) / images]))


def measured(name: str, switch: str, updates: int) -> list[float]:
    """`one`, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.allocator", "--one", name, "--updates", str(updates)]
    run = subprocess.run(
        command, env={**os.environ, SWITCH: switch}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    )
    found: list[float] = json.loads(run.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print two lines a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--updates", type=int, default=5)
    parser.add_argument("--one", choices=NETWORKS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        one(given.one, given.updates)
        return
    print(f"{'an image':20} {'':8} {'wall ms':>9} {'user ms':>9} {'system ms':>9} {'pages':>9}")
    for name in NETWORKS:
        rows: dict[str, list[list[float]]] = {"malloc": [], "kept": []}
        for _ in range(given.rounds):
            for kind, switch in (("malloc", "0"), ("kept", "1")):
                rows[kind].append(measured(name, switch, given.updates))
        for kind, values in rows.items():
            print(f"{name:20} {kind:8}" + "".join(f"{statistics.median(column):10.2f}" for column in zip(*values, strict=True)), flush=True)
        wall = statistics.median(a[0] / b[0] for a, b in zip(rows["malloc"], rows["kept"], strict=True))
        cpu = statistics.median((a[1] + a[2]) / (b[1] + b[2]) for a, b in zip(rows["malloc"], rows["kept"], strict=True))
        print(f"{name:20} {wall:.2f} times as fast, {cpu:.2f} by CPU time")


if __name__ == "__main__":
    main()
