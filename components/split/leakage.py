"""Images and groups that stand in more than one of the dataset's own splits: refused, or the copies left out."""

import pandas as pd

from components.errors import DataError

_KEPT = ("test", "val", "train")  # where of several the images stay
_SHOWN = 5


def refuse(kept: pd.DataFrame) -> None:
    """Raise DataError naming the files when an image, or images that belong together, stand in several given splits."""
    for column, what in (("image_id", "The same image stands"), ("group_id", "A group of images that belong together stands")):
        leaks = _across(kept, column)
        if len(leaks):
            groups = list(leaks.sort_values([column, "path"]).groupby(column))
            shown = "; ".join(", ".join(_few(own)) for _, own in groups[:_SHOWN])
            raise DataError(
                f"{what} in more than one of the dataset's own splits ({len(groups)} in all): {shown}. A verdict on such a split "
                "would be too good: remove the copies from all but one split, or set split.on_leak to repair in params.yaml, which "
                "leaves the copies in train (or val) out and the test images as they are"
            )


def repair(kept: pd.DataFrame) -> dict[str, str]:
    """Which images to leave out, by path, so that nothing stands in two given splits, and why.

    A group stays whole where it stands in test, else in val; the images of the same group elsewhere are left out.
    """
    reasons: dict[str, str] = {}
    for column, what in (("image_id", "the same image as"), ("group_id", "belongs together with")):
        for _, own in _across(kept, column).sort_values("path").groupby(column):
            stays = next(place for place in _KEPT if place in set(own["given_split"]))
            there = own.loc[own["given_split"] == stays, "path"].iloc[0]
            for path in own.loc[own["given_split"] != stays, "path"]:
                reasons.setdefault(path, f"{what} {there}, which is in {stays}")
    return reasons


def _across(kept: pd.DataFrame, column: str) -> pd.DataFrame:
    places = kept.groupby(column)["given_split"].nunique()
    return kept[kept[column].isin(places[places > 1].index)]


def _few(own: pd.DataFrame) -> list[str]:
    """One path of each split, and how many more there are."""
    first = list(own.drop_duplicates("given_split")["path"])
    return first if len(own) == len(first) else [*first, f"{len(own) - len(first)} more"]
