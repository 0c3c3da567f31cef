import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.data.formats import read_dataset
from components.data.formats.box_checks import judge
from components.data.formats.text import LabelError
from components.data.formats.voc_xml import parse
from components.errors import DataError, UsageError
from tests.images import detection_image, make_classification, make_detection_voc, make_detection_yolo, voc_xml, write_png

GRAY = np.full((20, 40, 3), 90, np.uint8)


def codes(listing: object) -> list[str]:
    return sorted(one.code for one in listing.findings)


def test_class_folders(tmp_path: Path) -> None:
    make_classification(tmp_path, classes=2, per_class=3)
    write_png(tmp_path / ".hidden" / "a.png", GRAY)
    (tmp_path / "class_0" / "Thumbs.db").write_bytes(b"")
    listing = read_dataset(tmp_path, "classification")
    assert (listing.layout, listing.classes, codes(listing)) == ("folder", ["class_0", "class_1"], [])
    assert list(listing.images["path"])[:2] == ["class_0/000.png", "class_0/001.png"]
    assert listing.images["given_split"].isna().all() and listing.boxes.empty


def test_class_folders_below_splits_and_deeper(tmp_path: Path) -> None:
    for split, name in (("Training", "cat"), ("valid", "cat"), ("test", "dog/indoors")):
        write_png(tmp_path / split / name / "a.png", GRAY)
    images = read_dataset(tmp_path, "classification").images
    assert dict(zip(images["given_split"], images["label"], strict=True)) == {"train": "cat", "val": "cat", "test": "dog"}


def test_folder_findings(tmp_path: Path) -> None:
    make_classification(tmp_path / "set", classes=1, per_class=1)
    write_png(tmp_path / "set" / "stray.png", GRAY)
    write_png(tmp_path / "outside.png", GRAY)
    (tmp_path / "set" / "class_0" / "link.png").symlink_to(tmp_path / "outside.png")
    (tmp_path / "set" / "class_0" / "notes.txt").write_text("x")
    (tmp_path / "set" / "void").mkdir()
    listing = read_dataset(tmp_path / "set", "classification")
    assert codes(listing) == ["empty-class", "no-class", "unknown-file"]  # of the link the survey tells
    assert list(listing.images["path"]) == ["class_0/000.png"]


def test_split_folders_beside_class_folders_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "train" / "cat" / "a.png", GRAY)
    write_png(tmp_path / "dog" / "a.png", GRAY)
    with pytest.raises(DataError, match="dog"):
        read_dataset(tmp_path, "classification")


def test_classes_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    write_png(tmp_path / "train" / "Cat" / "a.png", GRAY)
    write_png(tmp_path / "test" / "cat" / "a.png", GRAY)
    with pytest.raises(DataError, match="'Cat' and 'cat'"):
        read_dataset(tmp_path, "classification")


