"""Detections of tiles: each object once, and whole."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.tile_merging import Found, merge, merged
from components.data.tiles import CORNERS, Tiling, cut, visible, windows

LEFT, RIGHT = (0.0, 0.0, 100.0, 100.0), (80.0, 0.0, 180.0, 100.0)
SIZE = np.array([180.0, 100.0])


def found(*rows: tuple[tuple[float, ...], tuple[float, ...], float]) -> Found:
    box, tile, confidence = zip(*rows, strict=True)
    return Found(np.array(box, float), np.array(tile, float), np.array(confidence))


@pytest.mark.parametrize(
    ("name", "rows", "kept"),
    [
        ("a box in the overlap, found twice", [((84, 20, 95, 30), LEFT, 0.6), ((84, 20, 96, 30), RIGHT, 0.9)], [(84, 20, 96, 30)]),
        ("a half with more confidence than the whole", [((70, 20, 90, 30), LEFT, 0.3), ((80, 20, 90, 30), RIGHT, 0.9)], [(70, 20, 90, 30)]),
        ("a sliver off the mark", [((60, 20, 83, 40), LEFT, 0.9), ((80, 25, 82, 32), RIGHT, 0.2)], [(60, 20, 83, 40)]),
        ("larger than the overlap", [((60, 20, 100, 40), LEFT, 0.5), ((80, 20, 130, 40), RIGHT, 0.7)], [(60, 20, 130, 40)]),
        ("two neighbours", [((60, 20, 79, 40), LEFT, 0.5), ((110, 20, 130, 40), RIGHT, 0.7)], [(110, 20, 130, 40), (60, 20, 79, 40)]),
        ("two in a tile are the network's affair", [((10, 20, 30, 40), LEFT, 0.5), ((10, 20, 30, 41), LEFT, 0.4)],
         [(10, 20, 30, 40), (10, 20, 30, 41)]),
        ("at the photograph's edge nothing is cut", [((0, 0, 50, 50), LEFT, 0.5), ((120, 40, 180, 100), RIGHT, 0.7)],
         [(120, 40, 180, 100), (0, 0, 50, 50)]),
        ("a cut one that no other tile found stays", [((90, 20, 100, 40), LEFT, 0.5)], [(90, 20, 100, 40)]),
    ],
)  # fmt: skip
def test_the_rule_worked_by_hand(name: str, rows: list, kept: list) -> None:
    answer = merge(found(*rows), SIZE)
    assert sorted(map(tuple, answer.boxes.tolist())) == sorted(kept), name


def test_an_object_in_four_tiles_and_whole_in_none_is_one_box_with_the_highest_confidence() -> None:
    tiles = windows(180, 180, Tiling(100, 0.2))
    whole = np.array([[40.0, 50.0, 140.0, 150.0]])
    parts = [(*np.maximum(whole[0, :2], tile[:2]), *np.minimum(whole[0, 2:], tile[2:])) for tile in tiles.astype(float)]
    rows = [(part, tuple(tile), confidence) for part, tile, confidence in zip(parts, tiles.astype(float), (0.3, 0.8, 0.5, 0.4), strict=True)]
    answer = merge(found(*rows), np.array([180.0, 180.0]))
    assert answer.boxes.tolist() == whole.tolist() and answer.confidence.tolist() == [0.8]


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000))
def test_objects_no_larger_than_the_overlap_come_back_as_they_are(seed: int) -> None:
    """Objects on a grid, far enough apart, each found in every tile that shows enough of it: each is told once, to the pixel."""
    rng, tiling = np.random.default_rng(seed), Tiling(100, 0.4)
    width, height = rng.integers(60, 400, 2).tolist()
    places = np.stack(np.meshgrid(np.arange(0, width - 45, 45), np.arange(0, height - 45, 45)), -1).reshape(-1, 2)
    low = places + rng.integers(0, 8, places.shape)
    truth = np.concatenate([low, low + rng.integers(10, 36, places.shape)], axis=1).astype(float)
    tiles = windows(width, height, tiling)
    shown = visible(truth, tiles)
    tile, row = np.nonzero(shown.kept)
    extent = np.tile((tiles[:, 2:] - tiles[:, :2]), 2)[tile]
    boxes = shown.corners[tile, row] * extent + np.tile(tiles[:, :2], 2)[tile]
    answer = merge(Found(boxes, tiles[tile].astype(float), rng.random(len(tile))), np.array([width, height], float))
    assert np.sort(answer.boxes.round(6), axis=0) == pytest.approx(np.sort(truth, axis=0))


def test_frames_go_from_tiles_to_photographs_and_classes_do_not_mix() -> None:
    images = pd.DataFrame({"image_id": ["a", "b", "c"], "width": [180, 90, 50], "height": [100, 100, 50]})
    tiles = cut(images, pd.DataFrame({"image_id": []}), Tiling(100, 0.2)).images
    first, second = tiles[tiles["source_id"] == "a"]["image_id"]
    rows = [(first, "x", 0.85, 0.2, 0.95, 0.4, 0.5), (second, "x", 0.05, 0.2, 0.15, 0.4, 0.6), (second, "y", 0.05, 0.2, 0.15, 0.4, 0.9)]
    rows.append(("b", "x", 0.1, 0.2, 0.3, 0.4, 0.7))
    answer = merged(pd.DataFrame(rows, columns=["image_id", "label", *CORNERS, "confidence"]), tiles)
    assert answer[["image_id", "label", "confidence"]].to_numpy().tolist() == [["a", "y", 0.9], ["a", "x", 0.6], ["b", "x", 0.7]]
    assert answer[CORNERS].to_numpy()[:2] == pytest.approx(np.array([[85 / 180, 0.2, 95 / 180, 0.4]] * 2))
    assert answer[CORNERS].to_numpy()[2].tolist() == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("size", [None, 100])
def test_photographs_no_larger_than_a_tile_keep_what_was_found(size: int | None) -> None:
    tiles = cut(pd.DataFrame({"image_id": ["a"], "width": [100], "height": [70]}), pd.DataFrame({"image_id": []}), Tiling(size, 0.2)).images
    rows = [("a", "x", 0.0, 0.0, 1.0, 1.0, 0.9), ("a", "x", 0.0, 0.01, 1.0, 1.0, 0.8), ("a", "y", 0.5, 0.5, 0.75, 1.0, 0.7)]
    before = pd.DataFrame(rows, columns=["image_id", "label", *CORNERS, "confidence"])
    pd.testing.assert_frame_equal(merged(before, tiles), before)
    pd.testing.assert_frame_equal(merged(before.iloc[:0], tiles), before.iloc[:0])
