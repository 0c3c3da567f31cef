"""What suppression costs a served detector, and what assignment and loss cost a training.

    python -m benchmarks.detection_speed [--rounds 15] [--architecture yolo] [--threads 1]

Suppression: `Detections` on ANCHORS candidates of CLASSES classes, boxes and scores as a trained detector gives them (a few
hundred close to what is there, the rest background as the focal loss leaves it). Training: one update of a batch at 320 pixels
with resident tensors, by the detector's own loss with its assignment, and by the mean square of its outputs, which costs
nothing; rounds are interleaved. Milliseconds an image, medians; a bare matrix product as a gauge.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

ANCHORS, CLASSES = 8400, 3  # of a picture of 640 pixels
SIZE, BATCH, BOXES, ROWS = 320, 16, 15, 30


def candidates(rng: np.random.Generator) -> tuple[Any, Any]:
    """Boxes (1, ANCHORS, 4) and scores (1, ANCHORS, CLASSES): 20 objects, each found by 15 anchors, and background."""
    low = rng.uniform(0, 0.9, (20, 2))
    truth = np.concatenate([low, low + rng.uniform(0.03, 0.2, (20, 2))], axis=1)
    boxes = np.concatenate([np.repeat(truth, 15, axis=0), rng.uniform(0, 1, (ANCHORS - 300, 4))])
    boxes = boxes + rng.normal(0, 0.005, boxes.shape)
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], axis=1)
    scores = np.minimum(rng.lognormal(-3.9, 0.91, (ANCHORS, CLASSES)), 0.3)  # of 100 scores 78 above 0.01, 16 above 0.05
    scores[np.arange(300), np.repeat(rng.integers(0, CLASSES, 20), 15)] = rng.uniform(0.05, 0.95, 300)
    return boxes[None].astype(np.float32), scores[None].astype(np.float32)


def suppression(rounds: int, least: float) -> tuple[float, float]:
    """Milliseconds an image, of CPU time and of wall time."""
    import tensorflow as tf

    from components.models.detectors.inference import Detections

    layer = Detections(640, least, 0.45, 100)
    some = [candidates(np.random.default_rng(seed)) for seed in range(BATCH)]
    boxes, scores = (tf.constant(np.concatenate(parts)) for parts in zip(*some, strict=True))
    photographs = tf.zeros((BATCH, 640, 640, 3), tf.uint8)
    call = tf.function(lambda: layer([boxes, scores, photographs]))
    cpu, wall = timed(call, 10 * rounds)
    return cpu / BATCH, wall / BATCH


def update(architecture: str, *, own_loss: bool) -> Callable[[], Any]:
    """A training step."""
    import tensorflow as tf

    from benchmarks.kills import CONFIG
    from components.models.catalog import Design, build, detection_loss
    from components.train.config import TrainConfig
    from components.train.optimizers import build_optimizer
    from components.train.step import Goal, Step

    design = Design("detection", architecture, CLASSES, SIZE, 0.0)
    network, _ = build(design, None)
    loss = detection_loss(design).call if own_loss else lambda _, raw: tf.reduce_mean(tf.square(raw), axis=(1, 2))
    step = Step(network, Goal(loss, {}), build_optimizer(TrainConfig(**CONFIG)), 0.998, 1)
    rng = np.random.default_rng(0)
    pixels, truth = rng.integers(0, 256, (BATCH, SIZE, SIZE, 3)).astype(np.uint8), np.full((BATCH, ROWS, 5), -1.0, np.float32)
    low = rng.uniform(0, 0.8, (BATCH, BOXES, 2))
    truth[:, :BOXES] = np.concatenate([rng.integers(0, CLASSES, (BATCH, BOXES, 1)), low, low + rng.uniform(0.05, 0.2, low.shape)], axis=2)
    return lambda: step.train(pixels, truth, 1e-3)


def timed(call: Callable[[], Any], times: int) -> tuple[float, float]:
    """Median milliseconds of a call, CPU and wall, after one to warm up."""
    call()
    taken = []
    for _ in range(times):
        start = time.process_time(), time.perf_counter()
        call()
        taken.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    cpu, wall = (statistics.median(values) * 1e3 for values in zip(*taken, strict=True))
    return cpu, wall


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--architecture", default="yolo")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()

    from pipelines.environment import prepare_environment

    prepare_environment()

    import tensorflow as tf

    from benchmarks.gauge import gauge
    from components.train import precision

    tf.config.threading.set_intra_op_parallelism_threads(given.threads)
    print(f"suppression of {ANCHORS:,} candidates x {CLASSES} classes")
    for score in (0.01, 0.05, 0.25):  # what is evaluated, and two operating points, below which an export answers nothing
        cpu, wall = suppression(given.rounds, score)
        print(f"  from a score of {score}: {cpu:.3f} CPU ms an image, {wall:.3f} ms of wall time")
    print(f"training {given.architecture} in {precision.prepare('auto', 0)}, batches of {BATCH} at {SIZE} pixels, {BOXES} boxes an image")
    steps = {"with its loss": update(given.architecture, own_loss=True), "without": update(given.architecture, own_loss=False)}
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(given.rounds + 1):  # the first warms up
        for name, call in steps.items():
            start = time.process_time()
            call()
            if round_:
                taken[name].append((time.process_time() - start) / BATCH * 1e3)
    for name, values in taken.items():
        print(f"  {name:14} {statistics.median(values):6.1f} CPU ms an image")
    ratio = statistics.median(other / own for own, other in zip(taken["with its loss"], taken["without"], strict=True))
    print(f"  throughput with its loss: {ratio:.0%} of that without; gauge: {gauge():.0f} GFLOP a CPU second")


if __name__ == "__main__":
    main()
