"""The split of every image: given, remembered or dealt."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.data.tables import OK, SPLITS, usable
from components.errors import DataError, UsageError
from components.split import leakage
from components.split.deal import UNPLACED, deal
from components.split.placements import no_placements, recall, remember
from components.split.strata import strata

BRIDGE = "bridges-splits"


@dataclass(frozen=True)
class Terms:
    """What a split is dealt by: changing any of it deals every image anew.

    `fractions` are the wanted shares of train, val and test, and sum to 1; `grouping` says by what images are grouped.
    """

    fractions: Mapping[str, float]
    seed: int
    grouping: str = ""

    def text(self) -> str:
        """The same for the same terms."""
        return json.dumps({"seed": self.seed, "grouping": self.grouping, **{name: self.fractions[name] for name in SPLITS}})


@dataclass(frozen=True)
class Outcome:
    """What a split came to.

    `places`: "train", "val", "test" or null for every row of the images, on their index. `memory`: every placement so
    far (schema PLACEMENTS). `left_out`: why images are in no split though they are sound, by path. `warnings`: in words.
    """

    places: pd.Series
    memory: pd.DataFrame
    left_out: dict[str, str]
    warnings: list[str]


def split(images: pd.DataFrame, boxes: pd.DataFrame, terms: Terms, memory: pd.DataFrame | None = None, repair: bool = False) -> Outcome:
    """Place every usable image, whole groups together; the order of rows does not matter.

    A given split is honoured when it has train and test; without a val, that is taken out of train, which images that are
    in no part of it join: test stays as it is given. Otherwise an image that `memory` knows stays where it was, its group
    joins it, and groups without a place are dealt so that the strata come closest to the fractions. An image that would
    join groups placed apart is left out. With `repair`, so are copies across a given split, of which test stays as it is.

    Raises DataError for leakage in a given split (without `repair`), or when a split would be empty.
    """
    _check_fractions(terms.fractions)
    kept, kept_boxes = usable(images, boxes)
    if kept.empty:
        raise DataError("no image is left to split: all are quarantined; see quarantine.csv of the validate stage")
    known, others = recall(no_placements() if memory is None else memory, terms.text())
    warnings = [] if is_given(images) and "val" in set(kept["given_split"]) else [_anew(other, terms) for other in others]
    if not is_given(images):
        placed, left_out, told = _place(kept, kept_boxes, dict(terms.fractions), terms.seed, known)
    else:
        placed, left_out, told = _honour(kept, kept_boxes, terms, known, repair)
    _refuse_empty(placed)
    places = images["path"].map(placed).astype(object).where(images["status"] == OK, None)
    now = {image: placed[path] for image, path in zip(kept["image_id"], kept["path"], strict=True) if path in placed}
    return Outcome(places.where(places.notna(), None), remember(known, now, terms.text()), left_out, [*warnings, *told])


def is_given(images: pd.DataFrame) -> bool:
    """Whether the dataset brings a split that can be honoured: kept images in train and in test."""
    return {"train", "test"} <= set(images.loc[images["status"] == OK, "given_split"])


Placed = tuple[dict[str, str], dict[str, str], list[str]]  # by path: split, why left out; warnings


def _honour(kept: pd.DataFrame, boxes: pd.DataFrame, terms: Terms, known: dict[str, str], repair: bool) -> Placed:
    given, others = kept[kept["given_split"].notna()], kept[kept["given_split"].isna()]
    if not repair:
        leakage.refuse(given)
    left_out = leakage.repair(given) if repair else {}
    told = [f"{len(left_out)} images are left out, for their copies stand in another of the dataset's own splits"] if left_out else []
    given = given[~given["path"].isin(left_out)]
    placed = dict(zip(given["path"], given["given_split"], strict=True))
    joined, bridges = _joined(given, others, known)
    if len(others):
        apart = f", but {len(bridges)} that belong together with its val or test images are left out" if bridges else ""
        told.append(f"{len(others)} images are in no part of the dataset's own split: they join train{apart}")
    placed, left_out = placed | joined, left_out | bridges
    if "val" in set(placed.values()):
        return placed, left_out, told
    train = kept[kept["path"].map(placed) == "train"].reset_index(drop=True)
    share = terms.fractions["val"] / (terms.fractions["train"] + terms.fractions["val"])
    own = {image: place for image, place in known.items() if place != "test"}
    carved, bridges, more = _place(
        train, boxes[boxes["image_id"].isin(train["image_id"])], {"train": 1 - share, "val": share}, terms.seed, own
    )
    stays = {path: place for path, place in placed.items() if path not in bridges}
    return stays | carved, left_out | bridges, [*told, *more]


def _joined(given: pd.DataFrame, others: pd.DataFrame, known: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Where images without a given split go, train unless they were placed before; and why some are left out, by path."""
    standing = {group: own["given_split"].iloc[0] for group, own in given.groupby("group_id")}
    parts = set(given["given_split"])
    places, left_out = dict[str, str](), dict[str, str]()
    in_turn = others.assign(new=~others["image_id"].isin(known)).sort_values(["new", "path"])
    for path, image, group in in_turn[["path", "image_id", "group_id"]].itertuples(index=False):
        before = known.get(image, "train")
        wanted = before if before in parts else "train"  # what was val is in train again where val is still to be taken out of it
        if standing.setdefault(group, wanted) == wanted:
            places[path] = wanted
        else:
            left_out[path] = f"{BRIDGE}: belongs to images in {standing[group]}"
    return places, left_out


