"""What changed between two versions of a dataset, image by image and box by box.

Images are the same by their bytes: bytes that stayed in place are the same image; bytes at another path are a renamed one
(several copies are paired in the order of their paths); what is left at the same path was replaced; the rest was added or
removed. Boxes of the same image are paired by overlap, IoU at least SAME_BOX, the best overlap first: those of the same
class before those of another.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from components.data.boxes import SAME_BOX, Corners, iou
from components.data.formats.listing import CORNERS, Listing

STILL = 1e-5  # of the image's side: what rounding in label files moves a corner by is no move


@dataclass(frozen=True, order=True)
class Image:
    """One image of a version: `content` identifies its bytes; `label`, `given_split` and `group` are None where there is none."""

    path: str
    content: str
    label: str | None
    given_split: str | None
    group: str | None = None


@dataclass(frozen=True, order=True)
class Box:
    """One labelled box, its corners x_min, y_min, x_max, y_max as fractions 0..1 of the upright image."""

    label: str
    corners: Corners
    is_crowd: bool
    is_difficult: bool


@dataclass(frozen=True)
class Snapshot:
    """A version's usable images by path, and the boxes of those that have any, sorted."""

    images: Mapping[str, Image]
    boxes: Mapping[str, Sequence[Box]]


@dataclass(frozen=True)
class ImageChange:
    """An image before and after; None where it is not there."""

    before: Image | None
    after: Image | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """`added` or `removed`; otherwise which of `renamed`, `replaced`, `relabelled`, `resplit` and `regrouped` hold."""
        if self.before is None or self.after is None:
            return ("added" if self.before is None else "removed",)
        parts = {"renamed": "path", "replaced": "content", "relabelled": "label", "resplit": "given_split", "regrouped": "group"}
        return tuple(kind for kind, part in parts.items() if getattr(self.before, part) != getattr(self.after, part))


@dataclass(frozen=True)
class BoxChange:
    """A box before and after, with the path of its image on either side; None where it is not there."""

    before_path: str | None
    after_path: str | None
    before: Box | None
    after: Box | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """`added` or `removed`; otherwise which of `moved`, `relabelled` and `remarked` (crowd, difficult) hold."""
        if self.before is None or self.after is None:
            return ("added" if self.before is None else "removed",)
        moved = not _still(self.before, self.after)
        marks = [(box.is_crowd, box.is_difficult) for box in (self.before, self.after)]
        found = {"moved": moved, "relabelled": self.before.label != self.after.label, "remarked": marks[0] != marks[1]}
        return tuple(kind for kind, holds in found.items() if holds)


@dataclass(frozen=True)
class Diff:
    """Everything that differs, in the order of paths; `balance` has each class's labels (images, or boxes) before and after."""

    images: list[ImageChange]
    boxes: list[BoxChange]
    balance: dict[str, tuple[int, int]]

    def __bool__(self) -> bool:
        return bool(self.images or self.boxes)


def snapshot(listing: Listing, contents: Mapping[str, str]) -> Snapshot:
    """What a listing says of the images and boxes without problems; `contents` identifies the bytes of the version's paths."""
    usable = listing.images[(listing.images["problems"].map(len) == 0) & listing.images["path"].isin(contents.keys())]
    columns = usable.reindex(columns=["path", "label", "given_split", "group"]).astype(object)
    rows = columns.where(columns.notna(), None).itertuples(index=False, name=None)
    images = {str(path): Image(str(path), contents[path], *own) for path, *own in rows}
    return Snapshot(images, _boxes(listing.boxes, images))


def diff(before: Snapshot, after: Snapshot) -> Diff:
    """See the module's text. `diff(b, a)` is the mirror of `diff(a, b)`; the diff of a version and itself is empty."""
    pairs = _pair_images(before.images, after.images)
    changes = [ImageChange(*pair) for pair in pairs]
    boxes = [change for old, new in pairs for change in _box_changes(old, new, before, after)]
    return Diff([change for change in changes if change.kinds], boxes, _balance(before, after))


