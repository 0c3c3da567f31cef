"""A learning rate found by trying them all: the range test (Smith 2015, https://arxiv.org/abs/1506.01186)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

LOWEST, HIGHEST, STEPS = 1e-6, 10.0, 120
SMOOTHING = 0.9  # of the loss, exponentially, over about ten batches
MARGIN = 0.05  # of the fall, at its beginning and its end, which tell no more than noise
LEAST = 10  # batches, a fall that says something
DIVERGED = 4.0  # times the lowest loss, and above the first


@dataclass(frozen=True)
class Sweep:
    """Learning rates that grew by a constant factor from batch to batch, and the loss before each, as it was and smoothed."""

    rates: NDArray[np.float64]
    losses: NDArray[np.float64]
    smooth: NDArray[np.float64]
    diverged: bool


def sweep(train: Callable[[int, float], float], low: float = LOWEST, high: float = HIGHEST, steps: int = STEPS) -> Sweep:
    """Call `train(number, rate)`, which answers the loss of batch `number` before its update, until the loss has diverged.

    The network is of no use afterwards.
    """
    losses: list[float] = []
    smooth: list[float] = []
    average = 0.0
    rates = np.geomspace(low, high, steps)
    diverged = False
    for number, rate in enumerate(rates):
        loss = train(number, float(rate))
        diverged = not math.isfinite(loss)
        if diverged:
            break
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        losses.append(loss)
        smooth.append(average / (1 - SMOOTHING ** (number + 1)))
        diverged = _is_worse(smooth)
        if diverged:
            break
    return Sweep(rates[: len(losses)], np.array(losses), np.array(smooth), diverged)


def suggestion(found: Sweep) -> float | None:
    """The rate in the middle of the longest fall of the smoothed loss; None when it never fell for long.

    fastai's `valley` (https://docs.fast.ai/callback.schedule.html): the longest decreasing subsequence, which noise breaks less
    easily than the steepest point, and which lies well before the rates at which the loss turns. A loss that has all but
    fallen tells nothing: where a few images are learned by heart, it creeps down at any rate.
    """
    if not len(found.smooth):
        return None
    fall = _fall(found.smooth)
    smooth, rates = found.smooth[fall], found.rates[fall]
    length = np.ones(len(smooth), int)  # of the longest decreasing subsequence that ends here
    for end in range(1, len(length)):
        higher = smooth[:end] > smooth[end]
        length[end] += int(np.max(length[:end], where=higher, initial=0))
    if length.max() < LEAST:
        return None
    end = int(length.argmax())
    return float(rates[end - int(length[end]) // 2])


def draw_sweeps(found: dict[str, tuple[Sweep, float | None, float]], title: str, path: Path) -> None:
    """Write the loss over the rate, one panel a knob: its sweep, the suggested rate, and the rate that it has now."""
    figure = Figure(figsize=(6.5 * len(found), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (name, (one, suggested, present)) in zip(np.atleast_1d(figure.subplots(1, len(found))), found.items(), strict=True):
        axis.plot(one.rates, one.losses, color="lightgray", label="of a batch")
        axis.plot(one.rates, one.smooth, color="tab:blue", label="smoothed")
        if suggested is not None:
            axis.axvline(suggested, color="seagreen", linestyle="--", label=f"suggested: {suggested:.2g}")
        axis.axvline(present, color="gray", linestyle=":", label=f"in params.yaml: {present:.2g}")
        axis.set_ylim(*_shown(one.smooth))
        axis.set_xscale("log")
        axis.set_xlabel(name)
        axis.set_ylabel("training loss")
        axis.legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _fall(smooth: NDArray[np.float64]) -> slice:
    """The batches in which the loss went down from its highest to its lowest, without the first and the last MARGIN of that fall."""
    lowest = int(smooth.argmin())
    highest = int(smooth[: lowest + 1].argmax())
    margin = MARGIN * float(smooth[highest] - smooth[lowest])
    begun, ended = (highest + int(np.argmax(smooth[highest:] <= level)) for level in (smooth[highest] - margin, smooth[lowest] + margin))
    return slice(begun, ended + 1)


def _is_worse(smooth: list[float]) -> bool:
    return smooth[-1] > max(DIVERGED * min(smooth), smooth[0])


def _shown(smooth: NDArray[np.float64]) -> tuple[float, float]:
    """The range of losses that is of interest: not how far it diverged."""
    low, first = float(smooth.min()), float(smooth[0])
    margin = max(first - low, 0.1 * abs(first), 1e-9)
    return low - 0.2 * margin, first + 0.8 * margin
