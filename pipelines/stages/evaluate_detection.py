"""The evaluate stage for detectors."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.decode import read_image
from components.evaluate import detection, detection_matches, detection_pictures
from components.predict import detections, latency_ms, load_model
from pipelines.paths import Paths
from pipelines.stages import inside
from pipelines.stages.evaluate import SPLITS, Findings, every_class
from pipelines.stages.examples import Dataset, pixels

if TYPE_CHECKING:
    from pipelines.settings import Settings

HEADLINES = ("map", "map50", "map75", "ar100")


def evaluate(paths: Paths, settings: "Settings", dataset: Dataset, about: dict[str, Any], files: tuple[Path, Path]) -> Findings:
    """COCO metrics on val and test, predictions.parquet, truth.parquet, operating points and pictures."""
    model_file, folder = files
    model, size = load_model(model_file), about["params"]["image_size"]
    classes = every_class(about["classes"], dataset.classes)
    results, found, shown = {}, [], None
    for split in SPLITS:
        images = dataset.part(split)
        shown = pixels(paths, images, dataset.task, size)
        rows = detections(model, shown, images, classes)
        results[split] = detection.coco_metrics(_truth(dataset, images), rows, images, classes)
        found.append(rows.assign(split=split))
    assert shown is not None
    every = pd.concat(found, ignore_index=True)
    images = dataset.images[dataset.images["split"].isin(SPLITS)]
    every.to_parquet(folder / "predictions.parquet", index=False)
    _truth(dataset, images).drop(columns=["problems", "status"]).to_parquet(folder / "truth.parquet", index=False)
    points = _operating_points(dataset, every, classes)
    _draw(paths, settings, dataset, every[every["split"] == "test"], (classes, points, folder / "pictures"))
    if len(shown):
        inside.draw_layers(model, np.asarray(shown[0]), "a test image", folder / "pictures")
    metrics = {split: {name: result[name] for name in HEADLINES} for split, result in results.items()}
    latency = latency_ms(model, shown, settings.evaluate.latency_images)
    return Findings(metrics, results["test"]["per_class"], {"operating_points": points}, latency)


def _truth(dataset: Dataset, images: pd.DataFrame) -> pd.DataFrame:
    return dataset.boxes[dataset.boxes["image_id"].isin(images["image_id"])].reset_index(drop=True)


def _operating_points(dataset: Dataset, every: pd.DataFrame, classes: list[str]) -> dict[str, float]:
    """The confidence of the best F1 of each class, chosen on validation images."""
    images = dataset.part("val")
    found = detection_matches.matches(_truth(dataset, images), every[every["split"] == "val"].reset_index(drop=True), images, classes)
    return {label: round(detection_matches.best_f1(detection_matches.precision_recall(found, label))[0], 4) for label in classes}


def _draw(paths: Paths, settings: "Settings", dataset: Dataset, found: pd.DataFrame, how: tuple[list[str], dict[str, float], Path]) -> None:
    classes, points, folder = how
    images = dataset.part("test")
    truth, found = _truth(dataset, images), found.reset_index(drop=True)
    files = dict(zip(images["image_id"], images["path"], strict=True))

    def load(image_id: str) -> NDArray[np.uint8]:
        return read_image(paths.data / files[image_id])

    few = images.iloc[np.sort(np.random.default_rng(settings.seed).permutation(len(images))[:9])]
    every = detection_matches.matches(truth, found, images, classes)
    curves = {label: detection_matches.precision_recall(every, label) for label in classes}
    _write(folder / "precision_recall.png", detection_pictures.precision_recall_picture(curves))
    _write(folder / "predictions.png", detection_pictures.comparison_grid(truth, found, few, points, load))
    worst = detection_pictures.worst_images(truth, found, images, points, load, min(settings.evaluate.worst, 9))
    _write(folder / "worst_errors.png", worst)


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    cv2.imwrite(str(path), picture[:, :, ::-1])
