"""The names that datasets give to their splits."""

import re
from collections.abc import Iterable

SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "trainval": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
_WORD = re.compile(r"[a-z]+")


def split_of_name(name: str) -> str | None:
    """The split that a file's name speaks of: "instances_val2017" is val. None when it speaks of none or of several."""
    found = {SPLIT_NAMES[word] for word in _WORD.findall(name.lower()) if word in SPLIT_NAMES}
    return found.pop() if len(found) == 1 else None


def split_of_path(path: str) -> str | None:
    """The split of the outermost folder of a POSIX path that bears a split's name."""
    return first_split(path.split("/")[:-1])


def first_split(names: Iterable[str]) -> str | None:
    """The split of the first name that is exactly one of a split, whatever its case."""
    return next((SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES), None)