def test_voc_and_yolo_of_the_same_pictures_agree_with_the_drawn_boxes(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    drawn = [box for _ in range(6) for box in detection_image(96, rng)[1]]
    one = read_dataset(make_detection_voc(tmp_path / "voc", images=6, seed=3), "detection")
    two = read_dataset(make_detection_yolo(tmp_path / "yolo", images=6, seed=3), "detection")
    expected = sorted((label, *(value / 96 for value in corners)) for label, *corners in drawn)
    for listing in (one, two):
        found = sorted(listing.boxes[["label", "x_min", "y_min", "x_max", "y_max"]].itertuples(index=False, name=None))
        assert [row[0] for row in found] == [row[0] for row in expected]
        np.testing.assert_allclose([row[1:] for row in found], [row[1:] for row in expected], atol=2e-6)
    assert (one.layout, two.layout) == ("voc", "yolo")
    assert one.classes == ["blue", "red"] and two.classes == ["red", "blue"]
    assert two.images["given_split"].value_counts().to_dict() == {"train": 4, "val": 1, "test": 1}


def test_yolo_findings_name_file_and_line(tmp_path: Path) -> None:
    make_detection_yolo(tmp_path, images=6)
    lines = ["0 0.5 0.5 0.2 0.2", "7 0.5 0.5 0.2 0.2", "0 0.9 0.5 0.4 0.2", "0 0.5 0.5 0 0.2"]
    lines += ["cat 1 2", "0 0.5 0.5 0.2 0.2", "0 nan 0.5 0.2 0.2"]
    (tmp_path / "labels/train/000.txt").write_text("\n".join(lines))
    (tmp_path / "labels/train/001.txt").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "labels/train/002.txt").unlink()
    listing = read_dataset(tmp_path, "detection")
    found = {one.where: one.code for one in listing.findings}
    assert found == {
        "labels/train/000.txt:2": "class-unknown",
        "labels/train/000.txt:3": "box-outside",
        "labels/train/000.txt:4": "box-empty",
        "labels/train/000.txt:5": "row-short",
        "labels/train/000.txt:6": "box-duplicate",
        "labels/train/000.txt:7": "box-not-finite",
        "labels/train/001.txt:1": "label-not-text",
        "images/train/002.png": "no-label-file",
    }
    good = listing.boxes[(listing.boxes["path"] == "images/train/000.png") & (listing.boxes["problems"].map(len) == 0)]
    assert [*zip(good["source"], good["line"], strict=True)] == [("labels/train/000.txt", 1)]
    assert listing.images.set_index("path")["problems"]["images/train/001.png"] == ["label-not-text"]


def test_yolo_polygons_become_their_bounds(tmp_path: Path) -> None:
    make_detection_yolo(tmp_path, images=6)
    (tmp_path / "labels/test/005.txt").write_text("1 0.1 0.2 0.5 0.3 0.4 0.9\n")
    boxes = read_dataset(tmp_path, "detection").boxes
    row = boxes[boxes["path"] == "images/test/005.png"].iloc[0]
    assert (row["label"], row["x_min"], row["y_min"], row["x_max"], row["y_max"]) == ("blue", 0.1, 0.2, 0.5, 0.9)


def test_yolo_list_files_and_exported_paths(tmp_path: Path) -> None:
    make_detection_yolo(tmp_path, images=6)
    (tmp_path / "train.txt").write_text("./images/train/000.png\n/home/someone/set/images/train/001.png\n")
    (tmp_path / "data.yaml").write_text("path: /home/someone/set\ntrain: train.txt\ntest: ../images/test\nnc: 2\nnames: [red, blue]\n")
    images = read_dataset(tmp_path, "detection").images
    assert list(images["path"]) == ["images/test/005.png", "images/train/000.png", "images/train/001.png"]
    (tmp_path / "data.yaml").write_text("train: ../../elsewhere\nnames: [red, blue]\n")
    with pytest.raises(DataError, match="elsewhere"):
        read_dataset(tmp_path, "detection")


