"""Two versions of a dataset compared: cases worked by hand, and what must hold of any two."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data import diff_report
from components.data.boxes import iou
from components.data.diff import Box, BoxChange, Diff, Image, ImageChange, Snapshot, diff, pair_boxes, snapshot
from components.data.formats import read_dataset
from tests.images import make_detection_voc


def version(*images: Image, **boxes: list[Box]) -> Snapshot:
    return Snapshot({image.path: image for image in images}, {path: sorted(own) for path, own in boxes.items()})


def image(path: str, content: str, label: str | None = None, split: str | None = None) -> Image:
    return Image(path, content, label, split)


def box(label: str, x0: float, y0: float, x1: float, y1: float, *, difficult: bool = False) -> Box:
    return Box(label, (x0, y0, x1, y1), False, difficult)


def told(found: Diff) -> dict[str, tuple[str, ...]]:
    return {(change.after or change.before).path: change.kinds for change in found.images}  # type: ignore[union-attr]


def test_every_kind_of_change_of_an_image() -> None:
    before = version(
        image("same", "1", "cat"), image("gone", "2", "cat"), image("old/name", "3", "cat"), image("other bytes", "4", "cat"),
        image("cat/moved", "5", "cat"), image("label only", "6", "cat"), image("split", "7", "cat", "train"),
    )  # fmt: skip
    after = version(
        image("same", "1", "cat"), image("come", "8", "dog"), image("new/name", "3", "cat"), image("other bytes", "9", "cat"),
        image("dog/moved", "5", "dog"), image("label only", "6", "dog"), image("split", "7", "cat", "test"),
    )  # fmt: skip
    found = diff(before, after)
    assert told(found) == {
        "gone": ("removed",), "come": ("added",), "new/name": ("renamed",), "other bytes": ("replaced",),
        "dog/moved": ("renamed", "relabelled"), "label only": ("relabelled",), "split": ("resplit",),
    }  # fmt: skip
    assert found.balance == {"cat": (7, 4), "dog": (0, 3)}
    assert diff_report.in_words(found) == "images: 1 added, 2 relabelled, 1 removed, 2 renamed, 1 replaced, 1 resplit"


def test_bytes_tell_before_paths_do() -> None:
    """Two files that swapped their names are two renamed images, not two replaced ones."""
    found = diff(version(image("a", "1"), image("b", "2")), version(image("a", "2"), image("b", "1")))
    assert told(found) == {"a": ("renamed",), "b": ("renamed",)}
    assert [(one.before.path, one.after.path) for one in found.images if one.before and one.after] == [("b", "a"), ("a", "b")]


def test_of_several_copies_those_that_stayed_are_no_change() -> None:
    found = diff(version(image("a", "1"), image("b", "1"), image("c", "1")), version(image("b", "1"), image("d", "1")))
    assert [(one.before and one.before.path, one.after and one.after.path) for one in found.images] == [("c", None), ("a", "d")]


# Two squares of side 0.4, one 0.1 to the right of the other: they share 0.3 x 0.4 = 0.12, together 0.2, IoU 0.6.
CAT, MOVED = box("cat", 0.1, 0.1, 0.5, 0.5), box("cat", 0.2, 0.1, 0.6, 0.5)


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ([CAT], [CAT], []),
        ([CAT], [MOVED], [("moved",)]),
        ([CAT], [box("dog", 0.1, 0.1, 0.5, 0.5)], [("relabelled",)]),
        ([CAT], [box("dog", 0.2, 0.1, 0.6, 0.5)], [("moved", "relabelled")]),
        ([CAT], [box("cat", 0.1, 0.1, 0.5, 0.5, difficult=True)], [("remarked",)]),
        ([CAT], [box("cat", 0.1000001, 0.1, 0.5, 0.5)], []),  # a label file's rounding
        ([CAT], [box("cat", 0.3, 0.1, 0.7, 0.5)], [("added",), ("removed",)]),  # share 0.08 of 0.24: IoU 1/3
        ([], [CAT], [("added",)]),
        ([CAT, CAT], [CAT], [("removed",)]),
        # the class counts before the better overlap
        ([CAT], [MOVED, box("dog", 0.1, 0.1, 0.5, 0.5)], [("added",), ("moved",)]),
    ],
)
def test_every_kind_of_change_of_a_box(old: list[Box], new: list[Box], kinds: list[tuple[str, ...]]) -> None:
    found = diff(version(image("a", "1"), a=old), version(image("a", "1"), a=new))
    assert sorted(change.kinds for change in found.boxes) == kinds
    assert found.images == [] and bool(found) == bool(kinds)


def test_boxes_go_with_their_image() -> None:
    """Of a renamed image the boxes are compared, of one that is new or gone all are added or removed."""
    before = version(image("a", "1"), image("b", "2"), a=[CAT], b=[CAT])
    after = version(image("c", "1"), image("d", "3"), c=[MOVED], d=[CAT, MOVED])
    found = diff(before, after)
    assert Counter(change.kinds for change in found.boxes) == {("moved",): 1, ("removed",): 1, ("added",): 2}
    assert found.balance == {"cat": (2, 3)}
    (moved,) = [change for change in found.boxes if change.kinds == ("moved",)]
    assert (moved.before_path, moved.after_path, moved.before, moved.after) == ("a", "c", CAT, MOVED)


def test_the_best_overlap_is_paired_first() -> None:
    # IoU of 0..0.10 with 0..0.08 is 0.8, with 0..0.10 it is 1: the first pair would leave the others unlike.
    ours = sorted([box("cat", 0, 0, 0.1, 0.1), box("cat", 0, 0, 0.08, 0.1)])
    theirs = sorted([box("cat", 0, 0, 0.1, 0.1), box("cat", 0, 0, 0.06, 0.1)])
    assert sorted((ours[i].corners[2], theirs[j].corners[2]) for i, j in pair_boxes(ours, theirs)) == [(0.08, 0.06), (0.1, 0.1)]


def test_iou_by_hand() -> None:
    a = np.array([[0, 0, 2, 2], [5, 5, 6, 6]], float)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 1], [2, 0, 3, 2]], float)
    np.testing.assert_allclose(iou(a, b), [[1 / 7, 1 / 2, 0], [0, 0, 0]])


def test_the_split_effect_counts_images_where_they_stand() -> None:
    before = version(image("a", "1"), image("b", "2"), image("c", "3"), a=[CAT])
    after = version(image("a", "1"), image("bb", "2"), image("d", "4"), a=[MOVED], d=[CAT])
    found = diff(before, after)
    placed = {"a": "test", "b": "train", "c": "val", "x": "test"}
    effect = diff_report.split_effect(found, placed, 2)
    assert effect.changed == {"train": {"renamed": 1}, "val": {"removed": 1}, "test": {"boxes": 1}, "unplaced": {"added": 1}}
    assert (effect.test_images, effect.test_changed, effect.digest) == (2, 1, "changes")
    assert diff_report.split_effect(found, placed | {"a": "train"}, 1).digest == "may change"
    renamed = diff(version(image("a", "1")), version(image("b", "1")))
    effect = diff_report.split_effect(renamed, {"a": "test"}, 1)
    assert (effect.test_changed, effect.digest) == (0, "stays")  # the digest is of bytes and labels, not of names


def test_a_listing_without_its_problems(tmp_path: Path) -> None:
    root = make_detection_voc(tmp_path, images=2, size=32)
    name = root / "Annotations" / "000.xml"
    name.write_text(name.read_text().replace("<xmin>", "<xmin>999"))  # every box leaves the image
    listing = read_dataset(root, "detection")
    found = snapshot(listing, {path: "x" for path in listing.images["path"]})
    assert set(found.images) == {"JPEGImages/000.png", "JPEGImages/001.png"}
    assert set(found.boxes) == {"JPEGImages/001.png"}
    assert found.images["JPEGImages/000.png"].label is None


def test_everything_is_plain_json() -> None:
    found = diff(version(image("a", "1"), a=[CAT]), version(image("a", "1"), image("b", "2"), a=[MOVED], b=[CAT]))
    document = json.loads(json.dumps(diff_report.as_json(found)))
    assert document["counts"] == {"images": {"added": 1}, "boxes": {"added": 1, "moved": 1}}
    assert document["images"] == [
        {
            "kinds": ["added"],
            "before": None,
            "after": {"path": "b", "content": "2", "label": None, "given_split": None, "group": None},
        }
    ]
    assert document["classes"] == {"cat": {"before": 1, "after": 2}}
    assert "IoU 0.5" in document["rule"]


# Few paths, contents and places, so that versions share much of them.
corners = st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 3)] * 2).map(
    lambda c: (c[0] / 8, c[1] / 8, (c[0] + c[2]) / 8, (c[1] + c[3]) / 8)
)
boxes = st.builds(Box, st.sampled_from("xy"), corners, st.just(False), st.booleans())
maybe = st.sampled_from(["p", "q", None])
images = st.tuples(st.sampled_from("123456"), maybe, st.sampled_from(["train", "test", None]), maybe)


@st.composite
def versions(draw: st.DrawFn) -> Snapshot:
    rows = draw(st.dictionaries(st.sampled_from("abcdef"), images))
    own = {path: sorted(draw(st.lists(boxes, max_size=5))) for path in rows}
    return Snapshot({path: Image(path, *row) for path, row in rows.items()}, {path: found for path, found in own.items() if found})


def mirrored(found: Diff) -> tuple[Counter[ImageChange], Counter[BoxChange], Mapping[str, tuple[int, int]]]:
    flipped = (BoxChange(one.after_path, one.before_path, one.after, one.before) for one in found.boxes)
    balance = {label: (after, before) for label, (before, after) in found.balance.items()}
    return Counter(ImageChange(one.after, one.before) for one in found.images), Counter(flipped), balance


def applied(before: Snapshot, found: Diff) -> Snapshot:
    """The version that a diff makes of another."""
    images = dict(before.images)
    boxes = {path: list(own) for path, own in before.boxes.items()}
    for change in found.boxes:
        if change.before is not None and change.before_path is not None:
            boxes[change.before_path].remove(change.before)
    left = {path: boxes.pop(path) for path in list(boxes)}
    names = {path: path for path in images}
    for one in found.images:
        if one.before is not None:
            del images[one.before.path], names[one.before.path]
    for one in found.images:
        if one.after is not None:
            images[one.after.path] = one.after
            if one.before is not None:
                names[one.before.path] = one.after.path
    for old, new in names.items():
        boxes[new] = left.get(old, [])
    for change in found.boxes:
        if change.after is not None and change.after_path is not None:
            boxes.setdefault(change.after_path, []).append(change.after)
    return Snapshot(images, {path: sorted(own) for path, own in boxes.items() if own})


@given(versions())
def test_a_version_does_not_differ_from_itself(one: Snapshot) -> None:
    found = diff(one, one)
    assert not found and all(before == after for before, after in found.balance.values())


@given(versions(), versions())
def test_the_other_way_round_is_the_mirror(one: Snapshot, other: Snapshot) -> None:
    found = diff(one, other)
    assert mirrored(diff(other, one)) == (Counter(found.images), Counter(found.boxes), found.balance)


@given(versions(), versions())
def test_the_diff_makes_the_one_version_of_the_other(one: Snapshot, other: Snapshot) -> None:
    assert applied(one, diff(one, other)) == other


@given(versions(), versions())
def test_the_counts_add_up(one: Snapshot, other: Snapshot) -> None:
    found = diff(one, other)
    kinds = Counter(kind for change in found.images for kind in change.kinds)
    assert len(other.images) - len(one.images) == kinds["added"] - kinds["removed"]
    boxes = Counter(kind for change in found.boxes for kind in change.kinds)
    counted = [sum(map(len, version.boxes.values())) for version in (one, other)]
    assert counted[1] - counted[0] == boxes["added"] - boxes["removed"]
