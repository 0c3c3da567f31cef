"""Slices worked out by hand, and the search for the worst: planted ones found, chance left alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from components.errors import UsageError
from components.evaluate.detection_matches import gather, scenes
from components.evaluate.slice_scores import errors_first, in_words, of_classifier, of_detector
from components.evaluate.slices import slices, too_many
from components.evaluate.worst import AND, DEALS, LEVEL, memberships, search
from tests.components.evaluate.detection_cases import CLASSES, random_case

NO_BOXES = pd.DataFrame({"image_id": pd.Series(dtype=str), "label": pd.Series(dtype=str)})


def images(count: int, **columns: Any) -> pd.DataFrame:
    """Rows of the images table, all alike but for `columns`."""
    alike = {"task": "classification", "label": "a", "width": 10, "height": 10, "brightness": 0.5, "contrast": 0.1, "sharpness": 9.0}
    named = {"image_id": [f"i{at}" for at in range(count)], "path": [f"classification/a/{at}.png" for at in range(count)]}
    return pd.DataFrame({**named, "group_id": [f"g{at}" for at in range(count)], "format": "PNG", **alike, **columns}, index=range(count))


def found(test: pd.DataFrame, train: pd.DataFrame, boxes: pd.DataFrame = NO_BOXES, columns: tuple[str, ...] = ()) -> dict[str, list[str]]:
    table = slices(test, train, boxes, columns)
    return {name: part["image_id"].tolist() for name, part in table.groupby("slice")}


def test_dark_and_bright_are_the_thirds_of_the_training_images() -> None:
    train = images(9, brightness=[0.1, 0.1, 0.1, 0.5, 0.5, 0.5, 0.9, 0.9, 0.9])
    test = images(4, brightness=[0.05, 0.1, 0.45, 0.8], label=["a", "b", "a", "a"])
    assert found(test, train) == {
        "brightness: dark": ["i0", "i1"],
        "brightness: middling": ["i2"],
        "brightness: bright": ["i3"],
        "class: a": ["i0", "i2", "i3"],
        "class: b": ["i1"],
    }
    # More test images change nothing for those that were there.
    more = images(5, brightness=[0.05, 0.1, 0.45, 0.8, 0.99], label=["a", "b", "a", "a", "a"])
    assert found(more, train)["brightness: dark"] == ["i0", "i1"]


def test_one_size_of_most_images_is_one_slice() -> None:
    train = images(6, width=[100] * 5 + [400], height=100)
    assert found(images(3, width=[100, 100, 400], height=100), train) == {"image size: small": ["i0", "i1"], "image size: large": ["i2"]}


def test_sources_are_few_groups_or_else_folders() -> None:
    test = images(4, group_id=["p", "p", "q", "q"])
    assert found(test, test) == {"source: p": ["i0", "i1"], "source: q": ["i2", "i3"]}
    paths = [f"classification/{place}/a/{at}.png" for at, place in enumerate(["home"] * 10 + ["shop"] * 10)]
    assert set(found(images(20, path=paths), images(20))) == {"source: home", "source: shop"}
    by_class = images(20, label=["a", "b"] * 10, path=[f"classification/{'ab'[at % 2]}/{at}.png" for at in range(20)])
    assert set(found(by_class, by_class)) == {"class: a", "class: b"}


def test_columns_that_are_asked_for_and_those_that_are_not_there() -> None:
    test = images(4, format=["PNG", "JPEG", "PNG", None], bytes=[1, 2, 3, 400])
    assert found(test, test, columns=("format",)) == {"format: JPEG": ["i1"], "format: PNG": ["i0", "i2"]}
    assert found(test, test, columns=("bytes",))["bytes: high"] == ["i3"]
    with pytest.raises(UsageError, match=r"evaluate.slices names 'colour', expected columns of the images table: .*format"):
        slices(test, test, NO_BOXES, ["colour"])


def test_the_datasets_own_columns_are_texts_unless_they_are_many_numbers() -> None:
    cameras = ["n", "s", "several values", None, *"nnnn", *"ssss", *"tttt"]
    numbers = [*map(str, range(15)), "several values"]
    own = {"csv.camera": cameras, "csv.lens": [*"1234"] * 4, "csv.iso": numbers, "csv.serial": [f"s{at}" for at in range(16)]}
    test, train = images(16, **own), images(9, **{**dict.fromkeys(own, "s"), "csv.iso": ["0", "0", "0", "7", "7", "7", "9", "9", "nine"]})
    table = found(test, train, columns=("camera", "lens", "iso", "serial"))
    assert {name: len(of) for name, of in table.items() if name.startswith("camera")} == {
        "camera: n": 5, "camera: s": 5, "camera: t": 4, "camera: several values": 1,
    }  # fmt: skip
    assert [name for name in table if name.startswith("lens")] == [f"lens: {number}" for number in "1234"]
    # The thirds of the training images' eight numbers: 7 / 3 and 7; who has no number is in none of them.
    assert table["iso: low"] == ["i0", "i1", "i2"]
    assert table["iso: high"] == [f"i{at}" for at in range(8, 15)]
    assert not [name for name in table if name.startswith("serial")]
    assert too_many(test, ["camera", "lens", "iso", "serial"]) == {"serial": 16}


def test_detectors_have_classes_and_box_sizes_by_the_boxes() -> None:
    test = images(4, task="detection", label=None, width=1000, height=1000)
    rows = [("i0", "car", 0.02), ("i0", "cat", 0.03), ("i1", "cat", 0.05), ("i2", "car", 0.5)]
    boxes = pd.DataFrame([{"image_id": i, "label": n, "x_min": 0.0, "y_min": 0.0, "x_max": s, "y_max": s} for i, n, s in rows])
    table = found(test, test, boxes)
    assert table == {
        "class: car": ["i0", "i2"],
        "class: cat": ["i0", "i1"],
        "boxes: small": ["i0"],
        "boxes: medium": ["i1"],
        "boxes: large": ["i2"],
        "boxes: none": ["i3"],
    }


def planted(share: float, seed: int = 0) -> tuple[np.ndarray, tuple[list[str], np.ndarray]]:
    """Right answers of 90 %, but `share` where an image is both dark and of class c; and the slices of 400 images."""
    random = np.random.default_rng(seed)
    dark, kind = random.random(400) < 0.4, random.integers(0, 4, 400)
    rows = [("light: dark" if one else "light: bright") for one in dark]
    table = pd.DataFrame({"image_id": [*map(str, range(400))] * 2, "slice": [*rows, *(f"class: {'abcd'[one]}" for one in kind)]})
    named = memberships(table, [*map(str, range(400))])
    return (random.random(400) < np.where(dark & (kind == 2), share, 0.9)).astype(float), named


def test_a_planted_pair_is_found_and_said_in_words() -> None:
    quality, named = planted(0.3)
    result = search(quality, np.arange(400), named, 20, 0)
    assert result.worst is not None and result.worst.slice == f"class: c{AND}light: dark"
    assert result.members.sum() == result.worst.images and result.worst.value == pytest.approx(quality[result.members].mean())
    assert result.worst.p <= LEVEL and result.tested == 6 + 8
    assert "The worst is class: c and light: dark" in in_words(result, 20, "right")
    assert (quality[errors_first(quality, result.members, 3)] == 0).all()


def test_of_equal_slices_none_is_called_worst_more_often_than_the_level() -> None:
    found = [search(planted(0.9, seed)[0], np.arange(400), planted(0.9, seed)[1], 20, seed).worst for seed in range(40)]
    # At 5 % two of 40; seven or more happen with probability below 0.005.
    assert sum(one is not None for one in found) < 7


def test_copies_in_a_group_are_no_evidence() -> None:
    quality, (names, inside) = planted(0.9)
    quality[:] = 1.0
    quality[np.flatnonzero(inside[:, 0])[:1]] = 0.0
    one = np.repeat(np.arange(400), 30)
    repeated = search(quality[one], one, (names, inside[one]), 20, 0)
    assert repeated.worst is None and repeated.tested


def stereo(pairs: int, right: float = 0.9, left: float = 0.9, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Right answers on the left and the right picture of each pair, which pair a picture is of, and which are the left ones."""
    random, is_left = np.random.default_rng(seed), np.arange(2 * pairs) % 2 == 0
    return (random.random(2 * pairs) < np.where(is_left, left, right)).astype(float), np.arange(2 * pairs) // 2, is_left


