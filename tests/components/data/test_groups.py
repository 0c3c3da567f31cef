from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data import groups
from components.data.facts import Facts
from tests.components.data.test_duplicates import picture, thumbnails

PICTURES = thumbnails([picture(seed) for seed in range(40)])


def fact(number: int, shows: int | None = None, **own: Any) -> Facts:
    return {"image_id": f"{number:064x}", "thumbnail": PICTURES[number if shows is None else shows].tobytes()} | own


def grouped(paths: list[str], facts: list[Facts], names: list[str | None] | None = None, look: bool = True) -> set[frozenset[str]]:
    """The groups of two or more, by path."""
    found = groups.group(paths, facts, names or [None] * len(paths), look)
    members: dict[str, set[str]] = {}
    for path, own in zip(paths, found.ids, strict=True):
        members.setdefault(own, set()).add(path)
    return {frozenset(one) for one in members.values() if len(one) > 1}


def test_all_reasons_join_into_one_group_named_by_its_name() -> None:
    paths = ["a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"]
    facts = [fact(0), fact(1), fact(2, shows=1), fact(3), fact(2)]
    found = groups.group(paths, facts, ["patient 7", "patient 7", None, None, None], True)
    assert found.ids == ["patient 7"] * 3 + [f"{3:064x}", "patient 7"]
    assert found.reasons == {"named": 1, "near-copies": 1, "same bytes": 1}


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["train/a/cat_jpg.rf.0123456789abcdef0123456789abcdef.jpg", "test/a/cat_jpg.rf.fedcba9876543210fedcba9876543210.jpg"], True),
        (["a/cat.rf.1.jpg", "a/cat.rf.2.jpg"], False),
        (["a/cat.jpg", "a/cat_aug1.jpg"], False),
        (["a/cat.jpg", "a/cat (1).jpg"], False),
        (["a/17.jpg", "a/18.jpg"], False),
    ],
)
def test_only_an_unmistakable_name_groups_pictures_that_do_not_look_alike(names: list[str], same: bool) -> None:
    assert bool(grouped(names, [fact(0), fact(1)])) is same


SIMILAR = thumbnails([picture(0), np.clip(picture(0) * 0.75 + picture(9) * 0.35 - 12, 0, 255).astype(np.uint8)])


@pytest.mark.parametrize(
    ("names", "same"),
    [
        (["a/cat.jpg", "a/cat_aug1.png"], True),
        (["a/cat - Copy (2).jpg", "a/cat.jpg"], True),
        (["a/cat_flip_crop.jpg", "a/cat.jpg"], True),
        (["a/IMG_0099.jpg", "a/IMG_0100.jpg"], True),
        (["a/IMG_0099.jpg", "a/IMG_0101.jpg"], False),
        (["a/IMG_0099.jpg", "b/IMG_0100.jpg"], False),
        (["a/cat.jpg", "a/dog.jpg"], False),
        (["a/cat.jpg", "b/cat_aug1.jpg"], False),
    ],
)
def test_pictures_that_resemble_one_another_need_the_support_of_their_names(names: list[str], same: bool) -> None:
    facts = [fact(number) | {"thumbnail": one.tobytes()} for number, one in enumerate(SIMILAR)]
    assert bool(grouped(names, facts)) is same
    assert not grouped(names, facts, look=False)


def test_bursts_are_one_camera_within_seconds_and_at_most_a_minute() -> None:
    times = ["2024-05-01T10:00:00", "2024-05-01T10:00:01.50", "2024-05-01T10:00:09", "2024-05-01T10:00:10", None, "no time"]
    facts = [fact(number, taken=time, camera="x") for number, time in enumerate(times)]
    facts.append(fact(6, taken="2024-05-01T10:00:01", camera="y"))
    assert grouped(list("abcdefg"), facts) == {frozenset("ab"), frozenset("cd")}
    film = [fact(n, taken=f"2024-05-01T10:{n // 30:02d}:{n % 30 * 2:02d}", camera="x") for n in range(40)]
    assert {len(one) for one in grouped([f"{n}x.jpg" for n in range(40)], film)} == {31, 9}


@given(st.permutations(range(8)))
def test_the_order_of_images_does_not_matter(order: list[int]) -> None:
    paths = [f"a/{n}.jpg" for n in range(8)]
    facts = [fact(n, shows=n // 2) for n in range(8)]
    names = ["x", None, None, "x", None, None, None, None]
    whole = dict(zip(paths, groups.group(paths, facts, names, True).ids, strict=True))
    mixed = groups.group(*([own[n] for n in order] for own in (paths, facts, names)), True)
    assert dict(zip((paths[n] for n in order), mixed.ids, strict=True)) == whole
