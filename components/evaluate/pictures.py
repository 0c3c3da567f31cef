"""Pictures of a classifier's results: confusion matrix, predictions, worst errors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def confusion_picture(matrix: NDArray[np.int64], classes: Sequence[str], title: str, path: Path) -> None:
    """The confusion matrix (C, C), rows true, columns predicted, colours by share of the row."""
    side = max(4.0, 0.45 * len(classes) + 2.5)
    figure = _figure((side + 1, side))
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
    _save(figure, path)


def gallery(pictures: Sequence[Pixels], captions: Sequence[tuple[str, bool]], title: str, path: Path, columns: int = 6) -> None:
    """Pictures in rows, each under a caption, green when it is right and red when it is wrong."""
    rows = max(1, -(-len(pictures) // columns))
    figure = _figure((2.1 * columns, 2.5 * rows + 0.5))
    for axis in figure.subplots(rows, columns, squeeze=False).flat:
        axis.axis("off")
    for axis, picture, (caption, right) in zip(figure.axes, pictures, captions, strict=False):
        axis.imshow(picture)
        axis.set_title(caption, fontsize=8, color="darkgreen" if right else "firebrick")
    figure.suptitle(title if pictures else f"{title}: none")
    _save(figure, path)


def reliability_picture(confidence: NDArray[np.float64], correct: NDArray[np.bool_], bins: int, path: Path) -> None:
    """How often a prediction of a confidence is right, with how many predictions have it."""
    which = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    right = [correct[which == b].mean() if (which == b).any() else np.nan for b in range(bins)]
    centres = (np.arange(bins) + 0.5) / bins
    figure = _figure((5, 4))
    axis = figure.subplots()
    axis.bar(centres, right, width=0.9 / bins, color="steelblue", label="right")
    share = np.bincount(which, minlength=bins) / max(len(which), 1)
    axis.bar(centres, share, width=0.4 / bins, color="lightgray", label="share of predictions")
    axis.plot([0, 1], [0, 1], color="gray", linestyle="--", linewidth=1)
    axis.set(xlabel="confidence", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1), title="reliability on test images")
    axis.legend()
    _save(figure, path)


def _figure(size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=90, metadata={"Software": None})
