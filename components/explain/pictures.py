"""Heat, feature maps and filters as pictures: panels of tiles, each panel under a title."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from components.explain import feature_maps, filters
from components.explain.gradcam import overlay
from components.explain.trace import Step

Pixels = NDArray[np.uint8]

TILE, LARGE, GAP = 88, 180, 4  # pixels
MARGIN, HEAD, LINE = 14, 40, 28  # pixels
FILTERS = 64  # tiles, at most
DPI = 90


@dataclass(frozen=True)
class Panel:
    """Tiles (H, W, 3) uint8 RGB under a title of some colour."""

    title: str
    pixels: Pixels
    colour: str = "dimgray"


def heat_panel(photograph: Pixels, heats: Sequence[NDArray[np.float32]], title: str, colour: str, side: int = LARGE) -> Panel:
    """The photograph, and beside it what each heat map (h, w) marks of it, `side` pixels each."""
    method = cv2.INTER_AREA if len(photograph) > side else cv2.INTER_CUBIC
    large = np.asarray(cv2.resize(photograph, (side, side), interpolation=method), np.uint8)
    return Panel(title, mosaic([large, *(overlay(large, heat) for heat in heats)], 1 + len(heats), side), colour)


def photograph_panel(photograph: Pixels, title: str) -> Panel:
    """The photograph that feature maps are of."""
    return Panel(title, mosaic([photograph], 1, LARGE))


def map_panel(step: Step, count: int, columns: int) -> Panel:
    """`count` channels of a layer's map of the first image, dark where a channel is lowest, bright where highest."""
    maps = feature_maps.channels(step)
    shown = feature_maps.tiles(maps, count)
    coloured = [cv2.applyColorMap((tile * 255).round().astype(np.uint8), cv2.COLORMAP_VIRIDIS)[:, :, ::-1] for tile in shown]
    height, width, depth = maps.shape
    which = f"{len(shown)} of {depth} channels" if len(shown) < depth else f"{depth} channels"
    return Panel(f"{step.name}: {height} × {width}, {which}", mosaic(coloured, columns))


def filter_panel(kernels: filters.Kernels, columns: int) -> Panel:
    """The first filters in colours where they read three channels, grey otherwise; medium grey is a weight of 0."""
    shown = (filters.tiles(kernels)[:FILTERS] * 255).round().astype(np.uint8)
    pictures = [tile if tile.ndim == 3 else cv2.cvtColor(tile, cv2.COLOR_GRAY2RGB) for tile in shown]
    count, height, width, depth = kernels.values.shape
    return Panel(f"{kernels.layer}: {count} filters, {height} × {width} × {depth}", mosaic(pictures, columns))


def mosaic(pictures: Sequence[Pixels], columns: int, side: int = TILE) -> Pixels:
    """The pictures as tiles of `side` pixels on white, `columns` to a row; small ones keep their square cells."""
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = np.full((rows * (side + GAP) - GAP, columns * (side + GAP) - GAP, 3), 255, np.uint8)
    for number, picture in enumerate(pictures):
        top, left = (side + GAP) * (number // columns), (side + GAP) * (number % columns)
        how = cv2.INTER_NEAREST if max(picture.shape[:2]) < side else cv2.INTER_AREA
        sheet[top : top + side, left : left + side] = cv2.resize(picture, (side, side), interpolation=how)
    return sheet


def draw_panels(panels: Sequence[Panel], title: str, path: Path, columns: int = 1) -> None:
    """Write the panels in rows of `columns`, each pixel of theirs one of the picture."""
    rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    tall = [max(panel.pixels.shape[0] for panel in row) for row in rows]
    wide = max((panel.pixels.shape[1] for panel in panels), default=0)
    width = max(560, columns * (wide + MARGIN) + MARGIN)
    height = HEAD + sum(LINE + high for high in tall) + MARGIN
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    figure.text(MARGIN / width, 1 - MARGIN / height, title, fontsize=11, va="top")
    top = HEAD
    for row, high in zip(rows, tall, strict=True):
        for column, panel in enumerate(row):
            left = MARGIN + column * (wide + MARGIN)
            figure.text(left / width, 1 - (top + LINE - 5) / height, panel.title, fontsize=9, va="bottom", color=panel.colour)
            figure.figimage(panel.pixels, left, height - top - LINE - panel.pixels.shape[0], origin="upper")
        top += LINE + high
    figure.savefig(path, dpi=DPI, metadata={"Software": None})
