from pathlib import Path

import pytest

from components.data.formats import read_dataset
from components.errors import DataError
from tests.components.data.formats.laid_out import annotation, corners, labels, picture, put, thing, told, voc

DEEP = "<a>" * 100_000

# One object each in line 4, its code, and whether a sound box comes of it all the same.
OBJECTS = [
    (thing(name=""), "class-missing", False),
    (thing(name="<name></name>"), "class-missing", False),
    (thing(name="<name>  </name>"), "class-missing", False),
    ("<object><name>cat</name></object>", "corner-missing", False),
    ("<object><name>cat</name><bndbox/></object>", "corner-missing", False),
    (thing("1 1 10 -"), "corner-missing", False),
    (thing("1  10 10"), "corner-missing", False),
    (thing("one 1 10 10"), "not-a-number", False),
    (thing("1 1 10px 10"), "not-a-number", False),
    (thing("1 1 1_0 10"), "not-a-number", False),
    (thing("0x1 1 10 10"), "not-a-number", False),
    (thing("nan 1 10 10"), "box-not-finite", False),
    (thing("1 1 inf 10"), "box-not-finite", False),
    (thing("1 -inf 10 10"), "box-not-finite", False),
    (thing("1 1 1e999 10"), "box-not-finite", False),
    (thing("5 5 5 9"), "box-empty", False),
    (thing("5 5 9 5"), "box-empty", False),
    (thing("0 0 0 0"), "box-empty", False),
    (thing("10 1 5 9"), "box-inverted", False),
    (thing("1 9 5 2"), "box-inverted", False),
    (thing("9.5 1 5.5 9"), "box-inverted", False),
    (thing("60 1 80 9"), "box-outside", False),
    (thing("-30 -30 -1 -1"), "box-outside", False),
    (thing("30 1 60 10"), "box-outside", False),
    (thing("1 1 400 200"), "box-outside", False),
    (thing("0.1 0.1 0.5 0.5"), "box-in-fractions", False),
    (thing("0 0 0.25 1.0"), "box-in-fractions", False),
    (thing("2 1 41 20"), "box-overhang", True),
    (thing("-1 1 30 20"), "box-overhang", True),
    (thing("1 1 40 20"), "box-whole-image", True),
    (thing("3.5 3 3.2 9"), "box-sub-pixel", True),
    (thing("3 3.5 9 3.1"), "box-sub-pixel", True),
    (thing("1,0 1,0 10,5 10,5"), "label-decimal-comma", True),
]


@pytest.mark.parametrize(("body", "code", "is_kept"), OBJECTS, ids=[body[:60] for body, *_ in OBJECTS])
def test_each_object_is_named_with_its_line(tmp_path: Path, body: str, code: str, is_kept: bool) -> None:
    listing = read_dataset(voc(tmp_path, annotation(body)), "detection")
    assert told(listing, "Annotations/a.xml") == [(code, None if code == "label-decimal-comma" else 4)]
    assert len(corners(listing)) == 1 + is_kept
    assert list(listing.images["problems"]) == [[], []]


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        (b"", "label-unreadable", 1),
        ("not XML at all", "label-unreadable", 1),
        ("<annotation>\n<object>\n", "label-unreadable", 3),
        ("<annotation>\n<object></annotation>", "label-unreadable", 2),
        ("<annotation>\n&undefined;</annotation>", "label-unreadable", 2),
        ("<annotation/>\n<annotation/>", "label-unreadable", 2),
        ("<annotation a='1' a='2'/>", "label-unreadable", 1),
        ("\n<html/>", "label-unreadable", 2),
        ("<html/>", "label-unreadable", 1),
        ("<annotation>\0</annotation>", "label-unreadable", 1),
        (annotation(thing(name="<name>caf\xe9</name>")).encode("latin-1"), "label-unreadable", 4),
        ('<?xml version="1.0" encoding="klingon"?>\n<annotation/>', None, 1),
        ('<!DOCTYPE a [<!ENTITY x "y">]>\n<annotation/>', "xml-doctype", 1),
        ('<?xml version="1.0"?>\n<!DOCTYPE annotation SYSTEM "file:///etc/passwd">\n<annotation/>', "xml-doctype", 2),
        (f"<annotation>\n{DEEP}", "label-too-deep", 2),
        ("<annotation>" + " " * (5 << 20) + "</annotation>", "label-too-large", None),
        (annotation(size="<size><width>640</width><height>480</height></size>"), "size-disagrees", 3),
        (annotation(size="<size><width>20</width><height>40</height></size>"), "size-disagrees", 3),
        (annotation(size="<size><width>40</width><height>x</height></size>"), "size-disagrees", 3),
        (annotation(size="<size><width>-40</width><height>20</height></size>"), "size-disagrees", 3),
        (annotation(size="<size><width>40</width></size>"), "size-disagrees", 3),
    ],
    ids=range(21),
)  # fmt: skip
def test_an_annotation_that_cannot_be_used_leaves_its_image_out(
    tmp_path: Path, content: str | bytes, code: str | None, line: int | None
) -> None:
    listing = read_dataset(voc(tmp_path, content), "detection")
    ((found, at),) = told(listing, "Annotations/a.xml")
    assert at == line and (found == code or (code is None and found in ("label-unreadable", "label-not-text")))
    assert list(listing.images["problems"]) == [[found], []]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\xef\xbb\xbf" + annotation(thing()).encode(), "label-bom"),
        ('<?xml version="1.0" encoding="utf-16"?>' + annotation(thing()), "label-utf16"),
    ],
)
def test_encodings_that_are_read(tmp_path: Path, content: str | bytes, code: str) -> None:
    listing = read_dataset(voc(tmp_path, content.encode("utf-16") if isinstance(content, str) else content), "detection")
    assert told(listing, "Annotations/a.xml") == [(code, None)]
    assert labels(listing) == ["cat", "cat"]


