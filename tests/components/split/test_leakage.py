import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import tables
from components.errors import DataError
from components.split import Terms, split

TERMS = Terms({"train": 0.6, "val": 0.2, "test": 0.2}, 0)
NO_BOXES = tables.frame([], tables.BOXES)


def table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    """Images by (image, group, given split)."""
    return tables.frame(
        [
            {"image_id": image, "path": f"{place}/{n}.png", "task": "classification", "label": "a", "status": "ok", "problems": []}
            | {"group_id": group, "given_split": place}
            for n, (image, group, place) in enumerate(rows)
        ],
        tables.IMAGES,
    )


SOUND = [("t", "t", "train"), ("v", "v", "val"), ("x", "x", "test")]


@pytest.mark.parametrize(
    ("rows", "left_out"),
    [
        ([("1", "1", "train"), ("1", "1", "test")], {"train/3.png": "the same image as test/4.png, which is in test"}),
        ([("1", "g", "val"), ("2", "g", "train")], {"train/4.png": "belongs together with val/3.png, which is in val"}),
        (
            [("1", "g", "train"), ("2", "g", "val"), ("3", "g", "test"), ("4", "g", "test")],
            {
                "train/3.png": "belongs together with test/5.png, which is in test",
                "val/4.png": "belongs together with test/5.png, which is in test",
            },
        ),
    ],
)
def test_repair_leaves_the_copies_in_train_or_val_out(rows: list[tuple[str, str, str]], left_out: dict[str, str]) -> None:
    images = table([*SOUND, *rows])
    with pytest.raises(DataError, match=r"on_leak.*repair"):
        split(images, NO_BOXES, TERMS)
    done = split(images, NO_BOXES, TERMS, repair=True)
    assert done.left_out == left_out and str(len(left_out)) in done.warnings[0]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5), st.sampled_from(tables.SPLITS)), max_size=25))
def test_after_repair_nothing_stands_on_both_sides_and_test_is_whole(drawn: list[tuple[int, int, str]]) -> None:
    images = table([*SOUND, *((f"i{image}", f"g{group}", place) for image, group, place in drawn)])
    done = split(images, NO_BOXES, TERMS, repair=True)
    for column in ("image_id", "group_id"):
        assert images.assign(place=done.places).groupby(column)["place"].nunique().max() <= 1
    assert (done.places[images["given_split"] == "test"] == "test").all()
    kept = done.places.notna()
    assert (done.places[kept] == images["given_split"][kept]).all() and set(images["path"][~kept]) == set(done.left_out)


def test_refusal_names_one_file_of_each_side() -> None:
    rows = [(f"{n}", "scene", "train") for n in range(40)] + [("x2", "scene", "test")]
    with pytest.raises(DataError, match=r"test/43\.png, train/10\.png, 39 more"):
        split(table([*SOUND, *rows]), NO_BOXES, TERMS)
