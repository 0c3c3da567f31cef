import json
from pathlib import Path

import pytest

from components.data.formats import read_dataset
from components.errors import DataError
from tests.components.data.formats.laid_out import coco, coco_text, corners, image, labels, note, picture, put, told

IMAGES, NOTES, CATEGORIES = 2, 3, 4
HUGE = 10**400

# What an annotation says otherwise than the sound one, the code it must bear, and whether a sound box comes of it all the same.
ANNOTATIONS = [
    ({"bbox": "absent"}, "record-unreadable", False),
    ({"bbox": None}, "record-unreadable", False),
    ({"bbox": []}, "record-unreadable", False),
    ({"bbox": [1, 2, 3]}, "record-unreadable", False),
    ({"bbox": [1, 2, 3, 4, 5]}, "record-unreadable", False),
    ({"bbox": [1, 2, 3, "4"]}, "record-unreadable", False),
    ({"bbox": [1, 2, 3, None]}, "record-unreadable", False),
    ({"bbox": [1, 2, 3, True]}, "record-unreadable", False),
    ({"bbox": "1 2 3 4"}, "record-unreadable", False),
    ({"bbox": {"x": 1}}, "record-unreadable", False),
    ({"bbox": [1, 2, HUGE, 4]}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": []}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": [[1, 2, 3, 4]]}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": [[1, 2, 3, 4, 5]]}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": [["a", 2, 3, 4, 5, 6]]}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": {"size": [20, 40], "counts": [1, 2]}}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": {"size": [20, 40], "counts": "~~~"}}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": {"size": [-20, 40], "counts": [800]}}, "record-unreadable", False),
    ({"bbox": "absent", "segmentation": {"counts": [800]}}, "record-unreadable", False),
    ({"image_id": "absent"}, "record-unreadable", False),
    ({"image_id": None}, "record-unreadable", False),
    ({"image_id": [1]}, "record-unreadable", False),
    ({"image_id": True}, "record-unreadable", False),
    ({"image_id": 1.5}, "record-unreadable", False),
    ({"category_id": "absent"}, "record-unreadable", False),
    ({"category_id": {}}, "record-unreadable", False),
    ({"image_id": 99}, "id-dangling", False),
    ({"image_id": "1"}, "id-dangling", False),
    ({"category_id": 1}, "id-dangling", False),
    ({"category_id": "cat"}, "id-dangling", False),
    ({"bbox": [4, 2, float("nan"), 10]}, "box-not-finite", False),
    ({"bbox": [4, float("inf"), 20, 10]}, "box-not-finite", False),
    ({"bbox": [4, 2, 0, 10]}, "box-empty", False),
    ({"bbox": [0, 0, 0, 0]}, "box-empty", False),
    ({"bbox": "absent", "segmentation": {"size": [20, 40], "counts": [800]}}, "box-empty", False),
    ({"bbox": [4, 2, -20, 10]}, "box-negative", False),
    ({"bbox": [4, 2, 20, -10]}, "box-negative", False),
    ({"bbox": [50, 2, 20, 10]}, "box-outside", False),
    ({"bbox": [-30, 2, 20, 10]}, "box-outside", False),
    ({"bbox": [20, 2, 40, 10]}, "box-outside", False),
    ({"bbox": [0.1, 0.1, 0.5, 0.5]}, "box-in-fractions", False),
    ({"bbox": [38.5, 2, 2, 10]}, "box-outside", False),
    ({"bbox": [21, 2, 20, 10]}, "box-overhang", True),
    ({"bbox": [0, 0, 40, 20]}, "box-whole-image", True),
    ({"bbox": [4, 2, 0.5, 10]}, "box-sub-pixel", True),
    ({"segmentation": [[30, 15, 39, 15, 39, 19]]}, "segmentation-disagrees", True),
    ({"id": 2}, "id-repeated", True),
]


@pytest.mark.parametrize(("changed", "code", "is_kept"), ANNOTATIONS, ids=[str(changed)[:60] for changed, *_ in ANNOTATIONS])
def test_each_annotation_is_named_with_its_line(tmp_path: Path, changed: dict[str, object], code: str, is_kept: bool) -> None:
    sound = note(id=2, image_id=2, bbox=[3, 3, 9, 9])
    listing = read_dataset(coco(tmp_path, coco_text(annotations=[sound, note(**changed)])), "detection")
    assert told(listing, "annotations/instances.json") == [(code, NOTES)]
    assert len(corners(listing)) == 1 + is_kept
    assert list(listing.images["problems"]) == [[], []]


