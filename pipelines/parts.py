"""What a gate guards, from two evaluation folders: each class's recall, each slice, each corruption, image by image."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.tables import CLASSIFICATION
from components.evaluate.falls import CORRUPTED, Kind, Part, falls
from components.gate import Gate
from components.promote import Falls
from pipelines.evidence import detected, same_images, test_rows

OF_CLASS = "class: "  # slices that are classes: the guard of recall is theirs
SLICES, CORRUPTED_TABLE = "slices.parquet", "corrupted.parquet"

Values = NDArray[np.float64]
Measured = tuple[NDArray[Any], list[Part]]  # the group of each test image, (images,), and what is guarded


class Pair(NamedTuple):
    """What two models found in each test image, (images,)."""

    champion: Values
    candidate: Values


def measure(task: str, gate: Gate, candidate: Path, champion: Path, seed: int, rounds: int) -> Falls:
    """How both folders' models did at every part that the gate guards.

    A classifier's part is measured by its share of right answers, a detector's by the share of boxes found, averaged over
    IoU 0.50 to 0.95 with at most 100 detections an image and class (COCO's AR).
    """
    lacking = missing(gate, candidate, champion)
    if lacking:
        return Falls(missing=lacking)
    groups, parts = (_of_classifier if task == CLASSIFICATION else _of_detector)(gate, candidate, champion)
    return Falls(falls(parts, groups, seed, rounds))


def missing(gate: Gate, candidate: Path, champion: Path) -> list[str]:
    """What the gate guards and one of the folders lacks, with the remedy; empty when all can be compared."""
    lacks = []
    if gate.max_slice_drop is not None and not (candidate / SLICES).is_file():
        lack = f"{candidate / SLICES} does not exist: run the evaluate stage again"
        lacks.append(f"max_slice_drop is {gate.max_slice_drop:g}, and {lack}, or set it to null")
    if gate.max_corruption_drop is not None and (lack := _no_corruptions(candidate, champion)):
        lacks.append(f"max_corruption_drop is {gate.max_corruption_drop:g}, and {lack}, or set it to null")
    return lacks


def _no_corruptions(candidate: Path, champion: Path) -> str:
    ours, theirs = (_corrupted(folder) for folder in (candidate, champion))
    for folder, shown in ((candidate, ours), (champion, theirs)):
        if not shown:
            return f"{folder} tells nothing of corrupted images: run the evaluate stage again with evaluate.robustness_images above 0"
    return "" if ours == theirs else "the champion was shown other corrupted images: evaluate both again"


def _corrupted(folder: Path) -> set[Any]:
    """What was shown: image, corruption and severity."""
    path = folder / CORRUPTED_TABLE
    table = pd.read_parquet(path) if path.is_file() else pd.DataFrame()
    return set(table[CORRUPTED[:3]].itertuples(index=False, name=None)) if set(CORRUPTED) <= set(table) else set()


def _of_classifier(gate: Gate, candidate: Path, champion: Path) -> Measured:
    ours, theirs = same_images(candidate, champion), same_images(champion, candidate)
    right = Pair(*(table["correct"].to_numpy(np.float64) for table in (theirs, ours)))
    images, every, labels = ours["image_id"], np.ones(len(ours)), ours["label"].to_numpy()
    parts: list[Part] = []
    if gate.max_recall_drop is not None:
        parts += [_part("class", str(label), right, every, labels == label) for label in sorted(set(labels))]
    parts += [_part("slice", name, right, every, own) for name, own in _members(gate, candidate, images)]
    if gate.max_corruption_drop is not None:
        parts += _corruptions(candidate, champion, images)
    return ours["group_id"].to_numpy(), parts


def _of_detector(gate: Gate, candidate: Path, champion: Path) -> Measured:
    from components.evaluate.detection_matches import boxes_found

    images, models = detected([champion, candidate])
    labels = list(models[0].classes)
    hits = [[boxes_found(model.classes[label]) for label in labels] for model in models]
    wanted = [models[0].classes[label].truths.astype(np.float64) for label in labels]
    parts: list[Part] = []
    if gate.max_recall_drop is not None:
        parts += [Part("class", label, *one) for label, *one in zip(labels, *hits, wanted, strict=True)]
    whole = Pair(*(np.sum(of_model, axis=0) for of_model in hits))
    every = np.sum(wanted, axis=0)
    parts += [_part("slice", name, whole, every, own) for name, own in _members(gate, candidate, images["image_id"])]
    if gate.max_corruption_drop is not None:
        parts += _corruptions(candidate, champion, images["image_id"])
    return images["group_id"].to_numpy(), parts


def _part(kind: Kind, name: str, right: tuple[NDArray[np.float64], ...], wanted: NDArray[np.float64], own: NDArray[np.bool_]) -> Part:
    return Part(kind, name, right[0] * own, right[1] * own, wanted * own)


def _members(gate: Gate, folder: Path, images: "pd.Series[str]") -> Iterator[tuple[str, NDArray[np.bool_]]]:
    if gate.max_slice_drop is None:
        return
    table = test_rows(folder / SLICES)
    for name, rows in table.groupby("slice", sort=True):
        if not str(name).startswith(OF_CLASS):
            yield str(name), images.isin(rows["image_id"]).to_numpy()


def _corruptions(candidate: Path, champion: Path, images: "pd.Series[str]") -> Iterator[Part]:
    """One part a corruption and one of all together: the mean over the severities at which an image was shown."""
    theirs, ours = (pd.read_parquet(folder / CORRUPTED_TABLE) for folder in (champion, candidate))
    every = [table.assign(corruption="of every kind") for table in (theirs, ours)]
    for both in ((theirs, ours), every):
        means = [table.groupby(["corruption", "image_id"])[["found", "wanted"]].mean() for table in both]
        for name in sorted(set(means[0].index.get_level_values(0))):
            before, now = (one.loc[name].reindex(images, fill_value=0.0) for one in means)
            yield Part("corruption", str(name), before["found"].to_numpy(), now["found"].to_numpy(), now["wanted"].to_numpy())
