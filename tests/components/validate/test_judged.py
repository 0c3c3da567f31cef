import re

import pandas as pd
import pytest

from components.data import tables
from components.data.catalog import empty
from components.validate.judged import KEYS, class_table, judged_tables
from tests.imports import ROOT


def image(number: int, **changed: object) -> dict[str, object]:
    own = {"image_id": f"{number:064x}", "path": f"{number}.png", "label": "ab"[number % 2], "width": 200, "height": 100}
    return own | {"brightness": 0.5, "status": "ok", "problems": []} | changed


def box(number: int, of: int, **changed: object) -> dict[str, object]:
    own = {"image_id": f"{of:064x}", "box_id": f"box {number}", "label": "tree", "x_min": 0.1, "y_min": 0.2, "x_max": 0.6, "y_max": 0.4}
    return own | {"is_crowd": False, "is_difficult": False, "status": "ok", "problems": []} | changed


QUARANTINED = {"status": "quarantined", "problems": ["truncated"], "width": None, "height": None}


@pytest.fixture
def judged() -> dict[str, pd.DataFrame]:
    images = tables.frame(
        [
            image(0),
            image(1, label="a"),
            image(2, **QUARANTINED),
            image(3, image_id=f"{1:064x}", status="quarantined", problems=["duplicate"]),
            image(4, **QUARANTINED | {"image_id": None}),
        ],
        tables.IMAGES,
    )
    boxes = tables.frame(
        [
            box(0, 1),
            box(1, 1, x_max=0.1, status="quarantined", problems=["box-empty"]),
            box(2, 0, label="bush"),
            box(3, 0),
            box(4, 2, status="quarantined", problems=["image-quarantined"]),
        ],
        tables.BOXES,
    )
    return judged_tables("detection", images, boxes, ["a", "bush", "tree", "none"])


def test_found_are_all_and_kept_those_that_are_ok(judged: dict[str, pd.DataFrame]) -> None:
    assert list(judged["images_found"]["path"]) == ["0.png", "1.png", "2.png", "3.png", "4.png"]
    assert list(judged["images_kept"]["path"]) == ["0.png", "1.png"]
    assert list(judged["boxes_found"]["box_id"]) == [f"box {number}" for number in range(5)]
    assert list(judged["boxes_kept"]["box_id"]) == ["box 0", "box 2", "box 3"]


def test_columns_of_the_datasets_own_are_not_judged(judged: dict[str, pd.DataFrame]) -> None:
    images = tables.frame([{**image(0), "csv.camera": "north"}], tables.IMAGES)
    found = judged_tables("detection", images, tables.frame([], tables.BOXES), [])
    assert "csv.camera" in images and list(found["images_found"]) == list(judged["images_found"])


def test_images_have_shape_boxes_and_problems_in_words(judged: dict[str, pd.DataFrame]) -> None:
    found = judged["images_found"].set_index("path")
    assert found.loc["0.png", ["aspect_ratio", "megapixels", "boxes"]].tolist() == [2.0, 0.02, 2]
    assert found.loc["1.png", "boxes"] == 1 and found.loc["4.png", "boxes"] == 0
    assert found["problems"].where(found["problems"].notna(), None).tolist() == [None, None, "truncated", "duplicate", "truncated"]
    assert found.loc["2.png", ["aspect_ratio", "megapixels"]].isna().all()


def test_boxes_have_sides_in_fractions_and_pixels_and_the_path_of_their_image(judged: dict[str, pd.DataFrame]) -> None:
    first = judged["boxes_kept"].iloc[0]
    assert first[["width", "height", "area"]].tolist() == pytest.approx([0.5, 0.2, 0.1])
    assert first[["width_px", "height_px", "aspect_ratio"]].tolist() == pytest.approx([100, 20, 5])
    assert first["path"] == "1.png" and len(judged["boxes_kept"]) == 3
    of_a_broken_image = judged["boxes_found"].iloc[4]
    assert of_a_broken_image["path"] == "2.png" and pd.isna(of_a_broken_image["width_px"])


@pytest.mark.parametrize(("side", "pixels"), [(328, 20), (309, 7), (1333, 3)])
def test_a_box_of_whole_pixels_is_as_wide_as_it_was_drawn(side: int, pixels: int) -> None:
    images = tables.frame([image(0, width=side, height=side)], tables.IMAGES)
    lefts = range(0, side - pixels, 7)
    rows = [box(left, 0, x_min=left / side, x_max=(left + pixels) / side) for left in lefts]
    kept = judged_tables("detection", images, tables.frame(rows, tables.BOXES), ["tree"])["boxes_kept"]
    assert set(kept["width_px"]) == {float(pixels)}


def test_classes_are_counted_among_what_is_kept(judged: dict[str, pd.DataFrame]) -> None:
    counted = judged["classes"].set_index("label")
    assert counted["images"].to_dict() == {"a": 2, "bush": 1, "tree": 2, "none": 0}
    assert counted["boxes"].to_dict() == {"a": 0, "bush": 1, "tree": 2, "none": 0}
    assert counted["image_share"].to_dict() == {"a": 1.0, "bush": 0.5, "tree": 1.0, "none": 0.0}
    assert counted["box_share"].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 0])
    assert counted["balance"].to_dict() == {"a": 0.0, "bush": 0.5, "tree": 1.0, "none": 0.0}


def test_without_boxes_balance_is_of_images() -> None:
    images = tables.frame([image(0), image(2), image(3)], tables.IMAGES)
    counted = class_table(images, tables.frame([], tables.BOXES), ["a", "b"])
    assert counted["images"].tolist() == [2, 1] and counted["balance"].tolist() == [1.0, 0.5]
    assert counted["image_share"].tolist() == pytest.approx([2 / 3, 1 / 3])


def test_nothing_at_all_still_has_every_column_and_classification_no_boxes(judged: dict[str, pd.DataFrame]) -> None:
    nothing = judged_tables("detection", *empty(), [])
    assert set(nothing) == set(KEYS)
    for name, table in nothing.items():
        assert len(table) == 0 and list(table.columns) == list(judged[name].columns)
    assert set(judged_tables("classification", *empty(), [])) == {"images_found", "images_kept", "classes"}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_the_readme_of_the_suites_names_every_column_and_no_other(judged: dict[str, pd.DataFrame], name: str) -> None:
    text = (ROOT / "expectations" / "README.md").read_text("utf-8")
    (section,) = (part for part in re.split(r"^### ", text, flags=re.MULTILINE)[1:] if f"`{name}`" in part.splitlines()[0])
    section = section.partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {column for row in rows for column in re.findall(r"`(\w+)`", row)} == set(judged[name].columns)
