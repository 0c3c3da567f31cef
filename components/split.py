"""Who is trained on, who is watched while training, who is kept for the verdict.

Groups first (images that must not stand on both sides), then stratified by class; a dataset's own split is honoured.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from components.data.tables import DETECTION, OK, SPLITS, usable
from components.errors import DataError, UsageError

EMPTY = "(nothing)"
_TIE = 0.1


def split(images: pd.DataFrame, boxes: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> pd.Series:
    """The split of every row of `images` ("train", "val", "test"; null for quarantined rows), on its index.

    `fractions` are the wanted shares of train, val and test, and sum to 1. A given split is honoured when every kept
    image has one, with train and test among them; without a val, that is taken out of train. Otherwise whole groups
    are dealt so that each class's share (images; for detection boxes) comes closest to the fractions. The order of
    rows does not matter. Raises DataError for leakage in a given split, or when a split would be empty.
    """
    _check_fractions(fractions)
    kept, kept_boxes = usable(images, boxes)
    if kept.empty:
        raise DataError("no image is left to split: all are quarantined; see quarantine.csv of the validate stage")
    given = kept["given_split"]
    if not is_given(images):
        assigned = _deal(kept, kept_boxes, dict(fractions), seed)
    else:
        _refuse_leakage(kept)
        assigned = given if "val" in set(given) else _carve_val(kept, kept_boxes, fractions, seed)
    by_path = dict(zip(kept["path"], assigned, strict=True))
    return images["path"].map(by_path).astype(object).where(images["status"] == OK, None)


def is_given(images: pd.DataFrame) -> bool:
    """Whether the dataset brings a split that can be honoured: every kept image in one, train and test among them."""
    given = images.loc[images["status"] == OK, "given_split"]
    return bool(given.notna().all()) and {"train", "test"} <= set(given)


def report(images: pd.DataFrame, boxes: pd.DataFrame, fractions: Mapping[str, float]) -> dict[str, Any]:
    """What the split came to: `images` (with `split`) counted by split and class, and what to be wary of.

    `max_deviation` is the largest distance, 0..1, of a class's share in a split from that split's fraction; for a
    given split, from that split's share of all images.
    """
    kept, kept_boxes = usable(images, boxes)
    counts = _counts(kept, kept_boxes, kept["split"])
    classes = counts.drop(columns=EMPTY)
    shares = classes / classes.sum().clip(lower=1)
    targets = kept["split"].value_counts(normalize=True).reindex(SPLITS) if is_given(images) else pd.Series(dict(fractions))
    deviation = shares.sub(targets, axis=0).abs()
    return {
        "given": is_given(images),
        "images": {name: int((kept["split"] == name).sum()) for name in SPLITS},
        "groups": {name: int(kept.loc[kept["split"] == name, "group_id"].nunique()) for name in SPLITS},
        "classes": {name: {place: int(counted[place]) for place in SPLITS} for name, counted in classes.items()},
        "without_boxes": {name: int(counts[EMPTY][name]) for name in SPLITS},
        "max_deviation": float(round(deviation.to_numpy().max(initial=0.0), 4)),
        "warnings": _warnings(images, classes),
    }


def _check_fractions(fractions: Mapping[str, float]) -> None:
    values = [fractions.get(name, 0.0) for name in SPLITS]
    if min(values) <= 0 or abs(sum(values) - 1) > 1e-6:
        raise UsageError(f"split has the fractions {dict(fractions)}, expected train, val and test above 0 that sum to 1")


def _refuse_leakage(kept: pd.DataFrame) -> None:
    for column, what in (("image_id", "The same image stands"), ("group_id", "A group of images that belong together stands")):
        places = kept.groupby(column)["given_split"].nunique()
        leaks = kept[kept[column].isin(places[places > 1].index)].sort_values([column, "path"])
        if len(leaks):
            shown = "; ".join(", ".join(paths) for _, paths in list(leaks.groupby(column)["path"])[:5])
            raise DataError(
                f"{what} in more than one of the dataset's own splits ({leaks[column].nunique()} in all): {shown}. "
                "A verdict on such a split would be too good: remove the copies from all but one split"
            )


def _carve_val(kept: pd.DataFrame, boxes: pd.DataFrame, fractions: Mapping[str, float], seed: int) -> pd.Series:
    train = kept[kept["given_split"] == "train"]
    share = fractions["val"] / (fractions["train"] + fractions["val"])
    dealt = _deal(train, boxes[boxes["image_id"].isin(train["image_id"])], {"train": 1 - share, "val": share}, seed)
    return dealt.reindex(kept.index).fillna(kept["given_split"])


def _deal(images: pd.DataFrame, boxes: pd.DataFrame, fractions: dict[str, float], seed: int) -> pd.Series:
    """Deal groups, largest share first, each to the split where it lowers the squared deviation of shares most."""
    counts = _counts(images, boxes, images["group_id"])
    if len(counts) < len(fractions):
        raise DataError(
            f"{len(counts)} groups of images are too few for {', '.join(fractions)}, expected at least {len(fractions)}: "
            "add images, or correct data.<task>.group_pattern in params.yaml, which says which images belong together"
        )
    shares, weights = _shares(images, counts)
    order = sorted(range(len(counts)), key=lambda row: (-(shares[row] * weights).sum(), _hash(seed, str(counts.index[row]))))
    only = counts.columns[((counts > 0).sum() == 1) & (counts.columns != EMPTY)]
    forced = {int(row) for row in np.flatnonzero((counts[only] > 0).any(axis=1))}
    dealt = _greedy(shares, weights, order, forced, list(fractions.values()))
    names = list(fractions)
    placed = {counts.index[row]: names[place] for row, place in enumerate(_none_empty(dealt, order, forced, len(names)))}
    return images["group_id"].map(placed)


def _shares(images: pd.DataFrame, counts: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Each group's share of every class, and each column's weight: (groups, columns) and (columns,).

    Emptiness weighs as much as there is of it. The images as such break ties in classification, lest many small
    classes all round the same way; in detection boxes decide alone, for photographs differ in what they show.
    """
    sizes = images["group_id"].value_counts().reindex(counts.index)
    columns = np.column_stack([counts.to_numpy(), sizes.to_numpy()])
    weights = np.ones(columns.shape[1])
    weights[counts.columns.get_loc(EMPTY)] = counts[EMPTY].sum() / len(images)
    weights[-1] = 0.0 if (images["task"] == DETECTION).any() else _TIE
    return columns / columns.sum(axis=0).clip(min=1), weights


