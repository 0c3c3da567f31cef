"""How well detectors find boxes after a given time of training, beside Ultralytics' smallest model on the same cores.

    python -m benchmarks.detection FOLDER [--cpu-seconds 550] [--models yolo yolo_lite0] [--ultralytics-python ENVIRONMENT/bin/python]

FOLDER holds a detection dataset with splits of its own, such as the blood cells of BCCD (Pascal VOC, ImageSets/Main). It
goes through the stages validate, split and augment of a project made for the occasion; each model is then trained by
components/train/fit.py in a process of its own, as RECIPES says, until it has used so many CPU seconds, user and system
of all threads: building, tracing, augmenting and validating are a part of them, importing and decoding are not. Nothing
is chosen on the test images, and no epoch at all: the weights are the last averages. POINTS times on the way the averages
so far are measured on the test images, while the clock stands still: the curve.

Ultralytics' YOLO11n learns from scratch the same pictures at the same size, batches of 16, with its own recipe, for as many
epochs as fit into the CPU seconds by the time its first ones took; its boxes are measured by the same code as ours. It is
AGPL, needs an environment of its own (pip install ultralytics, torch for the CPU), and no part of this project uses it.
A bare matrix product is timed beside, as a gauge.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parent.parent
SIZE = 320  # pixels
POINTS = 8  # of the curve
TASK = "detection"
COMMON: dict[str, Any] = {
    "task": TASK,
    "image_size": SIZE,
    "batch_size": 16,
    "patience": 0,
    "keep": "last",
    "threads": 1,
    "ema_decay": 0.998,
}
RECIPES: dict[str, dict[str, Any]] = {
    "yolo": {
        **COMMON, "architecture": "yolo", "weights": None, "epochs": 100, "learning_rate": 0.003, "weight_decay": 0.05,
        "mosaic": 0.5, "close_mosaic_epochs": 20,
    },
    "yolo_anchors": {
        **COMMON, "architecture": "yolo_anchors", "weights": None, "epochs": 100, "learning_rate": 0.001, "weight_decay": 0.05,
        "mosaic": 0.5, "close_mosaic_epochs": 20,
    },
    "yolo_lite0": {
        **COMMON, "architecture": "yolo_lite0", "weights": "sample", "epochs": 50, "frozen_epochs": 2, "fine_tune_from": "block4",
        "learning_rate": 0.003, "fine_tune_learning_rate": 0.001, "weight_decay": 0.05, "mosaic": 0.5, "close_mosaic_epochs": 10,
    },
}  # fmt: skip
POLICY: Any = "aerial"
METRICS = ("map50", "map", "map75")


def project(folder: Path, place: Path, changes: dict[str, Any]) -> None:
    """A project at `place` whose detection dataset is `folder`, its data stages run."""
    from pipelines import settings
    from pipelines.paths import Paths
    from pipelines.stages import augment, split, validate

    shutil.copytree(folder, place / "data" / TASK)
    for name in ("policies", "expectations", "components", "dvc.yaml"):
        (place / name).symlink_to(ROOT / name)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    raw["augment"][TASK] = POLICY
    raw["data"][TASK]["near_duplicates"] = False  # the published split stands
    raw["models"] = {name: dict(recipe) for name, recipe in RECIPES.items()}
    for key, value in changes.items():
        settings.override(raw, [f"{key}={value}"])
    (place / "params.yaml").write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    if (ROOT / ".visionloop" / "weights").is_dir():
        (place / ".visionloop").mkdir()
        (place / ".visionloop" / "weights").symlink_to(ROOT / ".visionloop" / "weights")
    paths, knobs = Paths(place), settings.load(place / "params.yaml")
    for stage in (validate, split, augment):
        stage.run(paths, knobs)


def measured(found: pd.DataFrame, place: Path, part: str) -> dict[str, float]:
    """COCO's metrics of boxes found on one part."""
    from components.evaluate.detection import coco_metrics
    from pipelines.paths import Paths
    from pipelines.stages.examples import read_dataset

    dataset = read_dataset(Paths(place), TASK)
    images = dataset.part(part)
    result = coco_metrics(dataset.boxes[dataset.boxes["image_id"].isin(images["image_id"])], found, images, dataset.classes)
    return {**{name: result[name] for name in METRICS}, **{label: row["ap50"] for label, row in result["per_class"].items()}}


def ours(name: str, place: Path, cpu_seconds: float, seed: int) -> None:
    """Train one model, printing a line for every point of the curve."""
    from components.models.catalog import serving_model
    from components.predict import detections
    from components.train.fit import Session, Training
    from pipelines import settings
    from pipelines.paths import Paths
    from pipelines.stages.examples import pixels, read_dataset
    from pipelines.stages.training import job_of, prepare

    paths = Paths(place)
    model = settings.load(paths.params).models[name]
    dataset = read_dataset(paths, TASK)
    shown = {part: np.asarray(pixels(paths, dataset.part(part), TASK, model.image_size)) for part in ("train", "val", "test")}
    standing, began = [0.0], time.process_time()

    def clock() -> float:
        return time.process_time() - standing[0]

    prepared = prepare(paths, job_of(paths, model, dataset, seed))
    config = replace(model.train, budget=f"{cpu_seconds - (clock() - began):.2f}s")
    seen = [0]

    def told(done: int, total: int) -> None:
        seen[0] += prepared.batches[0].batch_size

    def tell(network: Any) -> None:
        used, start = clock() - began, time.process_time()
        serving = serving_model(network, prepared.design)
        row: dict[str, Any] = {"model": name, "cpu": used, "images": seen[0], "parameters": network.count_params()}
        for part in ("val", "test"):
            images = dataset.part(part)
            row[part] = measured(detections(serving, shown[part], images, dataset.classes), place, part)
        print(json.dumps(row), flush=True)
        standing[0] += time.process_time() - start

    class Curve(Training):
        """Measures the averages whenever a share of the time is over."""

        point = cpu_seconds / POINTS

        def _end_epoch(self, step: Any, rate: float, is_last: bool) -> None:
            super()._end_epoch(step, rate, is_last)
            if clock() - began >= self.point and not is_last:
                self.point = (int((clock() - began) / cpu_seconds * POINTS) + 1) * cpu_seconds / POINTS
                step.swap()
                tell(self.model)
                step.swap()

    with tempfile.TemporaryDirectory() as folder:
        session = Session(lambda epoch, numbers: None, Path(folder), checkpoint_seconds=1e9, told=told, clock=clock)
        training = Curve(prepared.network, prepared.goal, prepared.batches, config, prepared.pretrained, session)
        training.resume()
        for number in range(len(training.phases)):
            training.run(number)
    tell(prepared.network)


