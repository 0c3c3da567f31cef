"""Candidates as the train and evaluate stages leave them, made of almost nothing, for tests of what comes after."""

import atexit
import functools
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from components.data.tables import CLASSIFICATION, DETECTION
from components.gate import Gate
from pipelines.digest import sha256
from pipelines.paths import Paths

IMAGES = 120
CLASSES = ["apple", "banana", "pear"]
UNTRAINED_CLASSES = ["circle", "square", "stripes"]


@functools.cache
def empty_store() -> Path:
    """An MLflow database with its tables and nothing else: creating one takes a second, copying it none."""
    from mlflow import MlflowClient

    path = Path(tempfile.mkdtemp(prefix="visionloop-test-")) / "mlflow.db"
    atexit.register(shutil.rmtree, path.parent, ignore_errors=True)
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


def project(root: Path) -> Paths:
    """A project whose store exists and is empty."""
    paths = Paths(root)
    paths.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), paths.mlflow_store / "mlflow.db")
    return paths


@dataclass(frozen=True)
class Made:
    """A fabricated candidate's two folders and the hash of its model."""

    model_dir: Path
    evaluate_dir: Path
    sha256: str


def keras_file(path: Path, units: int, seed: int) -> None:
    """A tiny classifier of 8 x 8 uint8 images, other bytes for another seed."""
    import keras

    keras.utils.set_random_seed(seed)
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Dense(units)(flat))
    path.parent.mkdir(parents=True, exist_ok=True)
    keras.Model(pixels, outputs).save(path)


def untrained(paths: Paths, name: str, design: Any, classes: list[str]) -> None:
    """A model as the train and evaluate stages leave it, but for the training; a detector's scores are spread over 0..1."""
    import keras

    from components.models import catalog
    from components.train.saving import save_model

    keras.utils.set_random_seed(1)
    network, _ = catalog.build(design, None)
    if design.task == DETECTION:
        spread_scores(network)
    params = {"task": design.task, "architecture": design.architecture, "image_size": design.image_size}
    for folder in (paths.train(name), paths.evaluate(name)):
        folder.mkdir(parents=True)
    save_model(catalog.serving_model(network, design), paths.train(name) / "model.keras")
    (paths.train(name) / "model.json").write_text(json.dumps({"name": name, "classes": classes, "params": params}))
    points = dict.fromkeys(classes, 0.0)
    report = {"model": name, "task": design.task, "classes": classes, "params": params, "operating_points": points}
    (paths.evaluate(name) / "report.json").write_text(json.dumps(report))


def with_untrained(folder: Path) -> Paths:
    """A project with `tiny`, a classifier for 32 pixels, and `tiny_yolo`, a detector for 64, of UNTRAINED_CLASSES."""
    from components.models.catalog import Design

    made = project(folder)
    untrained(made, "tiny", Design(CLASSIFICATION, "cnn", len(UNTRAINED_CLASSES), 32, 0.0), UNTRAINED_CLASSES)
    untrained(made, "tiny_yolo", Design(DETECTION, "yolo", len(UNTRAINED_CLASSES), 64, 0.0), UNTRAINED_CLASSES)
    return made


def enter(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands work in this project, as a user who changed into it."""
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(paths.root)


def spread_scores(network: Any) -> None:
    """Let the last convolutions of a fresh detector, which answer next to 0 everywhere, say something."""
    import keras

    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.use_bias:
            layer.kernel.assign(layer.kernel * 60)


def classifier(
    paths: Paths, name: str, wrong: int, *, seed: int = 0, units: int = 4, test_digest: str = "t" * 64, **metrics: float
) -> Made:
    """A classifier that gets the first `wrong` of 120 test images wrong; its val accuracy is the same share."""
    model_dir, evaluate_dir = paths.train(name), paths.evaluate(name)
    keras_file(model_dir / "model.keras", units, seed)
    rows = [f"{epoch},{1 / (epoch + 1)},{0.1 * epoch},0.001" for epoch in range(4)]
    (model_dir / "history.csv").write_text("\n".join(["epoch,loss,val/accuracy,learning_rate", *rows]) + "\n")
    model_hash = sha256(model_dir / "model.keras")
    write_evaluation(evaluate_dir, name, model_hash, wrong, test_digest, metrics)
    return Made(model_dir, evaluate_dir, model_hash)


def write_evaluation(folder: Path, name: str, model_hash: str, wrong: int, test_digest: str, metrics: dict[str, float]) -> None:
    """report.json, metrics.json, predictions.parquet and one picture."""
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    picture(folder / "pictures" / "confusion.png")
    truth = np.arange(IMAGES) % 3
    correct = np.arange(IMAGES) >= wrong
    rows = {
        "image_id": [f"image{index:03}" for index in range(IMAGES)],
        "group_id": [f"group{index // 2:03}" for index in range(IMAGES)],
        "split": "test",
        "label": [CLASSES[index] for index in truth],
        "predicted": [CLASSES[index] for index in np.where(correct, truth, (truth + 1) % 3)],
        "confidence": 0.9,
        "correct": correct,
    }
    table = pd.DataFrame(rows)
    table.to_parquet(folder / "predictions.parquet")
    report = report_of(name, model_hash, test_digest, table, metrics)
    (folder / "report.json").write_text(json.dumps(report))
    (folder / "metrics.json").write_text(json.dumps(report["metrics"]))
    (folder / "report.html").write_text("<!doctype html><title>a page</title>")


def report_of(name: str, model_hash: str, test_digest: str, table: pd.DataFrame, metrics: dict[str, float]) -> dict[str, Any]:
    """A report with every key the evaluate stage writes."""
    accuracy = float(table["correct"].mean())
    measured = {"val/accuracy": accuracy, "test/accuracy": accuracy, "test/macro_f1": accuracy, "test/ece": 0.02}
    cost = {"cost/parameters": 1000.0, "cost/latency_ms": 2.0, "cost/megabytes": 1.0, "cost/train_seconds": 3.0}
    recalls = table.groupby("label")["correct"].agg(["mean", "size"])
    return {
        "model": name,
        "task": "classification",
        "architecture": "dense",
        "classes": CLASSES,
        "test_digest": test_digest,
        "data_digest": "d" * 64,
        "model_sha256": model_hash,
        "metrics": {**measured, **cost, **metrics},
        "per_class": {label: {"recall": float(row["mean"]), "support": int(row["size"])} for label, row in recalls.iterrows()},
        "params": {"epochs": 4, "learning_rate": 0.001, "weights": None},
        "pictures": ["pictures/confusion.png"],
    }


def picture(path: Path) -> None:
    """A small PNG."""
    from PIL import Image

    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(path)


def settings(**changes: object) -> Any:
    """Settings with only what a promotion reads."""
    limits = {"max_recall_drop": 0.5, "max_slice_drop": None, "max_corruption_drop": None, "min_support": 20, "max_ece_rise": 0.1}
    costs = {"max_size_ratio": 3.0, "max_latency_ratio": 3.0, "latency_ms": None, "max_megabytes": None}
    gate = Gate(**{"metric": "accuracy", "floor": 0.5, "margin": 0.0, **limits, **costs, **changes})
    return SimpleNamespace(seed=7, promote=SimpleNamespace(rounds=500, approval="none", classification=gate, detection=gate))
