"""How much worse a model is on corrupted pictures: mean error over corruptions and severities, and what they add to it.

As Hendrycks & Dietterich 2019 (https://arxiv.org/abs/1903.12261), but of plain errors: theirs are divided by AlexNet's.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from components.evaluate.detection_draws import mean_average_precision, mean_of_known, rounds_for
from components.evaluate.detection_matches import Matches, only
from components.evaluate.intervals import Values, bootstrap, share_interval
from components.evaluate.pictures import new_figure, save

SEVERITIES = 5
CELL, CAPTION = 112, 16  # pixels
Pixels = NDArray[np.uint8]


def chosen(strata: Sequence[Any], most: int, seed: int) -> NDArray[np.int64]:
    """Rows of at most `most` images, from every stratum (N,) as many as it has a share of all, drawn by the seed; ascending."""
    if len(strata) <= most:
        return np.arange(len(strata))
    order = np.random.default_rng(seed).permutation(len(strata))
    order = order[np.argsort(np.asarray(strata, str)[order], kind="stable")]
    return np.sort(order[(2 * np.arange(most) + 1) * len(strata) // (2 * most)])


def severities(images: int, corruption: int) -> NDArray[np.int64]:
    """(images,) 1 to 5: at which severity each is shown of a corruption, in turn, so that each is shown equally often."""
    return np.asarray((np.arange(images) + corruption) % SEVERITIES + 1)


def of_classifier(found: pd.DataFrame, clean: Mapping[str, bool], groups: Mapping[str, Any]) -> dict[str, Any]:
    """The accuracy of the rows of CORRUPTED, as `summary` says it, each with its interval.

    `clean`: whether each image is right as it is, by image_id; `groups`: the group of each.
    """
    rows, members = {}, found["image_id"].map(groups)
    for name, part in found.groupby("corruption", sort=False):
        limits = share_interval(part["found"].to_numpy(), members[part.index].to_numpy())
        means = part.groupby("severity")["found"].mean()
        by_severity = [float(means.get(level, math.nan)) for level in range(1, SEVERITIES + 1)]
        rows[str(name)] = {"value": float(part["found"].mean()), "low": limits[0], "high": limits[1], "by_severity": by_severity}
    images = found["image_id"].unique()
    limits = share_interval(1.0 - found["found"].to_numpy(), members.to_numpy())
    return summary("accuracy", len(images), float(np.mean([clean[image] for image in images])), rows, limits)


def of_detector(found: Mapping[str, Matches], clean: Matches, groups: NDArray[np.generic], rounds: int, seed: int) -> dict[str, Any]:
    """AP50, as `summary` says it, each with its interval; found: by corruption, as each image is shown at its severity; groups (I,)."""
    levels = [severities(len(groups), number) for number in range(len(found))]
    cells = [
        [(own, only(one, own)) for own in (np.ones(len(at), bool), *(at == level for level in range(1, SEVERITIES + 1)))]
        for one, at in zip(found.values(), levels, strict=True)
    ]

    def values(weights: Values) -> Values:
        """(R, corruptions, 1 + SEVERITIES): at all severities, then at each."""
        every = [[mean_average_precision(part, weights[:, own]) for own, part in row] for row in cells]
        return np.array(every).transpose(2, 0, 1)

    def statistics(weights: Values) -> Values:
        drawn = values(weights)
        return np.column_stack([drawn[:, :, 0], 1.0 - mean_of_known(drawn[:, :, 1:])])

    once = values(np.ones((1, len(groups))))[0]
    *of_each, of_mean = bootstrap(statistics, groups, rounds_for(rounds, *found.values()), seed).T.tolist()
    rows = {
        name: {"value": float(row[0]), "low": low, "high": high, "by_severity": row[1:].tolist()}
        for name, row, (low, high) in zip(found, once, of_each, strict=True)
    }
    whole = only(clean, np.ones(len(groups), bool))
    as_they_are = float(mean_average_precision(whole, np.ones((1, len(groups))))[0])
    return summary("map50", len(groups), as_they_are, rows, of_mean)


def summary(measure: str, images: int, clean: float, corruptions: dict[str, dict[str, Any]], limits: Sequence[float]) -> dict[str, Any]:
    """What the report says: `clean`, the measure (0..1) of the sampled images as they are, and for each of `corruptions` its
    value over all severities, low, high and by_severity (5,). To this come mean_corruption_error, 1 - measure over all
    corruptions and severities alike, with its limits, low and high, and relative_corruption_error, how much of it the clean
    images have not.
    """
    cells = np.array([row["by_severity"] for row in corruptions.values()], np.float64)
    error = 1.0 - float(np.nanmean(cells)) if np.isfinite(cells).any() else math.nan
    means = {"mean_corruption_error": error, "low": limits[0], "high": limits[1], "relative_corruption_error": error - (1.0 - clean)}
    return {"measure": measure, "images": images, "clean": clean, **means, "corruptions": corruptions}


def severity_picture(told: dict[str, Any], path: Path) -> None:
    """A line a corruption: the measure at each severity, beside what it is of the pictures as they are; of `summary`."""
    figure = new_figure((6.4, 4.4))
    axis = figure.subplots()
    for name, row in told["corruptions"].items():
        axis.plot(range(1, SEVERITIES + 1), row["by_severity"], marker="o", markersize=3, label=name)
    axis.axhline(told["clean"], color="gray", linestyle="--", linewidth=1, label="as they are")
    title = f"{told['measure']} of {told['images']} corrupted test images, each at one severity of a corruption"
    axis.set(xlabel="severity", ylabel=told["measure"], ylim=(0, 1.02), xticks=range(1, SEVERITIES + 1))
    axis.set_title(title, fontsize=9)
    axis.legend(fontsize=8, ncols=2)
    save(figure, path)


def corruptions_picture(clean: Pixels, worse: Mapping[str, Sequence[Pixels]]) -> Pixels:
    """One picture (S, S, 3) as it is and below it a row a corruption, the slightest severity first: RGB uint8."""
    blank = np.full((CELL + CAPTION, CELL, 3), 255, np.uint8)
    rows = [[_cell(clean, "as it is"), *[blank] * (SEVERITIES - 1)]]
    rows += [[_cell(one, f"{name} {level}") for level, one in enumerate(pictures, start=1)] for name, pictures in worse.items()]
    return np.concatenate([np.concatenate(row, axis=1) for row in rows])


def _cell(picture: Pixels, caption: str) -> Pixels:
    cell = np.full((CELL + CAPTION, CELL, 3), 255, np.uint8)
    cell[CAPTION:, : CELL - 4] = cv2.resize(picture, (CELL - 4, CELL), interpolation=cv2.INTER_AREA)
    cv2.putText(cell, caption, (2, CAPTION - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (40, 40, 40), 1, cv2.LINE_AA)
    return cell