def test_a_slice_that_every_group_splits_alike_hides_none_of_the_others() -> None:
    quality, pair, is_left = stereo(200)
    dark = np.isin(pair, np.arange(40))
    quality[dark] = 0.0
    alone = search(quality, pair, (["light: dark"], dark[:, None]), 20, 0)
    assert alone.worst is not None and alone.worst.p <= 1 / 1000 and alone.tested == 1
    sides = (["light: dark", "side: left", "side: right"], np.stack([dark, is_left, ~is_left], axis=1))
    beside = search(quality, pair, sides, 20, 0)
    assert beside.worst is not None and beside.worst.slice == "light: dark" and beside.worst.value == alone.worst.value == 0.0
    assert beside.worst.p <= 1 / 1000 and beside.tested == 3 + 2 and (beside.members == alone.members).all()


@given(seed=st.integers(0, 10_000), share=st.sampled_from((0.0, 0.3, 0.6, 0.9)))
@settings(max_examples=10, deadline=None)
def test_a_balanced_slice_changes_only_how_many_were_tested(seed: int, share: float) -> None:
    """Where both sides are answered alike nothing speaks for either, so what is found among the rest stays as it is, to the bit."""
    quality, (names, inside) = planted(share, seed)
    quality, inside, group = np.repeat(quality, 2), np.repeat(inside, 2, axis=0), np.repeat(np.arange(400), 2)
    is_left = np.arange(800) % 2 == 0
    before = search(quality, group, (names, inside), 90, seed)
    after = search(quality, group, ([*names, "side: left"], np.column_stack([inside, is_left])), 90, seed)
    assert after.worst == before.worst and (after.members == before.members).all() and after.tested > before.tested


