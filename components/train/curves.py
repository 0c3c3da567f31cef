"""Learning curves as a picture."""

from pathlib import Path

import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PAIRS = (("train/loss", "val/loss", "loss"), ("train/accuracy", "val/accuracy", "accuracy"))


def draw_curves(history: pd.DataFrame, best_epoch: int, title: str, path: Path) -> None:
    """Write training against validation, one panel a measure, the best epoch marked. `history` has one row an epoch."""
    panels = [pair for pair in PAIRS if pair[0] in history]
    figure = Figure(figsize=(5 * len(panels) + 5, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels) + 1)
    for axis, (train, val, name) in zip(axes, panels, strict=False):
        axis.plot(history["epoch"], history[train], label="training", marker="o", markersize=3)
        axis.plot(history["epoch"], history[val], label="validation", marker="o", markersize=3)
        axis.set_title(name)
    axes[-1].plot(history["epoch"], history["learning_rate"], color="gray")
    axes[-1].set_title("learning rate")
    for axis in axes:
        axis.axvline(best_epoch, color="seagreen", linestyle="--", linewidth=1, label="best epoch")
        axis.set_xlabel("epoch")
    axes[0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=100, metadata={"Software": None})
