import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from components.data import tables
from components.errors import DataError, UsageError
from components.split import PLACEMENTS, Terms, report
from components.split import split as split_

FRACTIONS = {"train": 0.7, "val": 0.1, "test": 0.2}
NO_BOXES = tables.frame([], tables.BOXES)


def split(images: pd.DataFrame, boxes: pd.DataFrame, fractions: dict[str, float], seed: int) -> pd.Series:
    return split_(images, boxes, Terms(fractions, seed)).places


def table(
    labels: list[str | None], groups: list[str] | None = None, given: list[str | None] | None = None, task: str = "classification"
) -> pd.DataFrame:
    rows = [
        {"image_id": f"{i:064x}", "path": f"{i:05d}.png", "task": task, "label": label, "status": "ok", "problems": []}
        | {"group_id": groups[i] if groups else f"{i:064x}", "given_split": given[i] if given else None}
        for i, label in enumerate(labels)
    ]
    return tables.frame(rows, tables.IMAGES)


def boxes_for(images: pd.DataFrame, counts: list[dict[str, int]]) -> pd.DataFrame:
    rows = [
        {"image_id": image, "box_id": f"{image}-{label}-{number}", "label": label, "status": "ok", "problems": []}
        for image, wanted in zip(images["image_id"], counts, strict=True)
        for label, count in wanted.items()
        for number in range(count)
    ]
    return tables.frame(rows, tables.BOXES)


def test_the_four_tree_photographs_fall_as_worked_by_hand() -> None:
    photographs = {"YELL_528": 574, "YELL_541": 279, "OSBS": 61, "SOAP": 37}
    groups = [name for name in photographs for _ in range(4)]
    images = table([None] * 16, groups, task="detection")
    boxes = boxes_for(images, [{"Tree": -(-photographs[name] // 4)} for name in groups])
    placed = split(images, boxes, {"train": 0.6, "val": 0.1, "test": 0.3}, seed=0)
    assert dict(zip(groups, placed, strict=True)) == {"YELL_528": "train", "YELL_541": "test", "OSBS": "val", "SOAP": "val"}


def test_as_stratified_as_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    labels = list(rng.choice(["a", "b", "c", "d"], 400, p=[0.55, 0.3, 0.1, 0.05]))
    placed = split(table(labels), NO_BOXES, FRACTIONS, seed=0)

    def deviation(chosen: np.ndarray) -> float:
        own = pd.Series(labels)
        return float((own[chosen].value_counts() / own.value_counts() - 0.2).abs().max())

    _, reference = next(StratifiedShuffleSplit(1, test_size=0.2, random_state=0).split(labels, labels))
    assert deviation(np.flatnonzero(placed == "test")) <= deviation(reference) + 0.03


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 12)), min_size=12, max_size=80), st.integers(0, 3))
def test_groups_stay_whole_nothing_is_empty_and_order_does_not_matter(rows: list[tuple[str, int]], seed: int) -> None:
    images = table([label for label, _ in rows] + list("abcabcabc"), [f"g{group}" for _, group in rows] + [f"own{i}" for i in range(9)])
    placed = split(images, NO_BOXES, FRACTIONS, seed)
    assert set(placed) == set(tables.SPLITS)
    assert placed.groupby(images["group_id"]).nunique().max() == 1
    shuffled = images.sample(frac=1, random_state=1)
    pd.testing.assert_series_equal(split(shuffled, NO_BOXES, FRACTIONS, seed).sort_index(), placed, check_names=False)


def test_the_seed_decides_among_equals() -> None:
    images = table(["a", "b"] * 50)
    first, again, other = (split(images, NO_BOXES, FRACTIONS, seed) for seed in (0, 0, 1))
    assert first.equals(again) and not first.equals(other)


def test_detection_is_stratified_by_boxes_and_by_emptiness() -> None:
    rng = np.random.default_rng(0)
    counts = [{} if i % 5 == 0 else {"cat": int(rng.integers(1, 6)), "dog": int(i % 4 == 0)} for i in range(200)]
    images = table([None] * 200, task="detection")
    boxes = boxes_for(images, counts)
    images["split"] = split(images, boxes, FRACTIONS, 0)
    told = report(images, boxes, FRACTIONS)
    assert told["max_deviation"] <= 0.03
    shares = np.array([told["without_boxes"][name] for name in tables.SPLITS]) / 40
    np.testing.assert_allclose(shares, list(FRACTIONS.values()), atol=0.06)


def test_a_given_split_is_honoured() -> None:
    given = ["train"] * 6 + ["val"] * 2 + ["test"] * 2
    assert list(split(table(list("ababababab"), given=given), NO_BOXES, FRACTIONS, 0)) == given


def test_val_is_carved_out_of_train_by_whole_groups() -> None:
    given = ["train"] * 80 + ["test"] * 20
    groups = [f"g{i // 2}" for i in range(100)]
    images = table(["a", "a", "b", "b"] * 25, groups, given)
    placed = split(images, NO_BOXES, FRACTIONS, 0)
    assert (placed[80:] == "test").all() and set(placed[:80]) == {"train", "val"}
    assert (placed == "val").sum() == 10 and placed.groupby(pd.Series(groups)).nunique().max() == 1
    assert images.loc[placed == "val", "label"].value_counts().max() <= 6


