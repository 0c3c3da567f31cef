"""Training examples from the tables that the split stage wrote."""

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data import tables
from components.data.tiles import WINDOW, Tiling, cut
from pipelines.paths import Paths

if TYPE_CHECKING:
    from components.train.examples import Examples

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dataset:
    """One task's usable images and boxes, each image with its split, and the class names in order."""

    task: str
    classes: list[str]
    images: pd.DataFrame
    boxes: pd.DataFrame

    @property
    def is_absent(self) -> bool:
        """Whether there is no usable image."""
        return self.images.empty

    def part(self, split: str) -> pd.DataFrame:
        """The images of one split."""
        return self.images[self.images["split"] == split].reset_index(drop=True)


def read_dataset(paths: Paths, task: str) -> Dataset:
    """The task's tables without what is quarantined. Raises DataError when the split stage has not run."""
    folder = paths.split(task)
    images = tables.read(folder / "images.parquet", tables.IMAGES)
    boxes = tables.read(folder / "boxes.parquet", tables.BOXES)
    classes = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
    return Dataset(task, classes, *tables.usable(images, boxes))


def tiling_of(params: Mapping[str, Any]) -> Tiling:
    """The tiles of a model by its recorded parameters; none for models that are older than tiles."""
    return Tiling(params.get("tile_size"), params.get("tile_overlap", 0.0))


def in_tiles(dataset: Dataset, model: str, tiling: Tiling) -> Dataset:
    """The dataset's photographs cut into tiles, which are its images then."""
    tiles = cut(dataset.images, dataset.boxes, tiling)
    if tiling.size is not None:
        what = f"{len(dataset.images)} photographs as {len(tiles.images)} tiles, {len(dataset.boxes)} boxes as {len(tiles.boxes)}"
        log.info("%s: %s, of which %d clipped; %d parts too small to know are left out", model, what, tiles.clipped, tiles.dropped)
    return Dataset(dataset.task, dataset.classes, tiles.images, tiles.boxes)


def pixels(paths: Paths, images: pd.DataFrame, task: str, size: int) -> NDArray[np.uint8]:
    """The images, or tiles of them, at the model's size, (N, size, size, 3) uint8, decoded once and kept on disk."""
    from components.data import decode
    from components.train.cache import Part, cached_pixels

    def letterboxed(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
        return decode.letterbox(image, side)[0]

    resize = letterboxed if task == tables.DETECTION else decode.resize_crop
    files = [paths.data / path for path in images["path"]]
    total = len(files)

    def progress(done: int) -> None:
        if sys.stderr.isatty():
            print(f"\rdecoding {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    names = images["image_id"].tolist()
    if "source_id" not in images:
        return cached_pixels(names, files, size, resize, paths.pixels, progress)
    parts = [Part(name, tuple(window)) for name, window in zip(names, images[WINDOW].to_numpy().tolist(), strict=True)]
    return cached_pixels(images["source_id"].tolist(), files, size, resize, paths.pixels, progress, parts)


def targets(dataset: Dataset, split: str) -> NDArray[Any]:
    """What is true of one split's images: class indices, or boxes in the letterboxed square."""
    from components.train.targets import box_targets, class_targets

    images = dataset.part(split)
    if dataset.task == tables.DETECTION:
        return box_targets(images, dataset.boxes, dataset.classes)
    return class_targets(images["label"].tolist(), dataset.classes)


def examples(paths: Paths, dataset: Dataset, split: str, size: int) -> "Examples":
    """One split's images and targets, ready to batch."""
    from components.train.examples import Examples, image_key

    images = dataset.part(split)
    keys = np.array([image_key(image_id) for image_id in images["image_id"]], np.int64)
    return Examples(pixels(paths, images, dataset.task, size), targets(dataset, split), keys)
