"""What the evaluate stage says of corrupted test images, for either task."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.augment.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from components.data.tile_merging import merged
from components.evaluate import robustness
from components.evaluate.detection_matches import boxes_found, matches
from components.evaluate.falls import CORRUPTED
from components.predict import detections, probabilities
from components.train.examples import image_key
from pipelines.stages.examples import Dataset

if TYPE_CHECKING:
    from pipelines.settings import Settings

Pixels = NDArray[np.uint8]


TYPES: dict[str, Any] = {"image_id": str, "corruption": str, "severity": np.int64, "found": np.float64, "wanted": np.int64}
NOTHING = pd.DataFrame({name: [] for name in CORRUPTED}).astype(TYPES)
AT_ONCE = 256  # pictures that are corrupted before they are shown


class Shown(NamedTuple):
    """The pictures that are corrupted: `places` (N,) in pixels (M, S, S, 3), the images (N,) they are of, and their keys (N,)."""

    pixels: Pixels
    places: NDArray[np.int64]
    images: NDArray[np.int64]
    keys: NDArray[np.int64]

    def taken(self, some: slice) -> Pixels:
        """Some of them, decoded."""
        return np.asarray(self.pixels[self.places[some]])


def of_classifier(settings: "Settings", model: Any, test: pd.DataFrame, known: tuple[Any, Any, Any], folder: Path) -> dict[str, Any]:
    """Write corrupted.parquet and the pictures; `known`: pixels, truth and answers (N,) of the images as they are."""
    pixels, truth, answers = known
    rows = robustness.chosen(test["label"].tolist(), settings.evaluate.robustness_images, settings.seed)
    images = test["image_id"].to_numpy()[rows]
    shown = _shown(pixels, images, np.arange(len(images)), rows)
    if not len(rows):
        NOTHING.to_parquet(folder / "corrupted.parquet", index=False)
        return {}
    frames = []
    for name, levels, parts in _corrupted(shown):
        right = np.concatenate([probabilities(model, worse).argmax(axis=1) for _, worse in parts]) == truth[rows]
        frames.append(pd.DataFrame({"image_id": images, "corruption": name, "severity": levels, "found": right, "wanted": 1}))
    found = pd.concat(frames, ignore_index=True).astype(TYPES)
    found.to_parquet(folder / "corrupted.parquet", index=False)
    clean = dict(zip(images, (answers == truth)[rows].tolist(), strict=True))
    groups = dict(zip(test["image_id"], test["group_id"], strict=True))
    return _told(robustness.of_classifier(found, clean, groups), shown, folder)


def of_detector(
    settings: "Settings", model: Any, dataset: Dataset, seen: tuple[Pixels, pd.DataFrame, list[str]], clean: pd.DataFrame, folder: Path
) -> dict[str, Any]:
    """Write corrupted.parquet and the pictures; seen: pixels of the tiles, the tiles, the classes; `clean`: found in them as they are."""
    pixels, tiles, classes = seen
    test = dataset.part("test")
    picked = robustness.chosen(test["group_id"].tolist(), settings.evaluate.robustness_images, settings.seed)
    if not len(picked):
        NOTHING.to_parquet(folder / "corrupted.parquet", index=False)
        return {}
    images = test.iloc[picked].reset_index(drop=True)
    source = tiles["source_id" if "source_id" in tiles else "image_id"].map({name: row for row, name in enumerate(images["image_id"])})
    own = np.flatnonzero(source.notna())
    shown = _shown(pixels, images["image_id"].to_numpy(), source.to_numpy()[own].astype(np.int64), own)
    truth = dataset.boxes[dataset.boxes["image_id"].isin(images["image_id"])]
    part, matched, frames = tiles.iloc[own].reset_index(drop=True), {}, []
    for number, (name, _, parts) in enumerate(_corrupted(shown)):
        found = merged(pd.concat([detections(model, worse, part.iloc[some], classes) for some, worse in parts], ignore_index=True), part)
        matched[name] = matches(truth, found, images, classes)
        of_class, at = matched[name].classes.values(), robustness.severities(len(images), number)
        counts = {"found": sum(map(boxes_found, of_class)), "wanted": sum(one.truths for one in of_class)}
        frames.append(pd.DataFrame({"image_id": images["image_id"], "corruption": name, "severity": at, **counts}))
    pd.concat(frames, ignore_index=True).astype(TYPES).to_parquet(folder / "corrupted.parquet", index=False)
    groups, as_they_are = images["group_id"].to_numpy(), matches(truth, clean, images, classes)
    told = robustness.of_detector(matched, as_they_are, groups, settings.evaluate.rounds, settings.seed)
    return _told(told, shown, folder)


def _shown(pixels: Pixels, images: NDArray[np.object_], rows: NDArray[np.int64], places: NDArray[np.int64]) -> Shown:
    """Pictures at `places` (N,) of pixels, of which `rows` (N,) names the image."""
    keys = np.array([image_key(image) for image in images], np.int64)
    return Shown(pixels, places, rows, keys[rows])


def _corrupted(shown: Shown) -> Iterator[tuple[str, NDArray[np.int64], Iterator[tuple[slice, Pixels]]]]:
    """Each corruption's name, the severity (N,) each picture has it at, and the pictures, some at a time."""
    for number, name in enumerate(CORRUPTIONS):
        levels = robustness.severities(int(shown.images.max(initial=-1)) + 1, number)[shown.images]
        yield name, levels, _parts(shown, name, levels)


def _parts(shown: Shown, name: str, levels: NDArray[np.int64]) -> Iterator[tuple[slice, Pixels]]:
    for start in range(0, len(levels), AT_ONCE):
        some = slice(start, start + AT_ONCE)
        worse, keys = shown.taken(some), shown.keys[some]
        for level in np.unique(levels[some]):
            own = levels[some] == level
            worse[own] = corrupted(worse[own], name, int(level), keys[own])
        yield some, worse


def _told(told: dict[str, Any], shown: Shown, folder: Path) -> dict[str, Any]:
    """What the report says, with its two pictures drawn."""
    robustness.severity_picture(told, folder / "pictures" / "robustness.png")
    one, key = shown.taken(slice(1)), shown.keys[:1]
    worse = {name: [corrupted(one, name, level, key)[0] for level in SEVERITIES] for name in CORRUPTIONS}
    cv2.imwrite(str(folder / "pictures" / "corruptions.png"), robustness.corruptions_picture(one[0], worse)[:, :, ::-1])
    return told
