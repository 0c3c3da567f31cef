"""Detections in tiles as detections in the photograph: each object once, and whole where some tile shows it whole.

The rule, class by class. A detection that ends at a tile's inner edge is cut, any other whole. Whole ones are kept by
falling confidence, unless they overlap one of another tile that is kept (IoU of SAME_BOX). A cut one is the same object as
one of another tile if the two overlap so within what both tiles show, or if half of it lies in the other: it goes where
that is whole; where that is cut as well, because no tile shows the object whole, both become the box around them.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.data.boxes import SAME_BOX, overlap, shared
from components.data.tiles import CORNERS, WINDOW

EDGE = 0.02  # of a tile's side: a box that ends so near to an inner edge goes on beyond it
Boxes = NDArray[np.float64]


class Found(NamedTuple):
    """Boxes (N, 4) x_min, y_min, x_max, y_max, the tile (N, 4) of each, in pixels of the photograph, and confidence (N,)."""

    boxes: Boxes
    tiles: Boxes
    confidence: NDArray[np.float64]


def merged(found: pd.DataFrame, tiles: pd.DataFrame) -> pd.DataFrame:
    """Detections of `tiles` (the images of `Tiles`) as those of their photographs, each with falling confidence.

    found: image_id of the tile, label, corners 0..1 of the tile, confidence; the answer has the same columns with image_id
    and corners of the photograph.
    """
    columns = ["source_id", "source_width", "source_height", *WINDOW]
    rows = found.join(tiles.set_index("image_id")[columns], on="image_id")
    frames = [_of_photograph(part)[found.columns] for _, part in rows.groupby("source_id", sort=False)]
    return pd.concat(frames, ignore_index=True) if frames else found


def _of_photograph(rows: pd.DataFrame) -> pd.DataFrame:
    """All classes of one photograph, by falling confidence."""
    whole = rows[["source_width", "source_height"]].iloc[0].to_numpy(np.float64)
    frames = []
    for label, part in rows.groupby("label", sort=False):
        windows = part[WINDOW].to_numpy(np.float64)
        extent = np.tile(windows[:, 2:] - windows[:, :2], 2)
        boxes = part[CORNERS].to_numpy(np.float64) * extent + np.tile(windows[:, :2], 2)
        kept = merge(Found(boxes, windows, part["confidence"].to_numpy(np.float64)), whole)
        frame = pd.DataFrame(kept.boxes / np.tile(whole, 2), columns=CORNERS)
        frames.append(frame.assign(image_id=part["source_id"].iloc[0], label=label, confidence=kept.confidence))
    return pd.concat(frames, ignore_index=True).sort_values("confidence", ascending=False, kind="stable")


def merge(found: Found, photograph: NDArray[np.float64]) -> Found:
    """One class's detections in one photograph, of width and height `photograph` (2,), by the rule above."""
    is_cut = cut_by_edge(found, photograph)
    order = np.lexsort((-found.confidence, is_cut))
    boxes, tiles, confidence, is_cut = found.boxes[order], found.tiles[order], found.confidence[order], is_cut[order]
    members = Found(boxes, tiles, confidence)
    group = np.full(len(boxes), -1)  # the first member of the object that a box belongs to
    for row in range(len(boxes)):
        same = _same(members, row, joins=bool(is_cut[row]))
        group[row] = group[:row][same][0] if same.any() else row
    return _joined(members, group, is_cut)


def cut_by_edge(found: Found, photograph: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which boxes (N,) end at an edge of their tile that is none of the photograph."""
    ends = np.concatenate([np.zeros(2), photograph])
    margin = EDGE * np.tile(found.tiles[:, 2:] - found.tiles[:, :2], 2)
    return ((np.abs(found.boxes - found.tiles) <= margin) & (found.tiles != ends)).any(axis=1)


def _same(found: Found, row: int, *, joins: bool) -> NDArray[np.bool_]:
    """Which earlier boxes (row,) show what box `row` shows; `joins`: it is cut, and what it is a part of counts too."""
    box, tile, boxes, tiles = found.boxes[row], found.tiles[row], found.boxes[:row], found.tiles[:row]
    elsewhere = (tiles != tile).any(axis=1)
    if not joins:
        return elsewhere & (overlap(boxes, box) >= SAME_BOX)
    low, high = np.maximum(tiles[:, :2], tile[:2]), np.minimum(tiles[:, 2:], tile[2:])
    within = overlap(_clipped(boxes, low, high), _clipped(np.broadcast_to(box, boxes.shape), low, high))
    area = np.prod(box[2:] - box[:2])
    return elsewhere & ((within >= SAME_BOX) | (shared(boxes, box) >= SAME_BOX * area))


def _clipped(boxes: Boxes, low: Boxes, high: Boxes) -> Boxes:
    """Boxes (N, 4) within regions from `low` to `high` (N, 2); of no area where the region is empty."""
    top = np.maximum(low, high)
    return np.concatenate([np.clip(boxes[:, :2], low, top), np.clip(boxes[:, 2:], low, top)], axis=1)


def _joined(found: Found, group: NDArray[np.int64], is_cut: NDArray[np.bool_]) -> Found:
    """One box for each group: its first where that is whole, else the box around all; the first has the highest confidence."""
    boxes = found.boxes.copy()
    for row in np.flatnonzero(is_cut & (group == np.arange(len(group)))):
        own = found.boxes[group == row]
        boxes[row] = np.concatenate([own[:, :2].min(axis=0), own[:, 2:].max(axis=0)])
    first = np.flatnonzero(group == np.arange(len(group)))
    return Found(boxes[first], found.tiles[first], found.confidence[first])
