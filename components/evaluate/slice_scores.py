"""How good a model is on each slice of the test images, with the interval of that number."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.evaluate.detection_draws import mean_average_precision, rounds_for
from components.evaluate.detection_matches import Matches, only
from components.evaluate.intervals import Values, bootstrap, share_interval
from components.evaluate.worst import Bools, Search

Row = dict[str, Any]  # slice, images, value, low, high


def of_classifier(correct: Bools, groups: NDArray[np.generic], slices: tuple[list[str], Bools]) -> list[Row]:
    """Accuracy of every slice; correct (N,), groups (N,), slices: names and members (N, S)."""
    names, inside = slices
    return [
        _row(name, own, float(correct[own].mean()), share_interval(correct[own], groups[own]))
        for name, own in zip(names, inside.T, strict=True)
    ]


def of_detector(found: Matches, groups: NDArray[np.generic], slices: tuple[list[str], Bools], rounds: int, seed: int) -> list[Row]:
    """AP50 of every slice, of its images alone; found: of all test images, groups (I,), slices: names and members (I, S)."""
    names, inside = slices
    rows = []
    for name, own in zip(names, inside.T, strict=True):
        part = only(found, own)

        def ap50(weights: Values, part: Matches = part) -> Values:
            return mean_average_precision(part, weights)[:, None]

        low, high = bootstrap(ap50, groups[own], rounds_for(rounds, part), seed)[:, 0]
        once = mean_average_precision(part, np.ones((1, int(own.sum()))))
        rows.append(_row(name, own, float(once[0]), (float(low), float(high))))
    return rows


def in_words(found: Search, least: int, measure: str) -> str:
    """What the search for the worst slice found, as a sentence."""
    worst, tested = found.worst, found.tested
    if worst is None and not tested:
        return f"No slice has {least} test images within and without: there was nothing to search."
    if worst is None:
        return f"None of the {tested:,} slices and pairs of slices with {least} test images or more is surely worse than the rest."
    rest = f"{worst.value:.1%} {measure} on its {worst.images:,} images, {worst.rest:.1%} on the rest"
    return f"The worst is {worst.slice}: {rest} (p = {worst.p:.4f}, corrected for the {tested:,} slices and pairs that were tested)."


def _row(name: str, own: Bools, value: float, limits: tuple[float, float]) -> Row:
    return {"slice": name, "images": int(own.sum()), "value": value, "low": limits[0], "high": limits[1]}


def errors_first(quality: NDArray[np.floating], own: Bools, most: int) -> list[int]:
    """Rows of the slice's images that are answered worst, those answered perfectly left out."""
    rows = np.flatnonzero(own & (quality < 1))
    return [int(row) for row in rows[np.argsort(quality[rows], kind="stable")][:most]]
