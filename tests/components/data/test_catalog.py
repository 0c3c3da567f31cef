from pathlib import Path

import numpy as np
import pytest

from components.data.findings import bad
from components.data import catalog
from components.data.facts import measure_all
from components.data.formats import read_dataset
from components.errors import UsageError
from tests.images import make_classification, make_detection_voc, write_png


def cataloged(root: Path, task: str, **rules: object) -> catalog.Catalog:
    listing = read_dataset(root, task)
    facts = measure_all([root / path for path in listing.images["path"]], 1)
    return catalog.build(task, listing, facts, catalog.Rules(**{"min_side": 1, "max_side": 1000} | rules))


def problems(found: catalog.Catalog) -> dict[str, list[str]]:
    return {path: list(codes) for path, codes in zip(found.images["path"], found.images["problems"], strict=True) if codes}


def test_what_is_bad_is_left_out_by_name(tmp_path: Path) -> None:
    make_classification(tmp_path, classes=2, per_class=3, size=48)
    (tmp_path / "class_0" / "000.png").write_bytes(b"not an image")
    write_png(tmp_path / "class_0" / "tiny.png", np.zeros((4, 9, 3), np.uint8))
    write_png(tmp_path / "class_1" / "long.png", np.zeros((20, 300, 3), np.uint8))
    found = cataloged(tmp_path, "classification", min_side=8, max_side=200)
    assert problems(found) == {
        "classification/class_0/000.png": ["not-an-image"],
        "classification/class_0/tiny.png": ["too-small"],
        "classification/class_1/long.png": ["too-large"],
    }
    assert all(one.remedy for one in found.findings)


def test_what_lies_beyond_the_sides_is_kept_and_named_where_the_rules_say_so(tmp_path: Path) -> None:
    make_detection_voc(tmp_path, images=2, size=64)
    (tmp_path / "JPEGImages" / "001.png").write_bytes(b"not an image")
    strict, lenient = (cataloged(tmp_path, "detection", min_side=65, keep_beyond=keep) for keep in (False, True))
    assert problems(strict) == {"detection/JPEGImages/000.png": ["too-small"], "detection/JPEGImages/001.png": ["not-an-image"]}
    assert problems(lenient) == {"detection/JPEGImages/001.png": ["not-an-image"]}
    of_first = [table.boxes["image_id"] == table.images["image_id"][0] for table in (strict, lenient)]
    assert set(strict.boxes["status"][of_first[0]]) == {"quarantined"} and set(lenient.boxes["status"][of_first[1]]) == {"ok"}
    for found, severity in ((strict, "bad"), (lenient, "note")):
        assert [one.severity for one in found.findings if one.code == "too-small"] == [severity]


def test_copies(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (9, 9, 3)).astype(np.uint8)
    for path in ("train/a/1.png", "train/a/2.png", "test/a/3.png"):
        write_png(tmp_path / path, picture)
    for path in ("train/a/4.png", "train/b/5.png"):
        write_png(tmp_path / path, picture[::-1])
    found = cataloged(tmp_path, "classification")
    assert problems(found) == {
        "classification/train/a/2.png": ["duplicate"],
        "classification/train/a/4.png": ["conflicting-labels"],
        "classification/train/b/5.png": ["conflicting-labels"],
    }
    assert [one.code for one in bad(found.findings)] == ["conflicting-labels"] * 2


def test_boxes_of_a_copy_do_not_count_twice(tmp_path: Path) -> None:
    make_detection_voc(tmp_path, images=2)
    for folder, suffix in (("JPEGImages", ".png"), ("Annotations", ".xml")):
        (tmp_path / folder / f"copy{suffix}").write_bytes((tmp_path / folder / f"000{suffix}").read_bytes())
    found = cataloged(tmp_path, "detection")
    own = cataloged_boxes_of(found, "000")
    assert found.boxes["box_id"].is_unique and own
    assert (found.boxes["status"] == "quarantined").sum() == len(own)


def cataloged_boxes_of(found: catalog.Catalog, stem: str) -> list[str]:
    image = found.images.loc[found.images["path"].str.endswith(f"{stem}.png"), "image_id"].item()
    boxes = found.boxes[(found.boxes["image_id"] == image) & (found.boxes["status"] == "ok")]
    return list(boxes["box_id"])


def test_labels_not_allowed_are_quarantined(tmp_path: Path) -> None:
    make_detection_voc(tmp_path, images=8)
    found = cataloged(tmp_path, "detection", labels=["red"])
    assert set(found.boxes.loc[found.boxes["status"] == "ok", "label"]) == {"red"} == set(found.classes)
    assert {one.code for one in found.findings} == {"label-not-allowed"}


@pytest.mark.parametrize(
    ("pattern", "groups"),
    [
        (r"^(.*)_x\d+", {"ranch", "hill"}),
        (r"/(class_\d)/", {"class_0"}),
        (r"hill", {"hill", None}),
    ],
)
def test_groups_come_from_the_name_or_else_the_path(tmp_path: Path, pattern: str, groups: set[str | None]) -> None:
    rng = np.random.default_rng(0)
    for name in ("ranch_x0", "ranch_x9", "hill_x0"):
        write_png(tmp_path / "class_0" / f"{name}.png", rng.integers(0, 255, (9, 9, 3)).astype(np.uint8))
    images = cataloged(tmp_path, "classification", group_pattern=pattern).images
    assert {None if group == own else group for group, own in zip(images["group_id"], images["image_id"], strict=True)} == groups


def test_a_pattern_that_is_no_expression_is_refused(tmp_path: Path) -> None:
    make_classification(tmp_path, classes=1, per_class=1)
    with pytest.raises(UsageError, match="group_pattern"):
        cataloged(tmp_path, "classification", group_pattern="(")
