"""How accurate transfer from ImageNet is on the embedded groceries after a given time, through the product's own engine.

.venv/bin/python benchmarks/groceries.py data/classification [--cpu-seconds 360] [--seeds 0 1 2] [--set learning_rate=0.001]

FOLDER holds the class folders of the published split, train/<class>/*.jpg, val/ and test/, as `visionloop data sample` writes
them. EfficientNet-Lite0 is trained by components/train/fit.py as RECIPE says, each seed in a process of its own that ends when
it has used so many CPU seconds, user and system of all threads: building, tracing, augmenting and validating are a part of them,
importing and decoding are not. No epoch is chosen: the weights are the last averages. Beside it stand a linear probe of the
frozen network's features, and the speed of a bare matrix product as a gauge of the hardware.

To choose a setting, `--held-out 0`, `1` or `2` leaves the test images alone: of the training images, clustered within each class
by the frozen features into three, that cluster is held out and measured. Such clusters differ as much from one another as the
test photographs do from the training ones, while a random or a consecutive third is nearly the same pictures again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parent.parent
DATA: dict[str, Any] = {"image_size": 256, "train_size": 192, "policy": "strong", "mirror": True}  # pixels, as params.yaml explains
RECIPE: dict[str, Any] = {
    "epochs": 20, "frozen_epochs": 1, "fine_tune_from": "block4", "batch_size": 32, "optimizer": "adamw", "learning_rate": 0.003,
    "fine_tune_learning_rate": 0.0005, "weight_decay": 0.01, "schedule": "cosine", "warmup_epochs": 1.0, "patience": 0, "keep": "last",
    "ema_decay": 0.98, "mixed_precision": "auto", "label_smoothing": 0.1, "dropout": 0.2, "clip_norm": 1.0, "threads": 1,
}  # fmt: skip
CLUSTERS = 3
PARTS = ("train", "val", "test")
Arrays = dict[str, Any]


def decoded(folder: Path, size: int) -> Arrays:
    """Pixels (N, S, S, 3) uint8 and class indices (N,) int32 of every part, `train_x` and `train_y` and so on."""
    from components.data.decode import read_image, resize_crop

    classes = sorted({path.name for path in folder.glob("*/*") if path.is_dir()})
    if not classes or not all((folder / part).is_dir() for part in PARTS):
        raise SystemExit(f"{folder} holds no {', '.join(PARTS)} with class folders: run `visionloop data sample`, name data/classification")
    arrays: Arrays = {}
    for part in PARTS:
        files = [(path, classes.index(path.parent.name)) for path in sorted((folder / part).glob("*/*")) if path.is_file()]
        arrays[f"{part}_x"] = np.stack([resize_crop(read_image(path), size) for path, _ in files])
        arrays[f"{part}_y"] = np.array([label for _, label in files], np.int32)
    return arrays


def embedded(weights: Path, pixels: Any) -> Any:
    """The frozen network's features (N, 1280), each of length 1."""
    import cv2

    from components.models.features import SIZE, extractor, features

    model = extractor(weights)
    small = [cv2.resize(one, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for one in pixels]
    found = np.concatenate([features(model, np.stack(small[start : start + 64])) for start in range(0, len(small), 64)])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def held_out(arrays: Arrays, vectors: Any, cluster: int) -> Arrays:
    """The training images without one cluster of each class, which takes the test images' place; clusters fall in size."""
    from sklearn.cluster import KMeans

    labels, member = arrays["train_y"], np.zeros(len(vectors), int)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        found = KMeans(CLUSTERS, n_init=20, random_state=0).fit_predict(vectors[rows])
        member[rows] = np.argsort(np.argsort(-np.bincount(found)))[found]
    out = member == cluster
    x, y = arrays["train_x"], labels
    return {**arrays, "train_x": x[~out], "train_y": y[~out], "test_x": x[out], "test_y": y[out]}


def probe(weights: Path, arrays: Arrays) -> tuple[float, float]:
    """Test accuracy of a logistic regression on the frozen features, and the CPU seconds that it took."""
    from sklearn.linear_model import LogisticRegression

    start = time.process_time()
    train, test = (embedded(weights, arrays[f"{part}_x"]) for part in ("train", "test"))
    accuracy = LogisticRegression(C=100.0, max_iter=1000).fit(train, arrays["train_y"]).score(test, arrays["test_y"])
    return float(accuracy), time.process_time() - start


def trained(weights: Path, arrays: Arrays, recipe: dict[str, Any], cpu_seconds: float, seed: int) -> tuple[Any, float, float]:
    """The network as it is served, the epochs it saw, and the CPU seconds it took."""
    from components.augment.augmenter import Augmenter
    from components.augment.policies import resolve
    from components.data.tables import CLASSIFICATION
    from components.models.catalog import Design, build, serving_model
    from components.train import precision
    from components.train.class_loss import class_loss, is_correct
    from components.train.config import TrainConfig
    from components.train.examples import Examples
    from components.train.fit import Session, fit
    from components.train.loader import ValidationBatches, training_batches
    from components.train.step import Goal

    start = time.process_time()
    data = {knob: recipe.pop(knob) for knob in DATA}
    config = TrainConfig(**recipe)
    precision.prepare(config.mixed_precision, seed)
    classes = int(arrays["train_y"].max()) + 1
    design = Design(CLASSIFICATION, "efficientnet_lite0", classes, None, config.dropout)
    network, pretrained = build(design, weights)
    training, validation = (
        Examples(arrays[f"{part}_x"], arrays[f"{part}_y"], np.arange(len(arrays[f"{part}_y"]))) for part in ("train", "val")
    )
    augmenter = Augmenter(resolve(data["policy"], ROOT), data["image_size"], seed, data["train_size"])
    batches = training_batches(training, augmenter, recipe["batch_size"], config, classes, seed)
    goal = Goal(class_loss(config, training.targets, classes).call, {"accuracy": is_correct})
    seen = [0]

    def told(done: int, total: int) -> None:
        seen[0] += batches.batch_size

    with tempfile.TemporaryDirectory() as folder:
        config = TrainConfig(**recipe, budget=f"{cpu_seconds - (time.process_time() - start):.2f}s")
        session = Session(lambda epoch, numbers: None, Path(folder), checkpoint_seconds=1e9, told=told, clock=time.process_time)
        fit(network, goal, (batches, ValidationBatches(validation, 57)), config, pretrained, session)
    used = time.process_time() - start
    return serving_model(network, replace(design, image_size=data["image_size"], mirror=data["mirror"])), seen[0] / len(training), used


def measured(model: Any, pixels: Any, labels: Any) -> tuple[float, float]:
    """Accuracy and cross-entropy (nats) of a model that answers probabilities."""
    answers = np.concatenate([np.asarray(model(pixels[start : start + 32], training=False)) for start in range(0, len(pixels), 32)])
    entropy = -np.log(np.maximum(answers[np.arange(len(labels)), labels], 1e-9))
    return float((answers.argmax(axis=1) == labels).mean()), float(entropy.mean())


def one(weights: Path, place: Path, recipe: dict[str, Any], cpu_seconds: float, seed: int) -> dict[str, Any]:
    """Train once and measure."""
    from benchmarks.gauge import gauge

    arrays = {path.stem: np.load(path) for path in place.glob("*.npy")}
    flops = gauge()
    model, epochs, used = trained(weights, arrays, recipe, cpu_seconds, seed)
    found = {part: measured(model, arrays[f"{part}_x"], arrays[f"{part}_y"]) for part in ("val", "test")}
    return {"seed": seed, "epochs": epochs, "cpu": used, "gauge": flops, **found}


def groceries(given: argparse.Namespace, recipe: dict[str, Any]) -> None:
    """Print the probe's line, one a seed, and their mean and spread."""
    from scipy.stats import binomtest

    arrays = decoded(given.folder, recipe["image_size"])
    if given.held_out is not None:
        arrays = held_out(arrays, embedded(given.weights, arrays["train_x"]), given.held_out)
    count = len(arrays["test_y"])
    name = "test" if given.held_out is None else "held out"
    title = f"{name} acc (n={count}), 95 %"
    print(f"{'':12} {'epochs':>7} {'val acc':>8} {'val loss':>9} {title:>34} {'loss':>7} {'CPU s':>7} {'GFLOP/CPU s':>12}")
    accuracy, seconds = probe(given.weights, arrays)
    print(f"{'linear probe':12} {'':7} {'':8} {'':9} {_interval(binomtest, accuracy, count):>34} {'':7} {seconds:7.1f}", flush=True)
    with tempfile.TemporaryDirectory() as place:
        for key, values in arrays.items():
            np.save(Path(place) / f"{key}.npy", values)
        found = []
        for seed in given.seeds:
            row = _alone(given, Path(place), recipe, seed)
            found.append(row["test"][0])
            accuracy, loss = row["test"]
            print(
                f"{f'seed {seed}':12} {row['epochs']:7.1f} {row['val'][0]:8.4f} {row['val'][1]:9.3f} "
                f"{_interval(binomtest, accuracy, count):>34} {loss:7.3f} {row['cpu']:7.1f} {row['gauge']:12.0f}",
                flush=True,
            )
    spread = f"mean {statistics.mean(found):.4f}, {min(found):.4f} to {max(found):.4f}"
    print(f"{len(found)} seeds: {spread}")


def _interval(binomtest: Any, accuracy: float, count: int) -> str:
    found = binomtest(round(accuracy * count), count).proportion_ci(method="wilson")
    return f"{accuracy:.4f} ({found.low:.3f} to {found.high:.3f})"


def _alone(given: argparse.Namespace, place: Path, recipe: dict[str, Any], seed: int) -> dict[str, Any]:
    """`one`, in a process of its own."""
    command = [sys.executable, __file__, "--one", json.dumps([str(given.weights.resolve()), str(place), recipe, given.cpu_seconds, seed])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    row: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Read the arguments."""
    if sys.argv[1:2] == ["--one"]:
        from pipelines.environment import prepare_environment

        prepare_environment()
        weights, place, recipe, cpu_seconds, seed = json.loads(sys.argv[2])
        print(json.dumps(one(Path(weights), Path(place), recipe, cpu_seconds, seed)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds train/<class>/*.jpg, val/ and test/")
    parser.add_argument(
        "--weights", type=Path, default=ROOT / ".visionloop/weights/efficientnet_lite0.npz", help="fetched by `visionloop data sample`"
    )
    parser.add_argument("--cpu-seconds", type=float, default=360.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--set", action="append", default=[], metavar="KNOB=VALUE", help="another value of the recipe, to compare")
    parser.add_argument("--held-out", type=int, choices=range(CLUSTERS), help="a cluster of the training images to measure on instead")
    given = parser.parse_args()
    changes = dict(change.split("=", 1) for change in given.set)
    groceries(given, {**DATA, **RECIPE, **{knob: yaml.safe_load(value) for knob, value in changes.items()}})


if __name__ == "__main__":
    main()