def test_a_declared_encoding_counts(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="windows-1252"?>' + annotation(thing(name="<name>caf\xe9</name>"))
    listing = read_dataset(voc(tmp_path, text.encode("cp1252")), "detection")
    assert listing.findings == [] and "café" in listing.classes


def test_pixels_count_from_one_and_include_the_last(tmp_path: Path) -> None:
    """The published VOC convention: xmin = ymin = 1 is the corner of the image, xmax = width its other edge."""
    body = thing("1 1 20 10", more="<difficult>1</difficult><truncated>1</truncated>") + thing("21 11 40 20") + thing("2.5 1 20 10.5")
    part = "<part><name>head</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax><ymax>2</ymax></bndbox></part>"
    listing = read_dataset(voc(tmp_path, annotation(body.replace("</object>", f"{part}</object>", 1))), "detection")
    assert corners(listing)[:3] == [(0, 0, 0.5, 0.5), (0.5, 0.5, 1, 1), (1.5 / 40, 0, 0.5, 10.5 / 20)]
    assert list(listing.boxes["is_difficult"]) == [True, False, False, False]
    assert listing.findings == []


def test_sizes_that_are_absent_or_zero_claim_nothing(tmp_path: Path) -> None:
    for size in ("", "<size/>", "<size><width>0</width><height>0</height></size>"):
        assert read_dataset(voc(tmp_path, annotation(thing(), size=size)), "detection").findings == []


def test_an_image_turned_by_exif_is_told(tmp_path: Path) -> None:
    from PIL import Image

    root = voc(tmp_path, annotation(thing(), size="<size><width>20</width><height>40</height></size>"))
    exif = Image.Exif()
    exif[0x0112] = 6
    (root / "JPEGImages/a.png").unlink()
    Image.new("RGB", (20, 40)).save(root / "JPEGImages/a.jpg", exif=exif)
    (one,) = [one for one in read_dataset(root, "detection").findings if one.code == "size-disagrees"]
    assert "EXIF" in one.found and "40 x 20" in one.found


def test_orphans_namesakes_and_images_without_annotation(tmp_path: Path) -> None:
    root = voc(tmp_path, annotation(thing()))
    put(root / "Annotations/gone.xml", annotation(thing()).replace("a.png", "gone.png"))
    put(root / "Annotations/copy.xml", annotation(thing()))  # names a.png, which has an annotation of its own
    put(root / "JPEGImages/b.xml", annotation(thing()))
    picture(root / "JPEGImages/c.png")
    picture(root / "JPEGImages/renamed.png")
    put(root / "Annotations/0001.xml", annotation(thing()).replace("a.png", "renamed.png"))
    listing = read_dataset(root, "detection")
    assert {(one.where, one.code) for one in listing.findings} == {
        ("Annotations/gone.xml", "no-image"),
        ("Annotations/copy.xml", "no-image"),
        ("JPEGImages/b.xml", "image-listed-twice"),
        ("JPEGImages/c.png", "no-annotation"),
    }
    assert set(listing.boxes["source"]) == {"Annotations/a.xml", "Annotations/b.xml", "Annotations/0001.xml"}


def test_several_devkits_nested_folders_and_names_with_blanks(tmp_path: Path) -> None:
    for year, split in (("VOC2007", "train"), ("VOC2012", "val")):
        base = tmp_path / "VOCdevkit" / year
        picture(base / "JPEGImages/site 1/dog 1.png")
        put(base / "Annotations/site 1/dog 1.xml", annotation(thing()))
        put(base / f"ImageSets/Main/{split}.txt", "site 1/dog 1\r\n")
        put(base / "ImageSets/Main/dog_train.txt", "site 1/dog 1 -1\n")
    listing = read_dataset(tmp_path, "detection")
    assert list(listing.images["given_split"]) == ["train", "val"] and len(listing.boxes) == 2


def test_an_image_in_two_lists_stops(tmp_path: Path) -> None:
    root = voc(tmp_path, annotation(thing()))
    put(root / "ImageSets/Main/train.txt", "a\nb\n")
    put(root / "ImageSets/Main/test.txt", "b\n")
    with pytest.raises(DataError, match=r"test\.txt: b stands in train too"):
        read_dataset(root, "detection")


def test_a_label_map_gives_the_order_of_the_classes(tmp_path: Path) -> None:
    root = voc(tmp_path, annotation(thing()))
    put(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\nzebra:1,2,3::\ncat:4,5,6::\n")
    assert read_dataset(root, "detection").classes == ["zebra", "cat"]


def test_classes_that_differ_in_case_only_stop(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="'Cat' and 'cat'"):
        read_dataset(voc(tmp_path, annotation(thing(name="<name>Cat</name>"))), "detection")