def test_what_differs_within_groups_is_found_there() -> None:
    quality, pair, is_left = stereo(200, left=0.6)
    found = search(quality, pair, (["side: left", "side: right"], np.stack([is_left, ~is_left], axis=1)), 20, 0)
    assert found.worst is not None and found.worst.slice == "side: left" and found.worst.p <= 1 / 1000
    # Independent: McNemar's exact test of the pairs that disagree, half of them on either side if the sides are alike.
    worse, better = ((quality[is_left] < quality[~is_left]).sum(), (quality[is_left] > quality[~is_left]).sum())
    assert binomtest(int(worse), int(worse + better), alternative="greater").pvalue < 1 / 1000
    # The same where every pair has one right and one wrong answer, so that no two pairs differ as a whole.
    always = search((~is_left).astype(float), pair, (["side: left"], is_left[:, None]), 20, 0)
    assert always.worst is not None and (always.worst.value, always.worst.rest) == (0.0, 1.0)


def test_sides_that_are_alike_are_not_called_worse_more_often_than_the_level() -> None:
    def is_found(seed: int) -> bool:
        quality, pair, is_left = stereo(60, seed=seed)
        return search(quality, pair, (["side: left", "side: right"], np.stack([is_left, ~is_left], axis=1)), 20, seed).worst is not None

    assert sum(map(is_found, range(40))) < 7


def test_many_images_of_few_groups_are_no_evidence_within_them() -> None:
    # Ten groups of 100 images, three of which are worse on the left throughout: three coins of ten, not 300 images.
    group, is_left = np.repeat(np.arange(10), 100), np.arange(1000) % 2 == 0
    quality = np.where(is_left & (group < 3), 0.0, 1.0)
    assert search(quality, group, (["side: left"], is_left[:, None]), 20, 0).worst is None


def test_there_may_be_nothing_to_search() -> None:
    quality, named = planted(0.9)
    assert search(quality, np.arange(400), named, 201, 0).tested == 0
    assert search(np.ones(400), np.arange(400), named, 20, 0).worst is None
    assert search(np.full(400, 0.7), np.arange(400) // 2, named, 20, 0).worst is None
    assert "nothing to search" in in_words(search(quality, np.arange(400), named, 399, 0), 399, "right")
    assert DEALS > 1 / LEVEL


def test_a_slices_number_is_that_of_its_images_alone() -> None:
    quality, named = planted(0.3)
    for row, own in zip(of_classifier(quality == 1, np.arange(400), named), named[1].T, strict=True):
        assert row["value"] == pytest.approx(quality[own].mean()) and row["low"] < row["value"] < row["high"]
        assert row["images"] == own.sum()
    truth, predictions, sizes = random_case(1, images=20)
    inside = np.stack([np.arange(20) < 8, np.arange(20) < 3], axis=1)
    whole = gather(scenes(truth, predictions, sizes, CLASSES), CLASSES)
    rows = of_detector(whole, np.arange(20), (["first", "few"], inside), 100, 0)
    from components.evaluate.detection import coco_metrics

    part = coco_metrics(truth, predictions, sizes.head(8), CLASSES)
    assert rows[0]["value"] == pytest.approx(part["map50"]) and rows[0]["low"] <= rows[0]["value"] <= rows[0]["high"]
    assert np.isnan(rows[1]["low"])  # three images say nothing of how sure they are
