"""Learning curves as a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

PAIRS = (("train/loss", "val/loss", "loss"), ("train/accuracy", "val/accuracy", "accuracy"))
WIDE = 10  # times the least loss; a linear axis would hide how the small ones differ


def draw_curves(history: pd.DataFrame, best_epoch: int, title: str, path: Path, fine_tuned_from: int | None = None) -> None:
    """Write training against validation, one panel a measure, and the learning rate.

    `history` has one row an epoch, from 0; what is no number is left out. The best epoch is marked, and the one from
    which a pretrained network was fine-tuned. Losses that differ WIDE-fold have a logarithmic axis, accuracies one of 0 to 1.
    """
    panels = [pair for pair in PAIRS if pair[0] in history]
    figure = Figure(figsize=(5 * len(panels) + 5, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels) + 1)
    for axis, (train, val, name) in zip(axes, panels, strict=False):
        axis.plot(history["epoch"], history[train], label="training", marker="o", markersize=3)
        axis.plot(history["epoch"], history[val], label=f"validation{_at(history, val, best_epoch)}", marker="o", markersize=3)
        axis.set_title(name)
        _scale(axis, history[[train, val]].to_numpy(np.float64), name)
    axes[-1].plot(history["epoch"], history["learning_rate"], color="gray", marker="o", markersize=3)
    axes[-1].set_title("learning rate")
    axes[-1].set_ylim(bottom=0)
    for axis in axes:
        _mark(axis, history, best_epoch, fine_tuned_from)
    for axis in axes[:-1]:
        axis.legend(fontsize=8)
    figure.suptitle(title)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _at(history: pd.DataFrame, name: str, epoch: int) -> str:
    values = history.loc[history["epoch"] == epoch, name]
    return f", {values.iloc[0]:.4g} at best" if values.notna().any() else ""


def _scale(axis: Axes, values: np.ndarray, name: str) -> None:
    found = values[np.isfinite(values)]
    if name == "accuracy":
        axis.set_ylim(0, 1)
    elif len(found) and found.min() > 0 and found.max() > WIDE * found.min():
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())


def _mark(axis: Axes, history: pd.DataFrame, best_epoch: int, fine_tuned_from: int | None) -> None:
    if len(history):
        axis.axvline(best_epoch, color="seagreen", linestyle="--", linewidth=1, label="best epoch")
    if fine_tuned_from is not None and 0 < fine_tuned_from < len(history):
        axis.axvspan(-0.5, fine_tuned_from - 0.5, color="lightsteelblue", alpha=0.35, linewidth=0, label="pretrained layers frozen")
    axis.set_xlim(-0.5, max(len(history), 1) - 0.5)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
