"""Tiles: every pixel in one, boxes where they were, none of them lost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.augment import clipping
from components.data import tiles
from components.data.tiles import CORNERS, MIN_VISIBLE, WINDOW, Tiling, cut, tile_id, windows

SIDES = st.integers(1, 300)
TILINGS = st.builds(Tiling, st.integers(32, 200), st.floats(0, 0.9))


def photograph(width: int, height: int, image_id: str = "a" * 64) -> pd.DataFrame:
    return pd.DataFrame({"image_id": [image_id], "path": ["p.png"], "split": ["train"], "width": [width], "height": [height]})


def boxes(*corners: tuple[float, float, float, float], image_id: str = "a" * 64) -> pd.DataFrame:
    rows = pd.DataFrame(np.array(corners, np.float64).reshape(-1, 4), columns=CORNERS)
    return rows.assign(image_id=image_id, label="tree", is_crowd=False)


def test_tiles_of_a_photograph_worked_by_hand() -> None:
    # 250 x 100 in tiles of 100 that share 20: starts 0, 75, 150, which share 25
    assert windows(250, 100, Tiling(100, 0.2)).tolist() == [[0, 0, 100, 100], [75, 0, 175, 100], [150, 0, 250, 100]]
    # 180 wide: two starts, 0 and 80, share just the 20
    assert windows(180, 60, Tiling(100, 0.2)).tolist() == [[0, 0, 100, 60], [80, 0, 180, 60]]


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, TILINGS)
def test_every_pixel_is_in_a_tile_and_neighbours_share_what_they_should(width: int, height: int, tiling: Tiling) -> None:
    seen = np.zeros((height, width), int)
    found = windows(width, height, tiling)
    for left, top, right, bottom in found:
        assert 0 <= left < right <= width and 0 <= top < bottom <= height
        seen[top:bottom, left:right] += 1
        assert right - left == min(width, tiling.size) and bottom - top == min(height, tiling.size)
    assert seen.min() >= 1
    lefts = np.unique(found[:, 0])
    assert len(lefts) == 1 or np.diff(lefts).max() <= max(1, tiling.size - round(tiling.size * tiling.overlap))


@pytest.mark.parametrize("tiling", [Tiling(None, 0.2), Tiling(100, 0.2)])
def test_a_photograph_no_larger_than_a_tile_stays_what_it_is(tiling: Tiling) -> None:
    image, own = photograph(100, 60), boxes((0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 1.0, 1.0))
    tiles = cut(image, own, tiling)
    assert tiles.images[image.columns].to_dict("list") == image.to_dict("list")
    assert tiles.images[WINDOW].to_numpy().tolist() == [[0, 0, 100, 60]]
    assert tiles.boxes[CORNERS].to_numpy() == pytest.approx(own[CORNERS].to_numpy())
    assert (tiles.clipped, tiles.dropped) == (0, 0)


def test_pixels_of_tiles_stand_together_by_photograph() -> None:
    three = pd.concat([photograph(250, 100, "a" * 64), photograph(90, 90, "b" * 64), photograph(180, 60, "c" * 64)], ignore_index=True)
    shown = cut(three, boxes((0, 0, 1, 1)), Tiling(100, 0.2)).images
    pixels = np.arange(len(shown), dtype=np.uint8).reshape(-1, 1, 1, 1)
    assert [one.ravel().tolist() for one in tiles.by_photograph(pixels, shown)] == [[0, 1, 2], [3], [4, 5]]
    assert tiles.by_photograph(pixels[:0], shown.iloc[:0]) == []


def test_boxes_in_tiles_worked_by_hand() -> None:
    # Tiles 0..100 and 80..180 of 180 x 100. One box lies in the overlap, 85..95; one, 70..90, is whole in the first and half in
    # the second; one, 98..118, shows a tenth in the first; one, 90..110, half in the first and whole in the second.
    own = boxes(*((left / 180, 0.2, right / 180, 0.4) for left, right in ((85, 95), (70, 90), (98, 118), (90, 110))))
    tiles = cut(photograph(180, 100), own, Tiling(100, 0.2))
    first, second = tiles.images["image_id"]
    xs = {name: tiles.boxes[tiles.boxes["image_id"] == name][["x_min", "x_max"]].to_numpy() * 100 for name in (first, second)}
    assert xs[first] == pytest.approx(np.array([[85, 95], [70, 90], [90, 100]]))
    assert xs[second] == pytest.approx(np.array([[5, 15], [0, 10], [18, 38], [10, 30]]))
    assert (tiles.clipped, tiles.dropped) == (2, 1)
    assert set(tiles.images["split"]) == {"train"} and set(tiles.boxes["label"]) == {"tree"}


@settings(deadline=None, max_examples=40)
@given(SIDES, SIDES, TILINGS, st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=4))
def test_no_box_is_lost_and_each_lies_in_the_photograph_where_it_did(
    width: int, height: int, tiling: Tiling, drawn: list[tuple[float, ...]]
) -> None:
    own = boxes(*((min(a, c), min(b, d), max(a, c) + 0.01, max(b, d) + 0.01) for a, b, c, d in drawn))
    own[CORNERS] = own[CORNERS].clip(0, 1)
    own = own[(own["x_max"] > own["x_min"]) & (own["y_max"] > own["y_min"])].assign(box_id=lambda rows: range(len(rows)))
    tiles = cut(photograph(width, height), own, tiling)
    assert set(tiles.boxes["box_id"]) == set(own["box_id"])
    back = tiles.boxes.join(tiles.images.set_index("image_id"), on="image_id")
    extent, sides = np.tile(back[["width", "height"]].to_numpy(), 2), np.array([width, height] * 2)
    corners = (back[CORNERS].to_numpy() * extent + np.tile(back[["left", "top"]].to_numpy(), 2)) / sides
    whole = own.set_index("box_id").loc[back["box_id"], CORNERS].to_numpy()
    assert (corners[:, :2] >= whole[:, :2] - 1e-9).all() and (corners[:, 2:] <= whole[:, 2:] + 1e-9).all()
    assert tiles.boxes[CORNERS].to_numpy().min(initial=0) >= 0 and tiles.boxes[CORNERS].to_numpy().max(initial=1) <= 1
    share = np.prod(corners[:, 2:] - corners[:, :2], axis=1) / np.prod(whole[:, 2:] - whole[:, :2], axis=1)
    alone = back["box_id"].map(back["box_id"].value_counts()).to_numpy() == 1
    assert ((share >= MIN_VISIBLE - 1e-6) | alone | (share >= pd.Series(share).groupby(back["box_id"].to_numpy()).transform("max"))).all()


def test_a_box_larger_than_every_tile_is_in_the_one_that_shows_most_of_it() -> None:
    tiles = cut(photograph(1000, 1000), boxes((0.0, 0.0, 1.0, 0.99)), Tiling(100, 0.0))
    assert tiles.boxes[CORNERS].to_numpy().tolist() == [[0, 0, 1, 1]] and tiles.clipped == 1


def test_tiles_have_names_of_their_own() -> None:
    names = {tile_id("a", window, 250, 250) for window in windows(250, 250, Tiling(100, 0.2))}
    assert len(names) == 9 and all(len(name) == 64 for name in names)


def test_tiles_and_augmentation_drop_boxes_by_one_rule() -> None:
    assert tiles.MIN_VISIBLE == clipping.MIN_VISIBLE
