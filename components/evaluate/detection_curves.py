"""Curves and bars of a detector: precision over recall, F1 over confidence, what its errors cost.

All are RGB uint8 (H, W, 3) arrays.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from components.evaluate.detection_errors import Cause
from components.evaluate.detection_points import UNMEASURED, PrecisionRecall

Image = NDArray[np.uint8]
NAMED = 10  # classes in a legend
Line = Callable[[PrecisionRecall], tuple[NDArray[np.float64], NDArray[np.float64]]]


def precision_recall_picture(curves: Mapping[str, PrecisionRecall], points: Mapping[str, float]) -> Image:
    """Precision over recall at IoU 0.5, a line a class, the operating point marked; at most NAMED classes are named."""
    figure, axes = _axes("recall", "precision", "Precision and recall at IoU 0.5")
    _draw(axes, curves, points, lambda curve: (curve.recall, curve.precision))
    _name(axes, "lower left")
    return _pixels(figure)


def f1_picture(curves: Mapping[str, PrecisionRecall], points: Mapping[str, float]) -> Image:
    """F1 over the confidence from which boxes count, a line a class, the operating point marked; at most NAMED are named."""
    figure, axes = _axes("confidence", "F1", "F1 at IoU 0.5")
    _draw(axes, curves, points, lambda curve: (curve.confidence, curve.f1))
    _name(axes, "upper right")
    return _pixels(figure)


def errors_picture(causes: Mapping[str, Cause]) -> Image:
    """A bar for each cause of errors: how much AP50 would be higher without it, and how many errors it is."""
    figure = Figure(figsize=(6.4, 3.4), dpi=110, layout="constrained")
    axes = figure.add_subplot(xlabel="AP50 that is lost to it", title="What the errors cost (TIDE)")
    prices = np.nan_to_num([cause.dap50 for cause in causes.values()])
    bars = axes.barh(range(len(causes)), prices, color="steelblue")
    axes.set_yticks(range(len(causes)), list(causes))
    axes.bar_label(
        bars, [f"{price:.3f} ({cause.errors})" for price, cause in zip(prices, causes.values(), strict=True)], padding=3, fontsize=8
    )
    axes.set_xlim(0, max(float(prices.max(initial=0.0)) * 1.25, 0.01))
    axes.invert_yaxis()
    return _pixels(figure)


def _axes(x: str, y: str, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(6.4, 4.8), dpi=110, layout="constrained")
    axes = figure.add_subplot(xlim=(0, 1.01), ylim=(0, 1.01), xlabel=x, ylabel=y, title=title)
    axes.grid(alpha=0.3)
    return figure, axes


def _draw(axes: Axes, curves: Mapping[str, PrecisionRecall], points: Mapping[str, float], line: Line) -> None:
    for number, (label, curve) in enumerate(curves.items()):
        point = points.get(label, UNMEASURED)
        x, y = line(curve)
        (drawn,) = axes.plot(x, y)
        at = np.flatnonzero(curve.confidence >= point)[-1:]  # the last detection that still counts
        axes.plot(x[at], y[at], "o", color=drawn.get_color())
        if number < NAMED:
            name = label.replace("$", r"\$")  # what stands between two would be drawn as a formula
            drawn.set_label(f"{name}: F1 {curve.f1[at[0]] if len(at) else 0.0:.2f} from {point:.2f}")


def _name(axes: Axes, place: Literal["lower left", "upper right"]) -> None:
    if axes.get_lines():
        axes.legend(loc=place, fontsize=8)


def _pixels(figure: Figure) -> Image:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