def as_yolo(place: Path, target: Path) -> None:
    """The project's images and boxes in YOLO's layout, images/<part>, labels/<part> and data.yaml; files are named by image."""
    from pipelines.paths import Paths
    from pipelines.stages.examples import read_dataset

    dataset = read_dataset(Paths(place), TASK)
    by_image = dict(list(dataset.boxes[~dataset.boxes["is_crowd"]].groupby("image_id")))
    for part in ("train", "val", "test"):
        for kind in ("images", "labels"):
            (target / kind / part).mkdir(parents=True)
        for image in dataset.part(part).itertuples():
            file = place / "data" / str(image.path)
            (target / "images" / part / f"{image.image_id}{file.suffix}").symlink_to(file)
            rows = [
                f"{dataset.classes.index(box.label)} {(box.x_min + box.x_max) / 2} {(box.y_min + box.y_max) / 2} "
                f"{box.x_max - box.x_min} {box.y_max - box.y_min}"
                for box in by_image[image.image_id].itertuples()
            ]
            (target / "labels" / part / f"{image.image_id}.txt").write_text("\n".join(rows) + "\n")
    about = {
        "path": str(target),
        **{part: f"images/{part}" for part in ("train", "val", "test")},
        "names": dict(enumerate(dataset.classes)),
    }
    (target / "data.yaml").write_text(yaml.safe_dump(about, sort_keys=False))


def theirs(python: str, place: Path, cpu_seconds: float, seed: int) -> None:
    """Train Ultralytics' smallest model in its own environment, printing a line for every point of its curve."""
    target = place / "ultralytics"
    as_yolo(place, target)
    worker = ROOT / "benchmarks" / "detection_ultralytics.py"
    command = [python, str(worker), str(target), str(cpu_seconds), str(SIZE), str(POINTS), str(seed)]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=target)
    assert run.stdout is not None
    for line in run.stdout:
        if line.startswith("{"):
            row = json.loads(line)
            found = pd.read_json(target / row["found"], dtype={"image_id": str})
            tell_row({"model": "YOLO11n", **row, "test": measured(found, place, "test")})
    if run.wait():
        raise SystemExit(f"{python} benchmarks/detection_ultralytics.py ended with {run.returncode}: is ultralytics installed there?")


def tell_row(row: dict[str, Any]) -> None:
    """One point of a curve."""
    numbers = " ".join(f"{row['test'][name]:8.3f}" for name in row["test"])
    val = f"{row['val']['map50']:8.3f} {row['val']['map']:8.3f}" if "val" in row else f"{'':8} {'':8}"
    print(f"{row['model']:12} {row['cpu']:8.0f} {row['images']:8,} {row['parameters']:11,} {val} | {numbers}", flush=True)


def compete(given: argparse.Namespace, place: Path) -> None:
    """Every competitor one after the other."""
    from benchmarks.gauge import gauge
    from pipelines.paths import Paths
    from pipelines.stages.examples import read_dataset

    classes = " ".join(f"{name[:8]:>8}" for name in read_dataset(Paths(place), TASK).classes)
    names = f"{'map50':>8} {'map':>8} {'map75':>8} {classes}"
    print(f"{'model':12} {'CPU s':>8} {'images':>8} {'parameters':>11} {'val50':>8} {'val map':>8} | test: {names[6:]}")
    for name in given.models:
        command = [sys.executable, "-m", "benchmarks.detection", str(place), "--one", name]
        command += ["--cpu-seconds", str(given.cpu_seconds), "--seed", str(given.seed)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        run = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert run.stdout is not None
        for line in run.stdout:
            if line.startswith("{"):
                tell_row(json.loads(line))
        if run.wait():
            raise SystemExit(f"{name} ended with {run.returncode}")
    if given.ultralytics_python:
        theirs(given.ultralytics_python, place, given.cpu_seconds, given.seed)
    print(f"gauge: a bfloat16 product makes {gauge():.0f} GFLOP a CPU second; seed {given.seed}")


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a detection dataset with splits of its own")
    parser.add_argument("--cpu-seconds", type=float, default=550.0)
    parser.add_argument("--models", nargs="*", default=["yolo", "yolo_lite0"], choices=list(RECIPES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a knob, such as models.yolo.epochs=80")
    parser.add_argument("--ultralytics-python", default="", help="interpreter with ultralytics; without it, it is left out")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        from pipelines.environment import prepare_environment

        prepare_environment()
        ours(given.one, given.folder, given.cpu_seconds, given.seed)
        return
    with tempfile.TemporaryDirectory() as folder:
        project(given.folder.resolve(), Path(folder), dict(change.split("=", 1) for change in given.set))
        compete(given, Path(folder))


if __name__ == "__main__":
    main()
