"""The evaluate stage for detectors."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.decode import read_image
from components.data.tile_merging import merged
from components.data.tiles import by_photograph
from components.evaluate import slice_scores
from components.evaluate.cost import load_measured
from components.evaluate.detection import coco_metrics
from components.evaluate.detection_confusion import BACKGROUND, confusion
from components.evaluate.detection_curves import errors_picture, f1_picture, precision_recall_picture
from components.evaluate.detection_errors import Cause, decompose
from components.evaluate.detection_matches import Scene, gather, scenes
from components.evaluate.detection_pictures import Load, comparison_grid, worst_first
from components.evaluate.detection_points import Tally, operating_points, precision_recall, tallies, total
from components.evaluate.headlines import box_intervals, counts_at
from components.evaluate.pictures import confusion_picture
from components.predict import detections, latency_ms
from pipelines.paths import Paths
from pipelines.stages import evaluate_robustness, inside
from pipelines.stages.evaluate import SPLITS, Findings, every_class
from pipelines.stages.evaluate_slices import Judged, by_slice
from pipelines.stages.examples import Dataset, in_tiles, pixels, tiling_of

if TYPE_CHECKING:
    from pipelines.settings import Settings

MOST_CELLS = 9  # photographs in a picture of several


@dataclass(frozen=True)
class Seen:
    """Both splits matched with their truth, the operating points that validation chose, and what follows from them."""

    classes: list[str]
    points: dict[str, float]
    scenes: dict[str, list[Scene]]
    tallies: dict[str, dict[str, Tally]]
    errors: dict[str, dict[str, Cause]]
    confusion: NDArray[np.int64]


def evaluate(paths: Paths, settings: "Settings", dataset: Dataset, about: dict[str, Any], files: tuple[Path, Path]) -> Findings:
    """COCO metrics on val and test, predictions.parquet, truth.parquet, operating points, errors and pictures."""
    model_file, folder = files
    size = about["params"]["image_size"]
    model, memory = load_measured(model_file, size)
    classes = every_class(about["classes"], dataset.classes)
    tiled = in_tiles(dataset, about["name"], tiling_of(about["params"]))
    results, found, matched, shown = {}, [], {}, None
    for split in SPLITS:
        images, tiles = dataset.part(split), tiled.part(split)
        shown = pixels(paths, tiles, dataset.task, size)
        rows, truth = merged(detections(model, shown, tiles, classes), tiles), _truth(dataset, images)
        results[split], matched[split] = coco_metrics(truth, rows, images, classes), scenes(truth, rows, images, classes)
        found.append(rows.assign(split=split))
    assert shown is not None
    pd.concat(found, ignore_index=True).to_parquet(folder / "predictions.parquet", index=False)
    images = dataset.images[dataset.images["split"].isin(SPLITS)]
    _truth(dataset, images).drop(columns=["problems", "status"]).to_parquet(folder / "truth.parquet", index=False)
    seen = _seen(matched, classes)
    _draw(paths, settings, dataset, seen, folder / "pictures")
    if len(shown):
        inside.draw_layers(model, np.asarray(shown[0]), "a test image", folder / "pictures")
    metrics = {split: {**_headlines(results[split]), **_shares(total(seen.tallies[split]))} for split in SPLITS}
    told = {**_told(seen), **_by_slice(paths, settings, dataset, seen, folder)}
    told["robustness"] = evaluate_robustness.of_detector(settings, model, dataset, (shown, tiled.part("test"), classes), found[-1], folder)
    if told["robustness"]:
        metrics["test"]["corruption_error"] = told["robustness"]["mean_corruption_error"]
    knobs, groups = settings.evaluate, dataset.part("test")["group_id"].to_numpy()
    limits = box_intervals(matched["test"], classes, seen.points, groups, knobs.rounds, settings.seed)
    if told["robustness"]:
        limits["corruption_error"] = (told["robustness"]["low"], told["robustness"]["high"])
    photographs = by_photograph(shown, tiled.part("test"))
    latency, looks = latency_ms(model, photographs, knobs.latency_images), len(shown) / max(len(photographs), 1)
    return Findings(metrics, results["test"]["per_class"], limits, told, latency, memory, looks)


def _by_slice(paths: Paths, settings: "Settings", dataset: Dataset, seen: Seen, folder: Path) -> dict[str, Any]:
    """What the report says of slices; an image is answered as well as its F1 at the operating points, 1 where nothing is and was found."""
    test, groups = seen.scenes["test"], dataset.part("test")["group_id"].to_numpy()
    true, false, missed = counts_at(test, seen.classes, seen.points).T
    everything = 2 * true + false + missed
    quality = np.divide(2 * true, everything, out=np.ones_like(everything), where=everything > 0)
    found, rounds = gather(test, seen.classes), settings.evaluate.rounds
    load = _loader(paths, dataset)

    def draw(rows: list[int], _title: str) -> None:
        cells = comparison_grid([test[row] for row in rows[:MOST_CELLS]], seen.classes, seen.points, load)
        cv2.imwrite(str(folder / "pictures" / "worst_slice.png"), cells[:, :, ::-1])

    def score(named: Any) -> list[slice_scores.Row]:
        return slice_scores.of_detector(found, groups, named, rounds, settings.seed)

    return by_slice(settings, dataset, Judged(quality, "F1", score, draw), folder)


def _loader(paths: Paths, dataset: Dataset) -> Load:
    images = dataset.part("test")
    files = dict(zip(images["image_id"], images["path"], strict=True))
    return lambda image_id: read_image(paths.data / files[image_id])


def _truth(dataset: Dataset, images: pd.DataFrame) -> pd.DataFrame:
    return dataset.boxes[dataset.boxes["image_id"].isin(images["image_id"])].reset_index(drop=True)


def _seen(matched: dict[str, list[Scene]], classes: list[str]) -> Seen:
    points = operating_points(gather(matched["val"], classes))
    rows = {split: tallies(found, classes, points) for split, found in matched.items()}
    errors = {split: decompose(found, classes) for split, found in matched.items()}
    return Seen(classes, points, matched, rows, errors, confusion(matched["test"], classes, points))


def _headlines(result: dict[str, Any]) -> dict[str, float]:
    """The metrics of all classes together."""
    return {name: value for name, value in result.items() if name.startswith(("map", "ar"))}


def _shares(tally: Tally) -> dict[str, float]:
    return {"precision": tally.precision, "recall": tally.recall, "f1": tally.f1}


def _told(seen: Seen) -> dict[str, Any]:
    """What the report says of the operating points and the errors."""
    return {
        "operating_points": seen.points,
        "at_operating_points": {
            split: {label: {**one._asdict(), **_shares(one)} for label, one in rows.items()} for split, rows in seen.tallies.items()
        },
        "confusion": {"labels": [*seen.classes, BACKGROUND], "counts": seen.confusion.tolist()},
        "errors": {split: {kind: cause._asdict() for kind, cause in rows.items()} for split, rows in seen.errors.items()},
    }


def _draw(paths: Paths, settings: "Settings", dataset: Dataset, seen: Seen, folder: Path) -> None:
    test, load = seen.scenes["test"], _loader(paths, dataset)
    some = np.sort(np.random.default_rng(settings.seed).permutation(len(test))[:MOST_CELLS])
    worst = worst_first(test, seen.classes, seen.points)[: min(settings.evaluate.worst, MOST_CELLS)]
    found = gather(test, seen.classes)
    curves = {label: precision_recall(found, label) for label in seen.classes}
    drawn = {
        "precision_recall": precision_recall_picture(curves, seen.points),
        "f1": f1_picture(curves, seen.points),
        "errors": errors_picture(seen.errors["test"]),
        "predictions": comparison_grid([test[i] for i in some], seen.classes, seen.points, load),
        "worst_errors": comparison_grid(worst, seen.classes, seen.points, load),
    }
    for name, picture in drawn.items():
        cv2.imwrite(str(folder / f"{name}.png"), picture[:, :, ::-1])
    title = f"{seen.confusion[:-1].sum()} boxes on test images, {np.trace(seen.confusion)} found"
    confusion_picture(seen.confusion, [*seen.classes, BACKGROUND], title, folder / "confusion.png")
