"""Large photographs in tiles: where tiles lie, and what of the two tables each of them shows.

Objects that would shrink to a few pixels when a whole photograph is brought to a network's size keep their own in a tile
(sliced training and inference, arXiv:2202.06934).
"""

import hashlib
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

MIN_VISIBLE = 0.3  # of a box's area; also what augmentation asks of a box that it moves
CORNERS = ["x_min", "y_min", "x_max", "y_max"]
WINDOW = ["left", "top", "right", "bottom"]


class Tiling(NamedTuple):
    """Squares of `size` pixels of the photograph, None for the whole of it; neighbours share `overlap` (0..1 of size) or more."""

    size: int | None
    overlap: float


class Tiles(NamedTuple):
    """Photographs in tiles, one row each, and the boxes in them.

    images: the columns of the photographs with image_id, width and height of the tile, source_id, source_width and
    source_height of the photograph, and left, top, right, bottom (pixels of the photograph). boxes: corners 0..1 of the
    tile, image_id the tile's. Counts: boxes `clipped` by a tile's edge, and parts `dropped` because too little showed.
    """

    images: pd.DataFrame
    boxes: pd.DataFrame
    clipped: int
    dropped: int


def windows(width: int, height: int, tiling: Tiling) -> NDArray[np.int64]:
    """left, top, right, bottom (N, 4) in pixels of the tiles that cover a photograph, row by row, evenly spread.

    A photograph no larger than a tile is its own one tile.
    """
    across, down = _spans(width, tiling), _spans(height, tiling)
    return np.array([[left, top, right, bottom] for top, bottom in down for left, right in across], np.int64)


def _spans(length: int, tiling: Tiling) -> list[tuple[int, int]]:
    size = tiling.size
    if size is None or length <= size:
        return [(0, length)]
    step = max(1, size - round(size * tiling.overlap))
    last = -(-(length - size) // step)
    return [(start, start + size) for start in (number * (length - size) // last for number in range(last + 1))]


def tile_id(image_id: str, window: NDArray[np.int64], width: int, height: int) -> str:
    """A SHA-256 that names the tile, as image_id names the photograph; of a tile that shows all of it, image_id itself."""
    if window.tolist() == [0, 0, width, height]:
        return image_id
    return hashlib.sha256(" ".join([image_id, *map(str, window.tolist())]).encode()).hexdigest()


def cut(images: pd.DataFrame, boxes: pd.DataFrame, tiling: Tiling) -> Tiles:
    """The rows of the two tables in tiles; a tile stays in its photograph's split and group.

    A box is in each tile that shows MIN_VISIBLE of its area, and in the one that shows most of it, clipped to the tile.
    """
    by_image = {str(image_id): rows for image_id, rows in boxes.groupby("image_id")}
    places, rows, clipped, dropped = [], [boxes.iloc[:0]], 0, 0
    for number, (image_id, width, height) in enumerate(images[["image_id", "width", "height"]].itertuples(index=False, name=None)):
        found = windows(width, height, tiling)
        names = [tile_id(str(image_id), window, width, height) for window in found]
        places += [(number, name, *window) for name, window in zip(names, found.tolist(), strict=True)]
        own = by_image.get(str(image_id))
        if own is not None:
            shown = visible(own[CORNERS].to_numpy(np.float64) * np.array([width, height] * 2), found)
            rows.append(_in_tiles(own, names, shown))
            clipped += int(shown.clipped.sum())
            dropped += int(shown.dropped.sum())
    return Tiles(_tile_rows(images, places), pd.concat(rows, ignore_index=True), clipped, dropped)


def by_photograph(pixels: NDArray[np.uint8], tiles: pd.DataFrame) -> list[NDArray[np.uint8]]:
    """The pixels (N, ...) of tiles, rows of `cut`'s images, as one array (T, ...) a photograph, in their order."""
    source = tiles["source_id"].to_numpy()
    starts = [at for at in range(len(source)) if not at or source[at] != source[at - 1]]
    return [pixels[start:end] for start, end in pairwise([*starts, len(source)])]


class Shown(NamedTuple):
    """What tiles show of boxes: corners (T, N, 4) in 0..1 of each tile, and which (T, N) are kept, clipped and dropped."""

    corners: NDArray[np.float64]
    kept: NDArray[np.bool_]
    clipped: NDArray[np.bool_]
    dropped: NDArray[np.bool_]


def visible(corners: NDArray[np.float64], tiles: NDArray[np.int64]) -> Shown:
    """What `tiles` (T, 4) show of boxes (N, 4), both x_min, y_min, x_max, y_max in pixels of the photograph."""
    low, high = tiles[:, None, :2], tiles[:, None, 2:]
    inside = np.concatenate([np.clip(corners[None, :, :2], low, high), np.clip(corners[None, :, 2:], low, high)], axis=-1)
    area = np.prod(corners[:, 2:] - corners[:, :2], axis=-1)
    part = np.prod(inside[..., 2:] - inside[..., :2], axis=-1)
    share = np.divide(part, area[None], out=np.zeros_like(part), where=area > 0)
    most = np.arange(len(tiles))[:, None] == share.argmax(axis=0)
    kept = (share >= MIN_VISIBLE) | most
    fractions = (inside - np.tile(low, 2)) / np.tile(high - low, 2)
    return Shown(fractions, kept, kept & (share < 1 - 1e-9), ~kept & (share > 0))


def _in_tiles(own: pd.DataFrame, names: list[str], shown: Shown) -> pd.DataFrame:
    tile, row = np.nonzero(shown.kept)
    found = own.iloc[row].reset_index(drop=True)
    found[CORNERS] = shown.corners[tile, row]
    found["image_id"] = [names[index] for index in tile]
    return found


def _tile_rows(images: pd.DataFrame, places: list[tuple[int | str, ...]]) -> pd.DataFrame:
    where = pd.DataFrame(places, columns=["number", "image_id", *WINDOW])
    whole = images.iloc[where["number"].to_numpy(np.int64)].reset_index(drop=True)
    sizes = {"width": where["right"] - where["left"], "height": where["bottom"] - where["top"]}
    source = {f"source_{name}": whole[column] for name, column in (("id", "image_id"), ("width", "width"), ("height", "height"))}
    return whole.assign(**source, image_id=where["image_id"], **sizes, **{name: where[name] for name in WINDOW})
