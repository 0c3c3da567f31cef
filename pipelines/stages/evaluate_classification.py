"""The evaluate stage for classifiers."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from components.evaluate import classification, pictures, slice_scores
from components.evaluate.calibration import at_temperature
from components.evaluate.cost import load_measured
from components.evaluate.headlines import class_intervals
from components.models.saved import temperature_of
from components.predict import latency_ms, probabilities
from components.train.targets import class_targets
from pipelines.paths import Paths
from pipelines.stages import evaluate_robustness, inside
from pipelines.stages.evaluate import SPLITS, Findings, every_class
from pipelines.stages.evaluate_slices import Judged, by_slice
from pipelines.stages.examples import Dataset, pixels

if TYPE_CHECKING:
    from pipelines.settings import Settings


def evaluate(paths: Paths, settings: "Settings", dataset: Dataset, about: dict[str, Any], files: tuple[Path, Path]) -> Findings:
    """Metrics on val and test, predictions.parquet, truth.parquet and the pictures."""
    model_file, folder = files
    knobs, size, classes = settings.evaluate, about["params"]["image_size"], every_class(about["classes"], dataset.classes)
    model, memory = load_measured(model_file, size)
    metrics, plainly, frames, test, groups, temperature = {}, {}, [], None, [], temperature_of(model)
    for split in SPLITS:
        images = dataset.part(split)
        shown = pixels(paths, images, dataset.task, size)
        found, truth = _widened(probabilities(model, shown), len(classes)), class_targets(images["label"].tolist(), classes)
        metrics[split] = classification.class_metrics(truth, found, knobs.top_k, knobs.calibration_bins)
        plainly[split] = classification.class_metrics(truth, at_temperature(found, 1 / temperature), knobs.top_k, knobs.calibration_bins)
        frames.append(_rows(images, found, classes))
        test, groups = (shown, found, truth), images["group_id"].tolist()
    assert test is not None
    rows = pd.concat(frames, ignore_index=True)
    rows.to_parquet(folder / "predictions.parquet", index=False)
    rows[["image_id", "label"]].to_parquet(folder / "truth.parquet", index=False)
    _draw(settings, classes, test, folder / "pictures")
    worst = _first_of_each(groups, _worst(*test[1:]))[: inside.ERRORS]
    _look_inside(model, (classes, len(about["classes"])), test, worst, folder / "pictures")
    told = _in_depth(settings, dataset, model, (classes, test), folder)
    told["temperature"] = {"temperature": temperature, "without": _sureness(plainly), "with": _sureness(metrics)}
    if told["robustness"]:
        metrics["test"]["corruption_error"] = told["robustness"]["mean_corruption_error"]
    recalls = classification.per_class(test[2], test[1].argmax(axis=1), classes)
    limits = class_intervals(test[2], test[1], (knobs.top_k, knobs.calibration_bins), np.array(groups), knobs.rounds, settings.seed)
    if told["robustness"]:
        limits["corruption_error"] = (told["robustness"]["low"], told["robustness"]["high"])
    return Findings(metrics, recalls, limits, told, latency_ms(model, test[0][:, None], knobs.latency_images), memory)


def _sureness(metrics: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {split: {name: row[name] for name in ("ece", "log_loss")} for split, row in metrics.items()}


def _in_depth(
    settings: "Settings", dataset: Dataset, model: Any, test: tuple[list[str], tuple[Any, Any, Any]], folder: Path
) -> dict[str, Any]:
    """What the report says of slices and of corrupted images; test: the classes, then pixels, probabilities and truth."""
    classes, (shown, found, truth) = test
    images, predicted = dataset.part("test"), found.argmax(axis=1)
    correct, groups = predicted == truth, images["group_id"].to_numpy()

    def draw(rows: list[int], title: str) -> None:
        captions = [(_caption(classes, truth[i], predicted[i], found[i].max()), bool(correct[i])) for i in rows]
        pictures.gallery([np.asarray(shown[i]) for i in rows], captions, title, folder / "pictures" / "worst_slice.png")

    judged = Judged(correct.astype(np.float64), "right", lambda slices: slice_scores.of_classifier(correct, groups, slices), draw)
    return {
        **by_slice(settings, dataset, judged, folder),
        "robustness": evaluate_robustness.of_classifier(settings, model, images, (shown, truth, predicted), folder),
    }


def _widened(found: Any, classes: int) -> Any:
    """Probability 0 for the classes that the model has never heard of."""
    return np.pad(found, ((0, 0), (0, classes - found.shape[1])))


def _rows(images: pd.DataFrame, found: Any, classes: list[str]) -> pd.DataFrame:
    rows = images[["image_id", "path", "group_id", "split", "label"]].copy()
    rows["predicted"] = [classes[number] for number in found.argmax(axis=1)]
    rows["confidence"] = found.max(axis=1).astype(np.float64)
    rows["correct"] = rows["predicted"] == rows["label"]
    return rows


def _draw(settings: "Settings", classes: list[str], test: tuple[Any, Any, Any], folder: Path) -> None:
    shown, found, truth = test
    predicted, confidence = found.argmax(axis=1), found.max(axis=1)
    matrix = classification.confusion(truth, predicted, len(classes))
    title = f"{len(truth)} test images, {np.mean(predicted == truth):.1%} right"
    pictures.confusion_picture(matrix, classes, title, folder / "confusion.png")
    pictures.reliability_picture(confidence, predicted == truth, settings.evaluate.calibration_bins, folder / "reliability.png")
    some = np.sort(np.random.default_rng(settings.seed).permutation(len(truth))[:18])
    worst = _worst(found, truth)[: settings.evaluate.worst]
    for rows, title, name in ((some, "predictions on test images", "predictions"), (worst, "the most confident errors", "worst_errors")):
        captions = [(_caption(classes, truth[i], predicted[i], confidence[i]), bool(predicted[i] == truth[i])) for i in rows]
        pictures.gallery([np.asarray(shown[i]) for i in rows], captions, title, folder / f"{name}.png")


def _look_inside(model: Any, named: tuple[list[str], int], test: tuple[Any, Any, Any], worst: Any, folder: Path) -> None:
    """The classes are named, the first few of them known to the model; `worst` are the rows shown with heat."""
    (classes, known), (shown, found, truth) = named, test
    answers = np.stack([found.argmax(axis=1)[worst], truth[worst]], axis=1)
    captions = [f"{classes[guess]} {found[i, guess]:.0%}, is {classes[true]}" for i, (guess, true) in zip(worst, answers, strict=True)]
    answers[answers >= known] = -1
    inside.draw_errors(model, np.asarray(shown[worst]), answers, captions, folder / "gradcam.png")
    if len(shown):
        inside.draw_layers(model, np.asarray(shown[0]), f"a test image: {classes[truth[0]]}", folder)


def _worst(found: Any, truth: Any) -> Any:
    """The rows answered wrongly, the most confident first."""
    wrong = np.flatnonzero(found.argmax(axis=1) != truth)
    return wrong[np.argsort(-found.max(axis=1)[wrong], kind="stable")]


def _first_of_each(groups: list[Any], rows: Any) -> Any:
    """The rows without those that show what an earlier one shows."""
    return rows[np.sort(np.unique(np.array([groups[row] for row in rows], str), return_index=True)[1])]


def _caption(classes: list[str], truth: int, predicted: int, confidence: float) -> str:
    guess = f"{classes[predicted]} {confidence:.0%}"
    return guess if truth == predicted else f"{guess}\nis {classes[truth]}"
