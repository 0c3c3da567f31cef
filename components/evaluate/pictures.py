"""Pictures of a classifier's results: confusion matrix, predictions, worst errors."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
CELL, TITLE, CAPTION, GAP = (189, 225), 45, 34, 8  # pixels of a gallery: a picture's width and height, and within them


def _font(size: int) -> ImageFont.FreeTypeFont:
    """The one that Matplotlib brings along."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def confusion_picture(matrix: NDArray[np.int64], classes: Sequence[str], title: str, path: Path) -> None:
    """The confusion matrix (C, C), rows true, columns predicted, colours by share of the row."""
    side = max(4.0, 0.45 * len(classes) + 2.5)
    figure = new_figure((side + 1, side))
    axis = figure.subplots()
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(classes)), classes, rotation=90)
    axis.set_yticks(range(len(classes)), classes)
    axis.set(xlabel="predicted", ylabel="true", title=title)
    if len(classes) <= 30:
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                color = "white" if share[row, column] > 0.5 else "black"
                axis.text(column, row, str(count), ha="center", va="center", fontsize=8, color=color)
    save(figure, path)


def gallery(pictures: Sequence[Pixels], captions: Sequence[tuple[str, bool]], title: str, path: Path, columns: int = 6) -> None:
    """Pictures in rows, each under a caption of two lines at most, green when it is right and red when it is wrong.

    Without Matplotlib, which takes seconds for as many axes.
    """
    rows = max(1, -(-len(pictures) // columns))
    sheet = Image.new("RGB", (columns * CELL[0], TITLE + rows * CELL[1]), "white")
    font, draw = _font(12), ImageDraw.Draw(sheet)
    draw.text((sheet.width // 2, TITLE // 2), title if pictures else f"{title}: none", "black", _font(15), "mm")
    for place, (picture, (caption, right)) in enumerate(zip(pictures, captions, strict=False)):
        left, top = place % columns * CELL[0], TITLE + place // columns * CELL[1]
        lines = [_fitting(line, font) for line in caption.split("\n")[:2]]
        at = (left + CELL[0] // 2, top + CAPTION // 2)
        draw.multiline_text(at, "\n".join(lines), "darkgreen" if right else "firebrick", font, "mm", 2, "center")
        shown = Image.fromarray(picture)
        scale = min((CELL[0] - GAP) / shown.width, (CELL[1] - CAPTION - GAP) / shown.height)
        shown = shown.resize((max(1, round(shown.width * scale)), max(1, round(shown.height * scale))), Image.Resampling.BOX)
        sheet.paste(shown, (left + (CELL[0] - shown.width) // 2, top + CAPTION))
    sheet.save(path)


def _fitting(line: str, font: ImageFont.FreeTypeFont) -> str:
    while font.getlength(line) > CELL[0] - GAP:
        line = f"{line[:-2]}…"
    return line


def reliability_picture(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int, path: Path) -> None:
    """How often a prediction of a confidence is right, with how many predictions have it."""
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    right = [correct[which == b].mean() if (which == b).any() else np.nan for b in range(bins)]
    centres = (np.arange(bins) + 0.5) / bins
    figure = new_figure((5, 4))
    axis = figure.subplots()
    axis.bar(centres, right, width=0.9 / bins, color="steelblue", label="right")
    share = np.bincount(which, minlength=bins) / max(len(which), 1)
    axis.bar(centres, share, width=0.4 / bins, color="lightgray", label="share of predictions")
    axis.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1)
    axis.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title="reliability on test images")
    axis.legend()
    save(figure, path)


def new_figure(size: tuple[float, float]) -> Figure:
    """A figure of so many inches, that no display needs."""
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write it as PNG, the same bytes for the same figure."""
    figure.savefig(path, dpi=90, metadata={"Software": None})