@pytest.mark.parametrize(
    ("images", "found", "kept"),
    [
        ([image(1, "a.png"), "b.png"], "record-unreadable", ["a"]),
        ([image(1, "a.png"), None], "record-unreadable", ["a"]),
        ([image(1, "a.png"), image(None, "b.png")], "record-unreadable", ["a"]),
        ([image(1, "a.png"), image([2], "b.png")], "record-unreadable", ["a"]),
        ([image(1, "a.png"), image(2, None)], "record-unreadable", ["a"]),
        ([image(1, "a.png"), image(2, "")], "record-unreadable", ["a"]),
        ([image(1, "a.png"), {"id": 2}], "record-unreadable", ["a"]),
        ([image(1, "a.png"), image(1, "b.png")], "id-duplicate", ["a"]),
        ([image(1, "a.png"), image(2, "gone.png")], "no-image", ["a"]),
        ([image(1, "a.png"), image(2, "../../../etc/passwd.png")], "path-outside", ["a"]),
        ([image(1, "a.png"), image(2, "\ud800.png")], "no-image", ["a"]),
        ([image(1, "a.png"), image(2, "x" * 100_000)], "no-image", ["a"]),
        ([image(1, "a.png"), image(2, "a.png")], "image-listed-twice", ["a"]),
        ([image(1, "a.png"), image(2, "same.png")], "image-ambiguous", ["a"]),
        ([image(1, "a.png"), image(2, "b.png", 20, 40)], "size-disagrees", ["a"]),
        ([image(1, "a.png"), image(2, "b.png", 640, 480)], "size-disagrees", ["a"]),
    ],
    ids=range(16),
)
def test_each_image_is_named_with_its_line(tmp_path: Path, images: list[object], found: str, kept: list[str]) -> None:
    for folder in ("x", "y"):
        picture(tmp_path / folder / "same.png")
    listing = read_dataset(coco(tmp_path, coco_text(images=images)), "detection")
    assert told(listing, "annotations/instances.json") == [(found, IMAGES)]
    sound = listing.images[~listing.images["problems"].astype(bool)]
    assert [Path(path).stem for path in sound["path"]] == kept
    assert labels(listing) == ["cat"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", r"instances\.json:1 is not valid JSON"),
        ("[]", "where '{' should stand"),
        ("", "is not valid JSON"),
        ("{}", "no categories"),
        (coco_text()[:-20], r"instances\.json:4 is not valid JSON"),
        (coco_text().replace("[", "[,", 1), r"instances\.json:2 is not valid JSON"),
        (coco_text().replace('"bbox"', "bbox"), r"instances\.json:3 is not valid JSON"),
        (coco_text().replace("}],", "},],", 1), "comma before"),
        (coco_text() + "more", "goes on after its end"),
        (coco_text().replace('"categories"', '"images"'), "holds 'images' twice"),
        (coco_text(annotations={}), "holds no list as 'annotations'"),
        (coco_text(categories=[]), "no categories"),
        (coco_text(more=1).replace("1\n}", "[" * 100_000), r":5 nests too deeply"),
        (coco_text(annotations=[]).replace("[]", "[" + '{"a":' * 100_000, 1), r":3 nests too deeply"),
        (coco_text(more=1).replace("1\n}", "1" * 10_000 + "}"), r":5 is not valid JSON"),
        (coco_text().encode()[:-2] + b"\xff\n}", "is not UTF-8 text"),
        (coco_text(categories=[{"id": 3, "name": "cat"}, {"id": 3, "name": "dog"}]), "conflicting class maps"),
        (coco_text(categories=[{"id": 3, "name": "cat"}, {"id": 4, "name": "cat"}]), "conflicting class maps"),
        (coco_text(categories=[{"id": 3, "name": "cat"}, {"id": 4, "name": "CAT"}]), "'cat' and 'CAT'"),
        (coco_text(categories=[{"id": 3, "name": "c\nat"}]), "control characters"),
    ],
    ids=range(20),
)
def test_a_file_that_cannot_be_used_stops_by_name_and_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    root = coco(tmp_path, text)
    with pytest.raises(DataError, match=said):
        read_dataset(root, "detection", "coco")


@pytest.mark.parametrize(
    "categories",
    [[{"id": 3}, {"id": 7, "name": "dog"}], [{"id": "3", "name": "cat"}, {"id": 7, "name": "dog"}], ["cat", {"id": 7, "name": "dog"}]],
)
def test_a_category_without_form_is_named_and_what_it_should_name_dangles(tmp_path: Path, categories: list[object]) -> None:
    listing = read_dataset(coco(tmp_path, coco_text(categories=categories)), "detection")
    assert told(listing, "annotations/instances.json") == [("id-dangling", NOTES), ("record-unreadable", CATEGORIES)]


