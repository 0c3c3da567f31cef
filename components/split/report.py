"""What a split came to, stratum by stratum."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.data.tables import DETECTION, OK, SPLITS, usable
from components.split.splitting import is_given
from components.split.strata import EMPTY, IMAGES, Strata, strata

_SHOWN = 30


def report(images: pd.DataFrame, boxes: pd.DataFrame, fractions: Mapping[str, float]) -> dict[str, Any]:
    """What the split came to: `images` (with `split`) counted by split and stratum, and what to be wary of.

    `strata` holds for each class, each class and box size, and images without boxes, the count in each split and its
    deviation: the stratum's share of the split less its share of all, in percentage points. `max_deviation` is the largest
    distance, 0..1, of a class's share in a split from that split's fraction; for a given split, from its share of all images.
    """
    kept, kept_boxes = usable(images, boxes)
    placed = kept[kept["split"].notna()].reset_index(drop=True)
    table = strata(placed, kept_boxes[kept_boxes["image_id"].isin(placed["image_id"])], "split")
    counts = _by_split(table)
    classes = counts[[column.name for column in table.columns if column.is_class]]
    targets = placed["split"].value_counts(normalize=True).reindex(SPLITS) if is_given(images) else pd.Series(dict(fractions))
    deviation = (classes / classes.sum().clip(lower=1)).sub(targets, axis=0).abs()
    return {
        "given": is_given(images),
        "images": {name: int((placed["split"] == name).sum()) for name in SPLITS},
        "groups": {name: int(placed.loc[placed["split"] == name, "group_id"].nunique()) for name in SPLITS},
        "classes": {name: {place: int(counted[place]) for place in SPLITS} for name, counted in classes.items()},
        "without_boxes": {name: int(counts[EMPTY][name]) for name in SPLITS},
        "strata": _deviations(table, bool((images["task"] == DETECTION).any())),
        "max_deviation": float(round(deviation.to_numpy().max(initial=0.0), 4)),
        "warnings": _warnings(images, classes),
    }


def furthest(told: dict[str, Any]) -> str:
    """The stratum that deviates most, in words; empty where there is none."""
    points = [(abs(cell["deviation"]), name, place) for name, row in told["strata"].items() for place, cell in row.items()]
    if not points:
        return ""
    _, name, place = max(points)
    return f"furthest from the whole: {name} in {place}, {told['strata'][name][place]['deviation']:+.1f} percentage points"


def draw(told: dict[str, Any], path: Path) -> None:
    """Write a picture of the strata, at most 30 that deviate most: counts, coloured by deviation."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    worst = sorted(told["strata"], key=lambda name: -max(abs(cell["deviation"]) for cell in told["strata"][name].values()))
    rows = [name for name in told["strata"] if name in set(worst[:_SHOWN])]
    figure = Figure(figsize=(6, 1.4 + 0.28 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.set_title("count (share in the split less share of all, percentage points)", fontsize=9)
    axis.set_xticks(range(len(SPLITS)), [f"{place}\n{told['images'][place]} images" for place in SPLITS])
    axis.set_yticks(range(len(rows)), rows)
    if rows:
        values = np.array([[told["strata"][name][place]["deviation"] for place in SPLITS] for name in rows])
        axis.imshow(values, cmap="RdBu", vmin=-10, vmax=10, aspect="auto")
    for row, name in enumerate(rows):
        for column, place in enumerate(SPLITS):
            cell = told["strata"][name][place]
            ink = "white" if abs(cell["deviation"]) > 6 else "black"
            axis.text(column, row, f"{cell['count']}  ({cell['deviation']:+.1f})", ha="center", va="center", fontsize=8, color=ink)
    figure.savefig(path, dpi=100, metadata={"Software": None})


def _by_split(table: Strata) -> pd.DataFrame:
    counts = pd.DataFrame(table.counts, table.groups, [column.name for column in table.columns])
    return counts.loc[:, ~counts.columns.duplicated()].reindex(SPLITS, fill_value=0)


def _deviations(table: Strata, detection: bool) -> dict[str, dict[str, dict[str, float]]]:
    counts = _by_split(table)
    boxes = counts[[column.name for column in table.columns if column.is_class]].sum(axis=1)
    found = {}
    for name in counts.columns:
        if name == IMAGES or (name == EMPTY and not counts[name].any()):
            continue
        whole = boxes if detection and name != EMPTY else counts[IMAGES]
        points = 100 * (counts[name] / whole.clip(lower=1) - counts[name].sum() / max(1, whole.sum()))
        found[str(name)] = {place: {"count": int(counts[name][place]), "deviation": round(float(points[place]), 2)} for place in SPLITS}
    return found


def _warnings(images: pd.DataFrame, classes: pd.DataFrame) -> list[str]:
    found = []
    for name, counted in classes.items():
        missing = [place for place in SPLITS if counted[place] == 0]
        if "train" in missing:
            found.append(f"class {name} is never trained on: all {int(counted.sum())} are in val or test")
        elif missing:
            found.append(f"class {name} is missing from {' and '.join(missing)}: too few to divide, or so given")
    given = images.loc[images["status"] == OK, "given_split"]
    if given.notna().any() and not is_given(images):
        found.append("the dataset's own split was not used: it has no train or no test")
    return found