@pytest.mark.parametrize("names", ["[]", "{0: a, 2: b}", "[a, A]", "5"])
def test_yolo_names_that_cannot_be_meant_are_refused(tmp_path: Path, names: str) -> None:
    make_detection_yolo(tmp_path, images=6)
    (tmp_path / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    with pytest.raises(DataError, match="names"):
        read_dataset(tmp_path, "detection")


def test_voc_image_sets_give_the_split(tmp_path: Path) -> None:
    make_detection_voc(tmp_path, images=4)
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    given = {"train": "000\n001\n", "val": "002\n", "trainval": "000\n001\n002\n", "test": "003\n", "red_train": "003 -1\n"}
    for name, stems in given.items():
        (lists / f"{name}.txt").write_text(stems)
    assert list(read_dataset(tmp_path, "detection").images["given_split"]) == ["train", "train", "val", "test"]


def test_voc_beside_the_images_in_split_folders(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        write_png(tmp_path / split / "a.png", GRAY)
        (tmp_path / split / "a.xml").write_text(voc_xml("a.png", 40, 20, [("cat", 0, 0, 40, 20)]))
    listing = read_dataset(tmp_path, "detection")
    assert list(listing.images["given_split"]) == ["train", "val"]
    assert listing.boxes[["x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist() == [[0, 0, 1, 1]] * 2


def test_voc_findings(tmp_path: Path) -> None:
    make_detection_voc(tmp_path, images=6, size=96)
    notes = tmp_path / "Annotations"
    corners = "<bndbox><xmin>5</xmin><ymin>9</ymin><xmax>5</xmax><ymax>9</ymax></bndbox>"
    (notes / "000.xml").write_text(f"<annotation>\n<object><name>red</name>\n{corners}</object></annotation>")
    (notes / "001.xml").write_text("<annotation><object>")
    (notes / "002.xml").write_text('<!DOCTYPE a [<!ENTITY x "y">]>\n<annotation/>')
    (notes / "003.xml").unlink()
    (notes / "004.xml").write_text(voc_xml("004.png", 640, 480, []))
    shutil.copy(notes / "005.xml", notes / "gone.xml")
    listing = read_dataset(tmp_path, "detection")
    assert {one.where: one.code for one in listing.findings} == {
        "Annotations/000.xml:2": "box-empty",
        "Annotations/001.xml:1": "label-unreadable",
        "Annotations/002.xml:1": "xml-doctype",
        "JPEGImages/003.png": "no-annotation",
        "Annotations/004.xml:3": "size-disagrees",
        "Annotations/gone.xml": "no-image",
    }
    left = listing.images[listing.images["problems"].map(len) == 0]
    assert list(left["path"]) == ["JPEGImages/000.png", "JPEGImages/005.png"]


def test_entities_are_never_expanded() -> None:
    bomb = b'<!DOCTYPE b [<!ENTITY a "' + b"x" * 100 + b'"><!ENTITY c "' + b"&a;" * 100 + b'">]><b>&c;</b>'
    with pytest.raises(LabelError, match="DOCTYPE"):
        parse(bomb)


def test_layouts_not_read_are_named(tmp_path: Path) -> None:
    write_png(tmp_path / "images" / "a.png", GRAY)
    (tmp_path / "instances.json").write_text('{"annotations": []}')
    with pytest.raises(DataError, match=r"instances\.json lacks.*YOLO.*Pascal VOC.*COCO"):
        read_dataset(tmp_path, "detection")


def test_ambiguity_names_the_layouts_and_the_parameter(tmp_path: Path) -> None:
    make_detection_voc(tmp_path, images=6)
    make_detection_yolo(tmp_path, images=6)
    with pytest.raises(DataError, match=r"yolo.*voc.*data\.detection\.format"):
        read_dataset(tmp_path, "detection")
    assert read_dataset(tmp_path, "detection", "yolo").layout == "yolo"


def test_wrong_places_and_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="visionloop data"):
        read_dataset(tmp_path / "absent", "detection")
    make_detection_voc(tmp_path / "voc", images=2)
    with pytest.raises(DataError, match="data/detection"):
        read_dataset(tmp_path / "voc", "classification")
    with pytest.raises(UsageError, match="auto, yolo, voc"):
        read_dataset(tmp_path / "voc", "detection", "folder")


@settings(max_examples=200, deadline=None)
@given(st.tuples(*[st.floats(allow_nan=True, allow_infinity=True, width=32)] * 4))
def test_a_box_is_either_valid_or_named(corners: tuple[float, float, float, float]) -> None:
    (x0, y0, x1, y1), code, message = judge(corners)
    if code is None:
        assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1
    else:
        assert message


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_annotation_parser(data: bytes) -> None:
    try:
        parse(data)
    except LabelError as error:
        assert error.line >= 0
