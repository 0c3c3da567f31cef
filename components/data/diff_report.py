"""A diff in numbers and words: counts by kind, what it does to the split, and everything as plain values for JSON."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.data.boxes import SAME_BOX
from components.data.diff import BoxChange, Diff, ImageChange
from components.data.tables import SPLITS

RULE = (
    "images are the same by their bytes, then by their path; boxes of an image are the same when they overlap by "
    f"IoU {SAME_BOX} or more, best overlap first, those of the same class before those of another"
)
UNPLACED = "unplaced"
BOXES = "boxes"
_IDLE = {"renamed", "regrouped"}  # what a test set does not notice


@dataclass(frozen=True)
class SplitEffect:
    """How many images changed in which split, by kind (`boxes`: only boxes did), and what becomes of the test set.

    `digest` says whether the test set's digest `stays`, `changes`, or `may change`, since some images are not placed yet.
    """

    changed: dict[str, dict[str, int]]
    test_images: int
    test_changed: int
    digest: str


def counts(diff: Diff) -> dict[str, dict[str, int]]:
    """How many changes of each kind, of `images` and of `boxes`; one change may be of several kinds."""
    images = Counter(kind for change in diff.images for kind in change.kinds)
    boxes = Counter(kind for change in diff.boxes for kind in change.kinds)
    return {"images": dict(sorted(images.items())), "boxes": dict(sorted(boxes.items()))}


def in_words(diff: Diff) -> str:
    """One line, for instance `images: 3 added, 1 relabelled; boxes: 2 moved`."""
    parts = [f"{what}: {', '.join(f'{count:,} {kind}' for kind, count in found.items())}" for what, found in counts(diff).items() if found]
    return "; ".join(parts) or "nothing changed"


def split_effect(diff: Diff, placed: Mapping[str, str], test_images: int) -> SplitEffect:
    """What a diff does to the split, where `placed` gives the split of images by path, as they are or were called."""
    changed: dict[str, Counter[str]] = defaultdict(Counter)
    tested = 0
    for paths, kinds in _touched(diff).items():
        split = next((placed[path] for path in paths if path in placed), UNPLACED)
        changed[split].update(sorted(kinds))
        tested += split == "test" and not kinds <= _IDLE
    moved_in = any("test" in (one.before.given_split, one.after.given_split) for one in _resplit(diff))
    unsure = "may change" if changed.get(UNPLACED) else "stays"
    order = [name for name in (*SPLITS, UNPLACED) if name in changed]
    return SplitEffect({name: dict(changed[name]) for name in order}, test_images, tested, "changes" if tested or moved_in else unsure)


def as_json(diff: Diff) -> dict[str, Any]:
    """The whole diff as plain values."""
    return {
        "rule": RULE,
        "counts": counts(diff),
        "images": [_image(change) for change in diff.images],
        "boxes": [_box(change) for change in diff.boxes],
        "classes": {label: {"before": before, "after": after} for label, (before, after) in diff.balance.items()},
    }


def _touched(diff: Diff) -> dict[tuple[str, ...], set[str]]:
    """The kinds of change of each image, by its path after and, where that differs, before."""
    found: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for change in diff.images:
        after, before = (image.path if image else None for image in (change.after, change.before))
        found[_paths(after, before)] |= set(change.kinds)
    whole = {paths for paths, kinds in found.items() if kinds & {"added", "removed"}}
    for box in diff.boxes:
        paths = _paths(box.after_path, box.before_path)
        if paths not in whole:
            found[paths].add(BOXES)
    return found


def _paths(after: str | None, before: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(path for path in (after, before) if path is not None))


def _resplit(diff: Diff) -> list[Any]:
    return [change for change in diff.images if "resplit" in change.kinds]


def _image(change: ImageChange) -> dict[str, Any]:
    return {"kinds": list(change.kinds), "before": change.before and asdict(change.before), "after": change.after and asdict(change.after)}


def _box(change: BoxChange) -> dict[str, Any]:
    before, after = (box and asdict(box) for box in (change.before, change.after))
    return {"kinds": list(change.kinds), "image": change.after_path or change.before_path, "before": before, "after": after}