@pytest.mark.parametrize("brings_val", [True, False])
def test_images_in_no_part_of_a_given_split_join_train_and_test_stays_as_published(brings_val: bool) -> None:
    given: list[str | None] = ["train"] * 30 + ["val" if brings_val else "train"] * 10 + ["test"] * 10 + [None] * 20
    groups = [f"{i:064x}" for i in range(70)]
    groups[60] = groups[3]  # of a train image
    groups[61] = groups[45]  # of a test image
    groups[62] = groups[35]  # of a val image, where there are any
    groups[63] = groups[64]  # of one another
    images = table(["a", "b"] * 35, groups, given)
    done = split_(images, NO_BOXES, Terms(FRACTIONS, 0))
    assert (done.places[40:50] == "test").all() and not (done.places[50:] == "test").any()
    left = {61, 62} if brings_val else {61}
    assert set(done.left_out) == set(images["path"][list(left)])
    stay = [number for number in range(50, 70) if number not in left]
    assert done.places[stay].notna().all() and done.places[60] == done.places[3] and done.places[63] == done.places[64]
    assert done.places[stay].eq("train").all() == brings_val
    assert set(done.places[:40]) == {"train", "val"}
    assert report(images.assign(split=done.places), NO_BOXES, FRACTIONS)["given"]
    assert any("20 images are in no part" in line for line in done.warnings)


@given(
    st.lists(st.tuples(st.integers(0, 15), st.sampled_from([*tables.SPLITS, None, None])), max_size=40),
    st.lists(st.integers(0, 25), max_size=10),
)
@settings(max_examples=60, deadline=None)
def test_a_partly_given_split_never_leaks_nor_moves_and_test_is_what_is_given(rows: list[tuple[int, str | None]], later: list[int]) -> None:
    rows = [*rows, (20, "train"), (21, "train"), (22, "test"), (23, "val")]
    groups, places = [f"{group:064x}" for group, _ in rows], [place for _, place in rows]
    images = table(["a"] * len(rows), groups, places)
    first = split_(images, NO_BOXES, Terms(FRACTIONS, 0), repair=True)
    grown = table(["a"] * (len(rows) + len(later)), [*groups, *(f"{one:064x}" for one in later)], [*places, *[None] * len(later)])
    second = split_(grown, NO_BOXES, Terms(FRACTIONS, 0), first.memory, repair=True)
    for table_, done in ((images, first), (grown, second)):
        assert done.places.groupby(table_["group_id"]).nunique().max() == 1
        assert set(table_["path"][done.places.isna()]) == set(done.left_out)
        assert (table_["given_split"] == "test").equals(done.places == "test")
    assert second.places[: len(rows)].equals(first.places)
    backwards = split_(grown[::-1], NO_BOXES, Terms(FRACTIONS, 0), first.memory, repair=True)
    assert backwards.places[::-1].equals(second.places) and backwards.left_out == second.left_out


def test_of_two_remembered_that_turn_out_to_belong_together_the_first_by_name_stays_whatever_the_order_of_rows() -> None:
    given: list[str | None] = ["train"] * 6 + ["val"] * 2 + ["test"] * 2 + [None] * 2
    images = table(["a"] * 12, [f"{i:064x}" for i in [*range(10), 10, 10]], given)
    terms = Terms(FRACTIONS, 0)
    memory = tables.frame(
        [{"image_id": images["image_id"][row], "split": place, "terms": terms.text()} for row, place in ((10, "val"), (11, "train"))],
        PLACEMENTS,
    )
    for order in (images, images[::-1]):
        done = split_(order, NO_BOXES, terms, memory)
        assert done.places[10] == "val" and set(done.left_out) == {images["path"][11]}


def test_a_given_split_without_test_is_dealt_anew_and_said() -> None:
    images = table(["a", "b"] * 20, given=["train"] * 30 + ["val"] * 10)
    images["split"] = split(images, NO_BOXES, FRACTIONS, 0)
    told = report(images, NO_BOXES, FRACTIONS)
    assert told["given"] is False and "own split was not used" in told["warnings"][-1]


@pytest.mark.parametrize("column", ["image_id", "group_id"])
def test_leakage_in_a_given_split_is_a_hard_stop_that_names_the_files(column: str) -> None:
    images = table(list("ab" * 5), given=["train"] * 6 + ["val"] * 2 + ["test"] * 2)
    images.loc[9, column] = images.loc[1, column]
    with pytest.raises(DataError, match=r"00001\.png, 00009\.png"):
        split(images, NO_BOXES, FRACTIONS, 0)


def test_a_class_with_one_image_is_trained_on_and_told() -> None:
    images = table(["a"] * 30 + ["rare"])
    images["split"] = split(images, NO_BOXES, FRACTIONS, 0)
    assert images["split"].iloc[-1] == "train"
    assert any("rare" in line for line in report(images, NO_BOXES, FRACTIONS)["warnings"])


def test_quarantined_rows_belong_to_no_split() -> None:
    images = table(["a", "b"] * 10)
    images.loc[4, "status"] = "quarantined"
    placed = split(images, NO_BOXES, FRACTIONS, 0)
    assert placed[4] is None and placed.drop(4).notna().all()


@pytest.mark.parametrize(
    ("images", "fractions", "kind"),
    [
        (table(["a"] * 9, ["g", "h", "h"] * 3), FRACTIONS, DataError),
        (table(["a", "b", "c"]), FRACTIONS, DataError),
        (table([]), FRACTIONS, DataError),
        (table(["a"] * 9), {"train": 1.0, "val": 0.0, "test": 0.0}, UsageError),
        (table(["a"] * 9), {"train": 0.5, "val": 0.1, "test": 0.1}, UsageError),
    ],
    ids=["two groups", "each alone in its class", "nothing", "no test", "not one"],
)
def test_what_cannot_be_split_is_refused(images: pd.DataFrame, fractions: dict[str, float], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        split(images, NO_BOXES, fractions, 0)