def _place(kept: pd.DataFrame, boxes: pd.DataFrame, fractions: dict[str, float], seed: int, known: dict[str, str]) -> Placed:
    """Remembered places first, then those of the group, then a deal."""
    names, standing = list(fractions), _standing(kept, known)
    places, units, left_out = dict[str, str](), dict[str, str](), dict[str, str]()
    for path, image, group in zip(kept["path"], kept["image_id"], kept["group_id"].astype(str), strict=True):
        apart = len(standing.get(group, ())) > 1
        if apart and image not in known:
            left_out[path] = f"{BRIDGE}: belongs to images in {' and '.join(sorted(standing[group]))}"
            continue
        # A group that stands apart is one of its own for each split it stands in.
        units[path] = f"{group} in {known[image]}" if apart else group
        if group in standing:
            places[units[path]] = known[image] if apart else next(iter(standing[group]))
    dealt = kept.assign(unit=kept["path"].map(units)).dropna(subset="unit")
    table = strata(dealt, boxes[boxes["image_id"].isin(dealt["image_id"])], "unit")
    if len(table.groups) < len(names):
        raise DataError(_too_few(len(table.groups), names))
    before = np.array([names.index(places[unit]) if unit in places else UNPLACED for unit in table.groups])
    numbers = dict(zip(table.groups, deal(table, before, list(fractions.values()), seed), strict=True))
    told = _apart(kept[kept["group_id"].map(lambda group: len(standing.get(group, ())) > 1)], len(left_out))
    return {path: names[numbers[unit]] for path, unit in units.items()}, left_out, told


def _standing(kept: pd.DataFrame, known: dict[str, str]) -> dict[str, set[str]]:
    """The splits in which each group's remembered images stand."""
    standing: dict[str, set[str]] = {}
    for image, group in zip(kept["image_id"], kept["group_id"].astype(str), strict=True):
        if image in known:
            standing.setdefault(group, set()).add(known[image])
    return standing


def _apart(kept: pd.DataFrame, new: int) -> list[str]:
    groups = [sorted(paths) for _, paths in kept.groupby("group_id")["path"]]
    if not groups:
        return []
    shown = "; ".join(", ".join(paths[:3]) for paths in sorted(groups)[:3])
    return [
        f"{BRIDGE}: {len(groups)} groups of images that belong together stand in several splits, for they were placed before that "
        f"showed; nothing moves, {new} new images that join them are left out: {shown}. Change `seed` in params.yaml to deal all anew"
    ]


def _too_few(groups: int, names: list[str]) -> str:
    return (
        f"{groups} groups of images are too few for {', '.join(names)}, expected at least {len(names)}: add images, or correct "
        "data.<task>.group_pattern and near_duplicates in params.yaml, which say which images belong together"
    )


def _refuse_empty(placed: dict[str, str]) -> None:
    missing = [name for name in SPLITS if name not in set(placed.values())]
    if missing:
        raise DataError(
            f"the split {' and '.join(missing)} would be empty: every image was placed elsewhere before; add images, or change "
            "split's seed in params.yaml to deal all anew"
        )


def _anew(other: str, terms: Terms) -> str:
    now, before = json.loads(terms.text()), json.loads(other)
    changed = ", ".join(f"{name} {before.get(name)!r} became {now[name]!r}" for name in now if before.get(name) != now[name])
    return f"every image is dealt anew, for {changed}: models trained before have seen some of these test images"


def _check_fractions(fractions: Mapping[str, float]) -> None:
    values = [fractions.get(name, 0.0) for name in SPLITS]
    if min(values) <= 0 or abs(sum(values) - 1) > 1e-6:
        raise UsageError(f"split has the fractions {dict(fractions)}, expected train, val and test above 0 that sum to 1")