def _greedy(shares: np.ndarray, weights: np.ndarray, order: list[int], forced: set[int], targets: list[float]) -> np.ndarray:
    """The split's index for each group; groups in `forced` go to split 0, being alone in showing some class."""
    gaps = -np.repeat(np.array(targets)[:, None], shares.shape[1], axis=1)
    dealt = np.zeros(len(shares), int)
    for row in sorted(order, key=lambda row: row not in forced):
        columns = np.flatnonzero(shares[row])
        added = shares[row, columns]
        cost = (weights[columns] * added * (2 * gaps[:, columns] + added)).sum(axis=1)
        dealt[row] = 0 if row in forced else int(cost.argmin())
        gaps[dealt[row], columns] += added
    return dealt


def _none_empty(dealt: np.ndarray, order: list[int], forced: set[int], splits: int) -> np.ndarray:
    """Give an empty split the smallest group that can be spared."""
    for place in range(splits):
        if (dealt == place).any():
            continue
        spare = [row for row in reversed(order) if row not in forced and (dealt == dealt[row]).sum() > 1]
        if not spare:
            raise DataError("every group of images is alone in showing some class, so none can leave train: add images of those classes")
        dealt[spare[0]] = place
    return dealt


def _counts(images: pd.DataFrame, boxes: pd.DataFrame, by: pd.Series) -> pd.DataFrame:
    """Rows: values of `by` (one an image); columns: classes and EMPTY; images for classification, boxes for detection."""
    key = dict(zip(images["image_id"], by, strict=True))
    if (images["task"] == DETECTION).any():
        labelled = boxes[["label"]].assign(by=boxes["image_id"].map(key))
        nothing = by[~images["image_id"].isin(boxes["image_id"])]
    else:
        labelled = images[["label"]].assign(by=by)
        nothing = by[images["label"].isna()]
    names = sorted(set(by)) if not set(by) <= set(SPLITS) else list(SPLITS)
    table = pd.crosstab(labelled["by"], labelled["label"]).reindex(names, fill_value=0)
    return table.assign(**{EMPTY: nothing.value_counts().reindex(names, fill_value=0)})


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
        found.append("the dataset's own split was not used: it does not place every image, or has no train or no test")
    return found


def _hash(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
