"""Which images belong together and must share a split: named so, the same bytes, copies, exports or a burst of one another."""

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from components.data import duplicates
from components.data.alignment import SIDE
from components.data.facts import Facts
from components.errors import UsageError

NAMED, SAME_BYTES, NEAR_COPY, EXPORT, VERSION, BURST, SEQUENCE = (
    "named", "same bytes", "near-copies", "exports of one image", "versions by name", "burst", "consecutive files",
)  # fmt: skip
_EXPORT = re.compile(r"^(.+)\.rf\.[0-9A-Za-z]{16,}$")  # Roboflow
_WORDS = "copy|aug(?:mented)?|flip(?:ped)?|[hv]flip|mirror(?:ed)?|rot(?:ated?)?|crop(?:ped)?|resized?|bright|dark|noise|blur|edit(?:ed)?"
_VERSION = re.compile(rf"(?:[ _-]+(?:{_WORDS})[ _-]?\d*|[ _-]*\(\d+\))$", re.IGNORECASE)
_NUMBERED = re.compile(r"^(.*?)(\d+)$")
_GAP, _SPAN = 2.0, 60.0  # seconds between two pictures of a burst, and of a whole burst

Link = tuple[str, int, int]


@dataclass(frozen=True)
class Grouping:
    """One group id an image; for each reason how many groups of two or more images it helped to make; the
    near-copies; and the number of pairs that look alike but were not grouped, lest all became one group.
    """

    ids: list[str]
    reasons: dict[str, int]
    copies: duplicates.Pairs
    cut: int


def group(paths: Sequence[str], facts: Sequence[Facts], names: Sequence[str | None], look: bool) -> Grouping:
    """Group images, given in any order.

    `names`: what the dataset calls each image's group, or None. With `look`, images that have a `thumbnail` are also
    grouped when they are copies of one another, exports (`.rf.`), versions by name or consecutive files that look
    alike, or a burst by EXIF. A group's id is its first name, or else the smallest image_id in it.
    """
    own = [str(one.get("image_id") or path) for one, path in zip(facts, paths, strict=True)]
    links = [*_equal(NAMED, names), *_equal(SAME_BYTES, own)]
    copies, cut = _no_pairs(), 0
    if look:
        copies, seen, cut = _visual(paths, facts, own)
        links += [*seen, *_equal(EXPORT, [_export(path) for path in paths]), *_bursts(facts)]
    leaders = duplicates.components([(first, second) for _, first, second in links], len(own))
    made: dict[str, set[int]] = {}
    for reason, first, _ in links:
        made.setdefault(reason, set()).add(int(leaders[first]))
    keys = [(name is None, name or mine) for name, mine in zip(names, own, strict=True)]
    smallest: dict[int, tuple[bool, str]] = {}
    for leader, key in zip(leaders.tolist(), keys, strict=True):
        smallest[leader] = min(smallest.get(leader, key), key)
    ids = [smallest[leader][1] for leader in leaders.tolist()]
    return Grouping(ids, {reason: len(groups) for reason, groups in sorted(made.items())}, copies, cut)


def names_from(pattern: str, paths: Sequence[str]) -> list[str | None]:
    """The first group of a regular expression, searched in each file's name without suffix, then in its path; None without match.

    Raises UsageError for a pattern that is no regular expression.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"group_pattern {pattern!r} is no regular expression ({error}); correct it in params.yaml") from error
    matches = [expression.search(_stem(path)) or expression.search(path) for path in paths]
    return [match and match.group(1 if expression.groups else 0) for match in matches]


def _stem(path: str) -> str:
    return path.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _export(path: str) -> str | None:
    match = _EXPORT.match(_stem(path))
    return match and match.group(1)


def _equal(reason: str, keys: Iterable[Hashable]) -> Iterator[Link]:
    """Links between images with the same key; None is no key."""
    first: dict[Hashable, int] = {}
    for position, key in enumerate(keys):
        if key is not None and first.setdefault(key, position) != position:
            yield reason, first[key], position


def _visual(paths: Sequence[str], facts: Sequence[Facts], own: Sequence[str]) -> tuple[duplicates.Pairs, list[Link], int]:
    """Near-copies; the links of all that look alike, bounded as `duplicates.clusters` says; and how many that left out."""
    shown = sorted((own[position], paths[position], position) for position, one in enumerate(facts) if one.get("thumbnail"))
    at = np.array([position for index, (key, _, position) in enumerate(shown) if not index or key != shown[index - 1][0]], int)
    if not len(at):
        return _no_pairs(), [], 0
    thumbnails = np.stack([np.frombuffer(facts[position]["thumbnail"], np.uint8).reshape(SIDE, SIDE) for position in at])
    copies = duplicates.copies(thumbnails)
    some = [paths[position] for position in at]
    found = {NEAR_COPY: copies, VERSION: _resembling(thumbnails, _versions(some)), SEQUENCE: _resembling(thumbnails, _sequences(some))}
    clusters = duplicates.clusters(duplicates.joined(list(found.values())), len(at))
    links = [
        (reason, int(at[first]), int(at[second]))
        for reason, pairs in found.items()
        for first, second in zip(pairs.first, pairs.second, strict=True)
        if clusters[first] == clusters[second]
    ]
    cut = sum(map(len, found.values())) - len(links)
    return duplicates.Pairs(at[copies.first], at[copies.second], copies.orientation, copies.agreement), links, cut


def _resembling(thumbnails: NDArray[np.uint8], pairs: Iterable[tuple[int, int]]) -> duplicates.Pairs:
    first, second = np.array(sorted({(min(pair), max(pair)) for pair in pairs}), int).reshape(-1, 2).T
    return duplicates.resembling(thumbnails, first, second)


def _versions(paths: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Images of one folder whose names differ only in what programs append to a copy."""
    return ((first, second) for _, first, second in _equal(VERSION, map(_without_version, paths)))


def _without_version(path: str) -> str:
    folder, stem = path.rpartition("/")[0], _stem(path)
    while (shorter := _VERSION.sub("", stem).rstrip(" -_")) not in ("", stem):
        stem = shorter
    return f"{folder}/{stem}"


def _sequences(paths: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Images of one folder with consecutive numbers."""
    numbered = []
    for position, path in enumerate(paths):
        if match := _NUMBERED.match(_stem(path)):
            numbered.append((path.rpartition("/")[0], match.group(1), int(match.group(2)[-18:]), position))
    for (*place, number, first), (*other, following, second) in pairwise(sorted(numbered)):
        if place == other and following == number + 1:
            yield first, second


def _bursts(facts: Sequence[Facts]) -> Iterator[Link]:
    """Links between pictures that one camera took within _GAP seconds of another, in bursts of at most _SPAN seconds."""
    taken = []
    for position, one in enumerate(facts):
        time = _seconds(str(one.get("taken")))
        if one.get("camera") and time is not None:
            taken.append((str(one["camera"]), time, str(one.get("image_id")), position))
    taken.sort()
    begun = taken[0][1] if taken else 0.0
    for (camera, time, _, first), (other, later, _, second) in pairwise(taken):
        if camera == other and later - time <= _GAP and later - begun <= _SPAN:
            yield BURST, first, second
        else:
            begun = later


def _seconds(text: str) -> float | None:
    try:
        return (datetime.fromisoformat(text).replace(tzinfo=None) - datetime(1970, 1, 1)).total_seconds()
    except ValueError:
        return None


def _no_pairs() -> duplicates.Pairs:
    none = np.zeros(0, int)
    return duplicates.Pairs(none, none, none, np.zeros(0, np.float32))
