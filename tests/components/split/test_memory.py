"""Where an image was placed it stays, whatever is added, removed, brought back or found to belong together."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data import tables
from components.errors import DataError
from components.split import Terms, split

FRACTIONS = {"train": 0.6, "val": 0.2, "test": 0.2}
TERMS = Terms(FRACTIONS, seed=0)
NO_BOXES = tables.frame([], tables.BOXES)


def table(
    numbers: list[int], labels: str = "ab", groups: dict[int, int] | None = None, given: dict[int, str] | None = None
) -> pd.DataFrame:
    rows = [
        {"image_id": f"{n:064x}", "path": f"{n:05d}.png", "task": "classification", "label": labels[n % len(labels)], "status": "ok"}
        | {"problems": [], "group_id": f"{(groups or {}).get(n, n):064x}", "given_split": (given or {}).get(n)}
        for n in numbers
    ]
    return tables.frame(rows, tables.IMAGES)


def placed(images: pd.DataFrame, places: pd.Series) -> dict[str, str]:
    return {image: place for image, place in zip(images["image_id"], places, strict=True) if place is not None}


steps = st.lists(
    st.tuples(
        st.sets(st.integers(0, 60), max_size=20),
        st.sets(st.integers(0, 60), max_size=10),
        st.lists(st.tuples(*[st.integers(0, 60)] * 2), max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.sampled_from(["a", "ab", "abbbbc"]))
def test_whatever_is_added_removed_or_joined_nothing_placed_ever_moves(
    growth: list[tuple[set[int], set[int], list[tuple[int, int]]]], labels: str
) -> None:
    present, groups, memory, ever = set(range(100, 112)), {}, None, {}
    for added, removed, joined in growth:
        present = (present | added) - removed
        for one, other in joined:  # the whole group of one becomes part of the other's
            old, new = groups.get(one, one), groups.get(other, other)
            groups = {n: new if groups.get(n, n) == old else groups.get(n, n) for n in range(112)}
        images = table(sorted(present), labels, groups)
        try:
            done = split(images, NO_BOXES, TERMS, memory)
        except DataError as error:  # rightly so where a split has lost all its images
            assert "would be empty" in str(error) and set(tables.SPLITS) - {ever.get(image) for image in images["image_id"]}
            return
        now = placed(images, done.places)
        assert all(ever.get(image, place) == place for image, place in now.items())
        assert set(images["path"]) == {f"{int(image, 16):05d}.png" for image in now} | set(done.left_out)
        assert all(f"{int(path[:5]):064x}" not in ever for path in done.left_out)
        assert set(now.values()) == set(tables.SPLITS)
        fresh = images.assign(place=done.places)[done.places.notna() & ~images["image_id"].isin(ever)]
        assert fresh.groupby("group_id")["place"].nunique().max() <= 1 or fresh.empty
        ever |= now
        memory = done.memory
        assert dict(zip(memory["image_id"], memory["split"], strict=True)) == ever


def test_a_new_image_follows_its_group_and_one_between_two_splits_is_left_out() -> None:
    first = table(list(range(20)))
    before = split(first, NO_BOXES, TERMS)
    places = placed(first, before.places)
    train, test = (next(n for n in range(20) if places[f"{n:064x}"] == name) for name in ("train", "test"))
    follows = split(table(list(range(21)), groups={20: test}), NO_BOXES, TERMS, before.memory)
    assert follows.places[20] == "test" and not follows.warnings
    bridge = split(table(list(range(21)), groups={20: train, test: train}), NO_BOXES, TERMS, before.memory)
    assert bridge.places[20] is None and list(bridge.places[:20]) == list(before.places)
    assert bridge.left_out == {"00020.png": "bridges-splits: belongs to images in test and train"}
    assert "00020.png" in bridge.warnings[0] and "bridges-splits" in bridge.warnings[0]


@pytest.mark.parametrize(
    "terms", [Terms(FRACTIONS, 1), Terms({"train": 0.5, "val": 0.2, "test": 0.3}, 0), Terms(FRACTIONS, 0, "by patient")]
)
def test_other_terms_deal_anew_and_say_so(terms: Terms) -> None:
    images = table(list(range(40)))
    before = split(images, NO_BOXES, TERMS)
    after = split(images, NO_BOXES, terms, before.memory)
    assert after.places.equals(split(images, NO_BOXES, terms).places) and "dealt anew" in after.warnings[0]
    assert len(after.memory) == 40 and set(after.memory["terms"]) == {terms.text()}


def test_the_same_data_and_memory_give_the_same_memory() -> None:
    images = table(list(range(40)))
    once = split(images, NO_BOXES, TERMS)
    twice = split(images.sample(frac=1, random_state=3), NO_BOXES, TERMS, once.memory)
    pd.testing.assert_frame_equal(once.memory, twice.memory)


def test_even_without_memory_a_grown_dataset_keeps_nearly_all_its_places() -> None:
    small, large = table(list(range(1000)), "aab"), table(list(range(1050)), "aab")
    before, after = (split(images, NO_BOXES, TERMS).places for images in (small, large))
    assert (before == after[:1000]).mean() > 0.95


def test_new_images_even_out_what_the_old_left_uneven() -> None:
    memory = split(table(list(range(100)), "a"), NO_BOXES, TERMS).memory
    images = table(list(range(200)), "a" * 100 + "ab" * 50)
    places = split(images, NO_BOXES, TERMS, memory).places
    shares = images.assign(place=places).groupby("label")["place"].value_counts(normalize=True)
    for label in "ab":
        for name, fraction in FRACTIONS.items():
            assert shares[label, name] == pytest.approx(fraction, abs=0.03)


def test_a_given_split_is_remembered_when_images_without_one_are_added() -> None:
    given = {n: "test" if n % 5 == 0 else "val" if n % 5 == 1 else "train" for n in range(30)}
    memory = split(table(list(range(30)), given=given), NO_BOXES, TERMS).memory
    places = split(table(list(range(33)), given=given), NO_BOXES, TERMS, memory).places
    assert list(places[:30]) == [given[n] for n in range(30)]


def test_a_val_carved_out_of_train_stays_carved() -> None:
    given = {n: "test" if n % 5 == 0 else "train" for n in range(60)}
    before = split(table(list(range(50)), given=given), NO_BOXES, TERMS)
    after = split(table(list(range(60)), given=given), NO_BOXES, TERMS, before.memory)
    assert list(after.places[:50]) == list(before.places) and "val" in set(after.places[50:])


def test_a_split_that_lost_all_its_images_and_gets_none_is_refused() -> None:
    images = table(list(range(20)))
    done = split(images, NO_BOXES, TERMS)
    with pytest.raises(DataError, match="val would be empty"):
        split(images[done.places != "val"], NO_BOXES, TERMS, done.memory)