def _boxes(table: pd.DataFrame, images: Mapping[str, Image]) -> dict[str, list[Box]]:
    usable = table[(table["problems"].map(len) == 0) & table["path"].isin(images.keys())]
    found: dict[str, list[Box]] = defaultdict(list)
    for path, label, *rest in usable[["path", "label", *CORNERS, "is_crowd", "is_difficult"]].itertuples(index=False, name=None):
        x0, y0, x1, y1 = map(float, rest[:4])
        found[path].append(Box(str(label), (x0, y0, x1, y1), bool(rest[4]), bool(rest[5])))
    return {path: sorted(boxes) for path, boxes in found.items()}


Pair = tuple[Image | None, Image | None]


def _pair_images(before: Mapping[str, Image], after: Mapping[str, Image]) -> list[Pair]:
    pairs: list[Pair] = [(before[path], after[path]) for path in before if path in after and before[path].content == after[path].content]
    placed = {old.path for old, _ in pairs if old is not None}
    olds = {path: image for path, image in sorted(before.items()) if path not in placed}
    news = {path: image for path, image in sorted(after.items()) if path not in placed}
    same_bytes, same_path = (lambda image: image.content), (lambda image: image.path)
    for key in (same_bytes, same_path):
        for old, new in _in_turn(olds.values(), news.values(), key):
            pairs.append((olds.pop(old.path), news.pop(new.path)))
    pairs += [(image, None) for image in olds.values()] + [(None, image) for image in news.values()]
    return sorted(pairs, key=lambda pair: (pair[1] or pair[0] or Image("", "", None, None)).path)


def _in_turn(olds: Iterable[Image], news: Iterable[Image], key: Callable[[Image], str]) -> list[tuple[Image, Image]]:
    """Those of equal key, paired in order; what is over stays unpaired."""
    waiting: dict[str, list[Image]] = defaultdict(list)
    for image in news:
        waiting[key(image)].append(image)
    return [(image, waiting[key(image)].pop(0)) for image in olds if waiting.get(key(image))]


def _box_changes(old: Image | None, new: Image | None, before: Snapshot, after: Snapshot) -> list[BoxChange]:
    ours = list(before.boxes.get(old.path, ())) if old else []
    theirs = list(after.boxes.get(new.path, ())) if new else []
    if ours == theirs:
        return []
    paths = (old.path if old else None, new.path if new else None)
    changes = [BoxChange(*paths, ours[i], theirs[j]) for i, j in pair_boxes(ours, theirs)]
    gone, come = _unpaired(ours, [one.before for one in changes]), _unpaired(theirs, [one.after for one in changes])
    changes += [BoxChange(*paths, box, None) for box in gone] + [BoxChange(*paths, None, box) for box in come]
    return [change for change in changes if change.kinds]


def pair_boxes(ours: Sequence[Box], theirs: Sequence[Box]) -> list[tuple[int, int]]:
    """Which of `ours` is which of `theirs`, by index; both sorted. Each box is paired once at most."""
    pairs: list[tuple[int, int]] = []
    if not ours or not theirs:
        return pairs
    overlap = iou(np.array([box.corners for box in ours]), np.array([box.corners for box in theirs]))
    same = np.array([box.label for box in ours])[:, None] == np.array([box.label for box in theirs])[None]
    free = overlap >= SAME_BOX
    for allowed in (same, ~same):
        rows, columns = np.nonzero(free & allowed)
        for index in np.lexsort((columns, rows, -overlap[rows, columns])):
            i, j = int(rows[index]), int(columns[index])
            if free[i, j]:
                pairs.append((i, j))
                free[i, :] = free[:, j] = False
    return pairs


def _unpaired(boxes: list[Box], paired: Iterable[Box | None]) -> list[Box]:
    left = list(boxes)
    for box in paired:
        if box is not None:
            left.remove(box)
    return left


def _still(one: Box, other: Box) -> bool:
    return max(abs(a - b) for a, b in zip(one.corners, other.corners, strict=True)) <= STILL


def _balance(before: Snapshot, after: Snapshot) -> dict[str, tuple[int, int]]:
    counts = [_counts(version) for version in (before, after)]
    return {label: (counts[0].get(label, 0), counts[1].get(label, 0)) for label in sorted({*counts[0], *counts[1]})}


def _counts(version: Snapshot) -> dict[str, int]:
    """How many images, and how many boxes, bear each label."""
    counts: dict[str, int] = defaultdict(int)
    for image in version.images.values():
        if image.label is not None:
            counts[image.label] += 1
    for boxes in version.boxes.values():
        for box in boxes:
            counts[box.label] += 1
    return dict(counts)