def test_boxes_crowds_gaps_and_masks(tmp_path: Path) -> None:
    """Ids with gaps, classes in the order of their ids, boxes of masks and polygons worked by hand."""
    notes = [
        note(id=1),
        note(id=2, category_id=7, iscrowd=1, bbox="absent", segmentation={"size": [20, 40], "counts": [22, 5, 15, 5, 753]}),
        note(id=3, ignore=1, bbox="absent", segmentation=[[2, 3, 10, 3, 10, 8], [12, 4, 14, 4, 13, 9]]),
    ]
    text = coco_text(annotations=notes, categories=[{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}, {"id": 90, "name": "owl"}])
    listing = read_dataset(coco(tmp_path, text), "detection")
    assert listing.classes == ["cat", "dog", "owl"] and listing.findings == []
    assert labels(listing) == ["cat", "dog", "cat"]
    assert corners(listing) == [(0.1, 0.1, 0.6, 0.6), (1 / 40, 2 / 20, 3 / 40, 7 / 20), (2 / 40, 3 / 20, 14 / 40, 9 / 20)]
    assert list(listing.boxes["is_crowd"]) == [False, True, False]
    assert list(listing.boxes["is_difficult"]) == [False, False, True]


@pytest.mark.parametrize(
    ("places", "splits"),
    [
        ({"annotations/instances_train2017.json": "a", "annotations/instances_val2017.json": "b"}, ["train", "val"]),
        ({"train/_annotations.coco.json": "a", "valid/_annotations.coco.json": "b"}, ["train", "val"]),
        ({"train.json": "a", "test.json": "b"}, ["train", "test"]),
    ],
)
def test_several_files_are_splits(tmp_path: Path, places: dict[str, str], splits: list[str]) -> None:
    for place, name in places.items():
        folder = {"annotations": "images"}.get(Path(place).parts[0], Path(place).parent.as_posix())
        picture(tmp_path / folder / f"{name}.png")
        put(tmp_path / place, coco_text(images=[image(1, f"{name}.png")]))
    listing = read_dataset(tmp_path, "detection")
    assert list(listing.images["given_split"]) == splits and len(listing.boxes) == 2 and listing.findings == []


def test_namesakes_are_found_in_the_folder_of_their_split(tmp_path: Path) -> None:
    for split in ("train", "val"):
        picture(tmp_path / f"{split}2017/0001.png")
        put(tmp_path / f"annotations/instances_{split}2017.json", coco_text(images=[image(1, "0001.png")]))
    listing = read_dataset(tmp_path, "detection")
    assert dict(zip(listing.images["path"], listing.images["given_split"], strict=True)) == {
        "train2017/0001.png": "train", "val2017/0001.png": "val",
    }  # fmt: skip


def test_captions_beside_instances_are_passed_over_and_an_image_in_two_splits_stops(tmp_path: Path) -> None:
    root = coco(tmp_path, coco_text())
    put(root / "annotations/person_keypoints.json", coco_text())
    listing = read_dataset(root, "detection")
    assert [(one.where, one.code) for one in listing.findings] == [("annotations/person_keypoints.json", "file-ignored")]
    put(root / "annotations/instances_val.json", coco_text())
    with pytest.raises(DataError, match=r"images/a\.png in val"):
        read_dataset(root, "detection")


def test_categories_that_differ_between_files_stop(tmp_path: Path) -> None:
    root = coco(tmp_path, coco_text(images=[image(1, "a.png")]))
    swapped = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]
    put(root / "annotations/instances_val.json", coco_text(images=[image(2, "b.png")], categories=swapped))
    with pytest.raises(DataError, match=r"conflicting class maps: .*instances\.json calls class \d '(cat|dog)'.*instances_val\.json"):
        read_dataset(root, "detection")


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-be"])
def test_encodings_that_are_read(tmp_path: Path, codec: str) -> None:
    listing = read_dataset(coco(tmp_path, coco_text().encode(codec)), "detection")
    assert [one.code for one in listing.findings] == ["label-bom" if codec == "utf-8-sig" else "label-utf16"]
    assert labels(listing) == ["cat"]


def test_lines_of_a_file_that_is_laid_out_over_many(tmp_path: Path) -> None:
    listing = read_dataset(coco(tmp_path, json.dumps(json.loads(coco_text(annotations=[note(category_id=1)])), indent=1)), "detection")
    text = (tmp_path / "annotations/instances.json").read_text().splitlines()
    ((code, line),) = told(listing, "annotations/instances.json")
    assert code == "id-dangling" and text[(line or 0) - 1].strip() == "{" and '"id": 1' in text[line or 0]
