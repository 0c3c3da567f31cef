import unicodedata
from pathlib import Path

import pytest

from components.data.formats import read_dataset
from components.errors import DataError
from tests.components.data.formats.laid_out import picture, put, table

NESTED = {
    "train/Fruit/Apple/Golden Delicious/1.png": ("Fruit", "Golden Delicious"),
    "train/Fruit/Kiwi/2.png": ("Fruit", "Kiwi"),
    "test/Packages/Milk/3.png": ("Packages", "Milk"),
    "test/Packages/4.png": ("Packages", "Packages"),
}


@pytest.mark.parametrize(("layout", "at"), [("folder", 0), ("leaf-folder", 1)])
def test_where_folders_nest_the_format_says_which_is_the_class(tmp_path: Path, layout: str, at: int) -> None:
    for path in NESTED:
        picture(tmp_path / path)
    listing = read_dataset(tmp_path, "classification", layout)
    assert dict(zip(listing.images["path"], listing.images["label"], strict=True)) == {path: names[at] for path, names in NESTED.items()}
    (one,) = listing.findings
    assert (one.code, one.severity) == ("folders-nested", "note") and f"format to {'leaf-folder' if at == 0 else 'folder'} if" in one.remedy


def test_folders_that_do_not_nest_read_alike(tmp_path: Path) -> None:
    names = ["white space", "Ähre", unicodedata.normalize("NFD", "Élan"), "日本", "a.b", "#1", "naïve 🙂"]
    for name in names:
        picture(tmp_path / name / "x y.png")
    one, two = (read_dataset(tmp_path, "classification", layout) for layout in ("folder", "leaf-folder"))
    assert one.images.equals(two.images) and sorted(one.classes) == sorted(names) and one.findings == []


def test_folders_and_a_table_are_ambiguous(tmp_path: Path) -> None:
    root = table(tmp_path, "image,label\na.png,cat\nb.png,dog\n")
    with pytest.raises(DataError, match=r"folder and as csv.*data\.classification\.format.*--format"):
        read_dataset(root, "classification")
    assert read_dataset(root, "classification", "folder").classes == ["images"]
    assert read_dataset(root, "classification", "csv").classes == ["cat", "dog"]


def test_a_table_of_something_else_does_not_disturb(tmp_path: Path) -> None:
    picture(tmp_path / "cat/a.png")
    put(tmp_path / "prices.csv", "item,price\nmilk,1\n")
    assert read_dataset(tmp_path, "classification").layout == "folder"


def test_an_empty_class_is_noted(tmp_path: Path) -> None:
    picture(tmp_path / "train/cat/a.png")
    (tmp_path / "train/dog").mkdir()
    (one,) = read_dataset(tmp_path, "classification").findings
    assert (one.where, one.code) == ("train/dog", "empty-class")
