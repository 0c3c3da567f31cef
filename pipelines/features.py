"""Features of a dataset's images, computed once an image and kept on this machine."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.decode import decode, resize_crop
from components.train.cache import verified
from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.pretrained import sample_weights

BATCH = 32

Features = NDArray[np.float32]
Kept = dict[str, NDArray[np.float16]]
Extract = Callable[[NDArray[np.uint8]], Features]


def image_features(paths: Paths, images: pd.DataFrame) -> Features:
    """(N, 1280) float32: the pooled features of each row of the `images` table, by the embedded EfficientNet-Lite0.

    Kept in the private folder under the hash of the weights, by image_id, so that only images never seen before are
    computed. Raises DataError when a file is not the one that was validated, ServiceError when the weights cannot be
    fetched.
    """
    weights = sample_weights(paths)
    place = paths.private / "features" / f"efficientnet_lite0-{sha256(weights)[:16]}.npz"
    known = _known(place)
    fresh = images[~images["image_id"].isin(known)].drop_duplicates("image_id")
    if len(fresh):
        files = [(str(image_id), paths.data / path) for image_id, path in zip(fresh["image_id"], fresh["path"], strict=True)]
        known |= _computed(files, _extract(weights))
        _keep(place, known)
    return np.array([known[image_id] for image_id in images["image_id"]], np.float32)


def _extract(weights: Path) -> Extract:
    from components.models.features import extractor, features

    model = extractor(weights)
    return lambda pixels: features(model, pixels)


def _computed(files: list[tuple[str, Path]], extract: Extract) -> Kept:
    from components.models.features import SIZE

    found: Kept = {}
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            pixels = np.stack(list(pool.map(lambda file: resize_crop(decode(verified(*file)), SIZE), batch)))
            # As they are kept, so that the first answer is the one that later calls give too.
            found |= dict(zip([image_id for image_id, _ in batch], extract(pixels).astype(np.float16), strict=True))
            _progress(start + len(batch), len(files))
    return found


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        print(f"\rlooking at images {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def _known(place: Path) -> Kept:
    if not place.is_file():
        return {}
    with np.load(place, allow_pickle=False) as kept:
        return dict(zip(kept["image_ids"].tolist(), kept["features"], strict=True))


def _keep(place: Path, known: Kept) -> None:
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = place.with_suffix(f".{os.getpid()}.partial.npz")
    try:
        np.savez(partial, allow_pickle=False, image_ids=np.array(list(known)), features=np.array(list(known.values())))
        partial.replace(place)
    finally:
        partial.unlink(missing_ok=True)
