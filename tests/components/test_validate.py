import re
from pathlib import Path

import pandas as pd
import pytest

from components.data import tables
from components.validate import CRITICAL, Limits, class_counts, validate

LIMITS = Limits(max_bad_fraction=0.1, min_side=16, max_side=500, min_images_per_class=3, labels=None)


def image_table(count: int = 20) -> pd.DataFrame:
    rows = [
        {"image_id": f"{i:064x}", "path": f"{i}.png", "task": "classification", "label": "ab"[i % 2], "width": 40, "height": 50}
        | {"brightness": 0.5, "contrast": 0.2, "status": "ok", "problems": []}
        for i in range(count)
    ]
    return tables.frame(rows, tables.IMAGES)


def box_table(images: pd.DataFrame) -> pd.DataFrame:
    rows = [
        {"image_id": image, "box_id": f"{number}", "label": "tree", "x_min": 0.1, "y_min": 0.2, "x_max": 0.5, "y_max": 0.9}
        | {"is_crowd": False, "is_difficult": False, "status": "ok", "problems": []}
        for number, image in enumerate(images["image_id"])
    ]
    return tables.frame(rows, tables.BOXES)


def failures(images: pd.DataFrame, boxes: pd.DataFrame, classes: list[str], limits: Limits, docs: Path) -> set[tuple[str, str]]:
    results = validate(images, boxes, classes, limits, docs)
    return {(one.table, one.column) for one in results if not one.success and one.severity == CRITICAL}


def spoil(images: pd.DataFrame, boxes: pd.DataFrame) -> None:
    """Break one rule after another, each on rows of its own."""
    images.loc[[0, 1, 2], "width"] = 9000
    images.loc[[3, 4, 5], "status"] = "quarantined"
    images.loc[7, "image_id"] = images.loc[6, "image_id"]
    images.loc[9, "path"] = images.loc[8, "path"]
    boxes.loc[10, ["x_min", "x_max"]] = [0.6, 0.5]
    boxes.loc[11, "y_max"] = 1.5
    boxes.loc[13, "box_id"] = boxes.loc[12, "box_id"]
    boxes.loc[[14, 15, 16], "status"] = "quarantined"


def test_each_broken_rule_is_caught_and_nothing_else(tmp_path: Path) -> None:
    images = image_table()
    boxes = box_table(images)
    spoil(images, boxes)
    assert failures(images, boxes, ["a", "b", "tree"], LIMITS, tmp_path / "docs") == {
        ("images-found", "width"),
        ("images-found", "status"),
        ("images-found", "path"),
        ("images-kept", "image_id"),
        ("boxes-found", "status"),
        ("boxes-kept", "x_max > x_min"),
        ("boxes-kept", "y_max"),
        ("boxes-kept", "box_id"),
    }


def test_good_tables_pass_and_the_pages_load_nothing_from_outside(tmp_path: Path) -> None:
    images = image_table()
    images.loc[0, "status"] = "quarantined"  # 1 of 20 is within max_bad_fraction
    images.loc[0, "problems"] = [["truncated"]]
    assert failures(images, box_table(images), ["a", "b", "tree"], LIMITS, tmp_path / "docs") == set()
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert len(pages) == 11  # an index, and suite and result of five tables
    text = "".join(page.read_text() for page in pages)
    index = (tmp_path / "docs" / "index.html").read_text()
    links = re.findall(r'href="([^"]+)"', index)
    assert len(set(links)) == 5 and all((tmp_path / "docs" / link).is_file() for link in links)
    for tag in ("<script", "<link", "<img"):
        assert not [part for part in text.split(tag)[1:] if "//" in part.split(">")[0].replace("http://www.w3.org", "")]


def test_labels_and_counts_by_class(tmp_path: Path) -> None:
    limits = Limits(0.1, 16, 500, 3, ["a", "c"])
    results = validate(image_table(), tables.frame([], tables.BOXES), ["a", "b"], limits, tmp_path / "docs")
    failed = {(one.table, one.column): one.observed for one in results if not one.success}
    assert set(failed) == {("images-found", "label"), ("classes", "images")}
    assert "c" in failed["classes", "images"] and failed["images-found", "label"].startswith("10 of 20")


def test_an_empty_table_does_not_pass(tmp_path: Path) -> None:
    images = image_table(3)
    images["status"] = "quarantined"
    assert ("images-kept", "") in failures(images, tables.frame([], tables.BOXES), ["a"], LIMITS, tmp_path / "docs")


def test_copies_do_not_use_up_the_share_of_bad_files(tmp_path: Path) -> None:
    images = image_table()
    images.loc[10:, "status"] = "quarantined"
    images["problems"] = [[]] * 10 + [["duplicate"]] * 10
    assert failures(images, tables.frame([], tables.BOXES), ["a", "b"], LIMITS, tmp_path / "docs") == set()


@pytest.mark.parametrize(("label", "images", "boxes"), [("a", 9, 0), ("b", 10, 0), ("tree", 19, 20), ("none", 0, 0)])
def test_class_counts(label: str, images: int, boxes: int) -> None:
    table = image_table()
    table.loc[0, "status"] = "quarantined"
    crowns = box_table(table)
    crowns = pd.concat([crowns, crowns.iloc[[5]].assign(box_id="again")], ignore_index=True)
    row = class_counts(table, crowns, [label]).iloc[0]
    assert (row["images"], row["boxes"]) == (images, boxes)
