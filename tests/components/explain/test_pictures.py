"""Panels: each tile stands where it should, pixel for pixel, and the same twice."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from components.explain import filters, pictures
from components.explain.trace import trace
from tests.components.explain.networks import photographs, pooled

COLOURS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 0, 255), (0, 255, 255)]


def flat(colour: tuple[int, int, int], side: int = 4) -> np.ndarray:
    return np.full((side, side, 3), colour, np.uint8)


def read(path: Path) -> np.ndarray:
    return cv2.imread(str(path))[:, :, ::-1]


@pytest.mark.parametrize(("side", "columns"), [(4, 2), (20, 3), (4, 9)])
def test_tiles_fill_rows_in_order(side: int, columns: int) -> None:
    sheet = pictures.mosaic([flat(colour, side) for colour in COLOURS], columns, side=8)
    rows = -(-5 // columns)
    assert sheet.shape[:2] == (rows * 12 - 4, min(columns, 5) * 12 - 4)
    for number, colour in enumerate(COLOURS):
        top, left = 12 * (number // columns), 12 * (number % columns)
        assert (sheet[top : top + 8, left : left + 8] == colour).all()


def test_panels_are_drawn_pixel_for_pixel_in_rows(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (60, 300, 3)).astype(np.uint8)
    panels = [pictures.Panel("one", noise), pictures.Panel("two", flat((255, 0, 255), 50)), pictures.Panel("three", noise[:, ::-1])]
    pictures.draw_panels(panels, "title", tmp_path / "p.png", columns=2)
    drawn = read(tmp_path / "p.png")
    left, top = pictures.MARGIN, pictures.HEAD + pictures.LINE
    assert (drawn[top : top + 60, left : left + 300] == noise).all()
    assert (drawn[top : top + 50, 300 + 2 * left : 350 + 2 * left] == (255, 0, 255)).all()
    below = top + 60 + pictures.LINE
    assert (drawn[below : below + 60, left : left + 300] == noise[:, ::-1]).all()


def test_a_picture_of_nothing_says_so(tmp_path: Path) -> None:
    pictures.draw_panels([], "none", tmp_path / "p.png")
    assert (read(tmp_path / "p.png") < 128).any()


def test_the_same_maps_give_the_same_bytes_and_say_how_many_channels_there_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    done = trace(pooled(rng.normal(size=(3, 3, 3, 12)), np.ones((12, 3)), 16), photographs(1, 16))
    for name in ("a", "b"):
        panel = pictures.map_panel(done.steps["conv"], 8, 4)
        pictures.draw_panels([panel, pictures.filter_panel(filters.first_filters(done), 4)], "t", tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert panel.title == "conv: 16 × 16, 8 of 12 channels" and panel.pixels.shape == (2 * 92 - 4, 4 * 92 - 4, 3)


def test_heat_stands_beside_its_photograph() -> None:
    photograph = flat((10, 200, 60), 30)
    panel = pictures.heat_panel(photograph, [np.zeros((3, 3), np.float32), np.ones((3, 3), np.float32)], "x", "black", side=50)
    assert panel.pixels.shape == (50, 158, 3) and (panel.pixels[:, :50] == (10, 200, 60)).all()
    cold, hot = panel.pixels[:, 54:104].astype(int), panel.pixels[:, 108:].astype(int)
    assert np.ptp(cold, axis=2).max() == 0 and np.ptp(hot, axis=2).min() > 20
