from pathlib import Path

import pytest

from components.data.formats import read_dataset
from components.errors import DataError
from tests.components.data.formats.laid_out import corners, labels, picture, put, told, yolo

GOOD = "0 0.5 0.5 0.5 0.5"

# One row each, the code it must bear, and whether a sound box comes of it all the same.
ROWS = [
    ("0", "row-short", False),
    ("0 0.5 0.5", "row-short", False),
    ("0 0.5 0.5 0.5", "row-short", False),
    ("0 0.5 0.5 0.5 0.5 0.93", "row-long", False),
    ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "row-long", False),
    ("0 0.5 0.5 0.5 0.5 0.5 0.5 0.5 0.5 0.5", "row-long", False),
    ("cat 0.5 0.5 0.5 0.5", "class-not-whole", False),
    ("1.5 0.5 0.5 0.5 0.5", "class-not-whole", False),
    ("nan 0.5 0.5 0.5 0.5", "class-not-whole", False),
    ("inf 0.5 0.5 0.5 0.5", "class-not-whole", False),
    ("2 0.5 0.5 0.5 0.5", "class-unknown", False),
    ("80 0.5 0.5 0.5 0.5", "class-unknown", False),
    ("-1 0.5 0.5 0.5 0.5", "class-unknown", False),
    ("1e9 0.5 0.5 0.5 0.5", "class-unknown", False),
    ("2 0.1 0.1 0.9 0.1 0.5 0.9", "class-unknown", False),
    ("0 x 0.5 0.5 0.5", "not-a-number", False),
    ("0 0.5 0.5 0.5 0.5px", "not-a-number", False),
    ("0 0.5 0.5 0.5 1_0", "not-a-number", False),
    ("0 0.5 0.5 0.5 50%", "not-a-number", False),
    ("0 0.5 0.5 0.5 0.5 # a comment", "not-a-number", False),
    ("0 0.5 0.5 - 0.5", "not-a-number", False),
    ("0 0..5 0.5 0.5 0.5", "not-a-number", False),
    ("0 nan 0.5 0.5 0.5", "box-not-finite", False),
    ("0 0.5 0.5 NaN 0.5", "box-not-finite", False),
    ("0 0.5 inf 0.5 0.5", "box-not-finite", False),
    ("0 0.5 0.5 -inf 0.5", "box-not-finite", False),
    ("0 0.5 0.5 1e400 0.5", "box-not-finite", False),
    ("0 0.1 0.1 nan 0.1 0.5 0.9", "box-not-finite", False),
    ("0 0.5 0.5 0 0.5", "box-empty", False),
    ("0 0.5 0.5 0.5 0.0", "box-empty", False),
    ("0 0 0 0 0", "box-empty", False),
    ("0 0.3 0.1 0.3 0.5 0.3 0.9", "box-empty", False),
    ("0 0.5 0.5 -0.2 0.5", "box-negative", False),
    ("0 0.5 0.5 0.2 -0.5", "box-negative", False),
    ("0 1.4 0.5 0.2 0.5", "box-outside", False),
    ("0 -0.5 -0.5 0.2 0.5", "box-outside", False),
    ("0 0.9 0.5 0.4 0.2", "box-outside", False),
    ("0 0.5 0.5 1.5 1.5", "box-outside", False),
    ("0 20 10 8 4", "box-in-pixels", False),
    ("0 20 0.5 0.5 0.5", "box-in-pixels", False),
    ("1 4 4 30 4 30 16 4 16", "box-in-pixels", False),
    ("0 0.96 0.5 0.1 0.5", "box-overhang", True),
    ("0 0.5 0.5 1 1", "box-whole-image", True),
    ("0 0.5 0.5 0.02 0.5", "box-sub-pixel", True),
    ("0 0.5 0.5 0.5 0.04", "box-sub-pixel", True),
    ("0,0.5,0.5,0.4,0.4", "label-commas", True),
    ("0, 0.5, 0.5, 0.4, 0.4", "label-commas", True),
    ("0;0.5;0.5;0.4;0.4", "label-commas", True),
    ("0 0,5 0,5 0,4 0,4", "label-decimal-comma", True),
    ("0\t0.5\t0.5\t0.4\t0.4", "label-tabs", True),
    ("0,5 0,5 0,4 0,4", "row-long", False),
]
TALLIED = ("label-commas", "label-decimal-comma", "label-tabs")


@pytest.mark.parametrize(("row", "code", "is_kept"), ROWS, ids=[row for row, *_ in ROWS])
def test_each_row_is_named_with_its_line(tmp_path: Path, row: str, code: str, is_kept: bool) -> None:
    listing = read_dataset(yolo(tmp_path, f"{GOOD}\n\n{row}\n"), "detection")
    expected = [(code, None if code in TALLIED else 3)]
    assert [one for one in told(listing, "labels/a.txt") if one[0] != "label-commas" or code == "label-commas"] == expected
    assert labels(listing) == ["cat", *(["cat"] if is_kept else []), "dog"]
    assert list(listing.images["problems"]) == [[], []]


def test_sound_rows_of_every_kind(tmp_path: Path) -> None:
    """Boxes and polygons, worked by hand; a class written 1.0 is whole; rounding over the border is clipped without a word."""
    rows = ["0 0.5 0.5 0.2 0.4", "1.0 0.25 0.75 0.5 0.5", "0 0.1 0.2 0.5 0.3 0.4 0.9", "1 1e-1 2e-1 5e-1 2e-1 5e-1 8e-1 1e-1 8e-1"]
    rows += ["0 0.7515 0.5 0.5 0.2"]
    listing = read_dataset(yolo(tmp_path, "  \n".join(rows)), "detection")
    assert listing.findings == []
    expected = [(0.4, 0.3, 0.6, 0.7), (0, 0.5, 0.5, 1), (0.1, 0.2, 0.5, 0.9), (0.1, 0.2, 0.5, 0.8), (0.5015, 0.4, 1, 0.6)]
    assert [tuple(round(value, 9) for value in row) for row in corners(listing)[:5]] == expected
    assert labels(listing)[:5] == ["cat", "dog", "cat", "dog", "cat"]


def test_repeats_and_two_classes_in_one_place(tmp_path: Path) -> None:
    listing = read_dataset(yolo(tmp_path, f"{GOOD}\n{GOOD}\n1{GOOD[1:]}\n0 0.50 0.5 0.5 0.5\n"), "detection")
    assert told(listing, "labels/a.txt") == [("box-duplicate", 2), ("box-two-classes", 3), ("box-duplicate", 4)]
    assert labels(listing) == ["cat", "dog", "dog"]


def test_keypoints_after_the_box_are_passed_over(tmp_path: Path) -> None:
    yaml = "train: images\nkpt_shape: [2, 2]\nnames: [cat, dog]\n"
    listing = read_dataset(yolo(tmp_path, "0 0.5 0.5 0.2 0.4 0.1 0.1 0.9 0.9\n", yaml), "detection")
    assert [round(value, 9) for value in corners(listing)[0]] == [0.4, 0.3, 0.6, 0.7]


@pytest.mark.parametrize(
    ("content", "found", "kept"),
    [
        (b"", [], 0),
        (b"  \n\n", [], 0),
        (b"\xef\xbb\xbf" + GOOD.encode(), [("label-bom", None)], 1),
        (GOOD.encode("utf-16"), [("label-utf16", None)], 1),
        (GOOD.encode("utf-16-be"), [("label-utf16", None)], 1),
        (GOOD.encode("utf-16-le"), [("label-utf16", None)], 1),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), [("label-utf16", None)], 1),
        (GOOD.encode("utf-32"), [("label-utf16", None)], 1),
        (f"{GOOD}\r\n1 0.5 0.5 0.1 0.1\r\n".encode(), [("label-crlf", None)], 2),
        (f"{GOOD}\r1 0.5 0.5 0.1 0.1\r9 1 1 1 1".encode(), [("label-crlf", None), ("class-unknown", 3)], 2),
        (f"{GOOD}\n\xe4 0.5\n".encode("latin-1"), [("label-not-text", 2)], None),
        (f"{GOOD}\n{GOOD}\0\n".encode(), [("label-not-text", 2)], None),
        (bytes(200), [("label-not-text", 1)], None),
        (b"\xff\xd8\xff\xe0 a JPEG", [("label-not-text", 1)], None),
        (b"\xff\xfe\x00", [("label-not-text", 1)], None),
        (b"0 0.5 0.5 0.5 0.5\n" * 300_000, [("label-too-large", None)], None),
    ],
)
def test_how_a_label_file_is_written(tmp_path: Path, content: bytes, found: list[tuple[str, int | None]], kept: int | None) -> None:
    listing = read_dataset(yolo(tmp_path, content), "detection")
    assert told(listing, "labels/a.txt") == found
    assert len(corners(listing)) == 1 + (kept or 0)
    assert list(listing.images["problems"]) == [[] if kept is not None else [found[0][0]], []]
    assert (tmp_path / "labels/a.txt").read_bytes() == content


def test_missing_orphaned_and_unlisted_files(tmp_path: Path) -> None:
    root = yolo(tmp_path, None, "train: images/train\nnc: 3\nnames: [cat, dog]\n")
    picture(root / "images/train/c.png")
    put(root / "labels/train/c.txt", GOOD)
    put(root / "labels/train/gone.txt", GOOD)
    put(root / "labels/classes.txt", "cat\ndog\n")
    put(root / "notes.txt", "0 nothing to do with labels")
    picture(root / "images/train/d.png")
    listing = read_dataset(root, "detection")
    assert {(one.where, one.code) for one in listing.findings} == {
        ("images/train/d.png", "no-label-file"),
        ("labels/train/gone.txt", "no-image"),
        ("images", "image-unlisted"),
        ("data.yaml", "names-count"),
    }
    assert list(listing.images["path"]) == ["images/train/c.png", "images/train/d.png"]


def test_no_label_file_at_all_is_refused_with_the_place_they_should_be_in(tmp_path: Path) -> None:
    root = yolo(tmp_path)
    (root / "labels/b.txt").unlink()
    with pytest.raises(DataError, match=r"none of 2 images.*labels/a\.txt"):
        read_dataset(root, "detection")


def test_labels_beside_images_and_a_link_that_leaves(tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("a", "b", "c"):
        picture(root / f"train/{name}.png")
    put(root / "train/a.txt", GOOD)
    put(root / "train/gone.txt", GOOD)
    put(tmp_path / "outside.txt", GOOD)
    (root / "train/b.txt").symlink_to(tmp_path / "outside.txt")
    put(root / "data.yaml", "train: train\nnames: [cat]\n")
    listing = read_dataset(root, "detection")
    assert {(one.where, one.code) for one in listing.findings} == {
        ("train/b.txt", "label-left-out"), ("train/gone.txt", "no-image"), ("train/c.png", "no-label-file"),
    }  # fmt: skip
    assert list(listing.images["problems"]) == [[], ["label-left-out"], []]


@pytest.mark.parametrize(
    "yaml",
    [
        "path: .\ntrain: images/train\nval: images/val\nnames: {0: cat, 1: dog}\n",
        "path: ../datasets/set\ntrain: ./images/train/\nval: [images/val]\nnames:\n- cat\n- dog\n",
        "path: /content/set\ntrain: /content/set/images/train\nvalid: /content/set/images/val\nnames: [cat, dog]\n",
        "train: ../images/train\nvalidation: ../images/val\ntest:\nnames: ['cat', \"dog\"]\n",
        "train: images\\train\nval: .\\images\\val\nnames:\n  1: dog\n  0: cat\n",
        "train: train.txt\nval: val.txt\nnames: [cat, dog]\n",
        "\ufefftrain: images/train\r\nval: images/val\r\nnames: [cat, dog]\r\n",
    ],
)
def test_the_spellings_of_paths(tmp_path: Path, yaml: str) -> None:
    root = tmp_path / "set"
    for split, name in (("train", "a"), ("val", "b")):
        picture(root / f"images/{split}/{name} ü.png")
        put(root / f"labels/{split}/{name} ü.txt", GOOD)
    put(root / "train.txt", "./images/train/a u\u0308.png\n")  # decomposed, as a Mac writes it
    put(root / "val.txt", "C:\\data\\set\\images\\val\\b ü.png\r\n")
    put(root / "data.yaml", yaml)
    listing = read_dataset(root, "detection")
    assert dict(zip(listing.images["path"], listing.images["given_split"], strict=True)) == {
        "images/train/a ü.png": "train", "images/val/b ü.png": "val",
    }  # fmt: skip
    assert listing.classes == ["cat", "dog"] and listing.findings == []


def test_names_are_text_as_written(tmp_path: Path) -> None:
    """YAML 1.1 would read these as a truth value, a number, a date and nothing."""
    root = yolo(tmp_path, GOOD, "train: images\nnames: [no, 007, 2020-01-01, null]\n")
    assert read_dataset(root, "detection").classes == ["no", "007", "2020-01-01", "null"]


def test_names_from_a_plain_list(tmp_path: Path) -> None:
    root = yolo(tmp_path, GOOD)
    (root / "data.yaml").unlink()
    put(root / "classes.txt", "cat\r\ndog\r\n")
    listing = read_dataset(root, "detection")
    assert (listing.classes, listing.images["given_split"].isna().all(), labels(listing)) == (["cat", "dog"], True, ["cat", "dog"])


LAUGHS = "a: &a [x, x, x]\n" + "".join(f"{new}: &{new} [*{old}, *{old}, *{old}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True))


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        ("", "exactly one data.yaml|no mapping"),
        ("names: [cat, dog\n", r"data\.yaml:\d+ is not valid YAML"),
        ("names: [cat]\n\tx: 1", r"data\.yaml:\d+ is not valid YAML"),
        ("train: images\nnames: !!python/object/apply:os.system [echo]\n", r"data\.yaml:2 uses the YAML tag"),
        ("train: images\nnames: !!set {cat, dog}\n", r"data\.yaml:2 uses the YAML tag"),
        ("x: &x [cat]\ntrain: images\nnames: *x\n", r"data\.yaml:3 uses the YAML alias"),
        (f"{LAUGHS}names: [cat]\n", "uses the YAML alias"),
        ("a: &a [*a]\nnames: [cat]\n", "uses the YAML alias"),
        (f"names: {'[' * 5000}{']' * 5000}\n", "nests deeper than 8"),
        (f"names: [cat]\nx: {'{a: ' * 5000}1{'}' * 5000}\n", "nests deeper than 8"),
        ("names: [cat]\nnames: [dog]\n", r"data\.yaml:2 has the key 'names' twice"),
        ("names:\n  0: cat\n  0: dog\n", r"data\.yaml:3 has the key '0' twice"),
        ("names:\n  ? [a, b]\n  : c\n", "as a key"),
        ("names: cat\n", "names"),
        ("names:\n", "names"),
        ("names: []\n", "names"),
        ("names: {0: cat, 2: dog}\n", "without gaps"),
        ("names: {cat: 0, dog: 1}\n", "numbers from 0"),
        ("names: [[cat], dog]\n", "names"),
        ("names: [cat, Cat]\n", "'cat' and 'Cat'"),
        ("names: [cat, '']\n", "''"),
        ('names: [cat, "a\\nb"]\n', "control characters"),
        ("train: elsewhere\nnames: [cat, dog]\n", "elsewhere"),
        ("train: ../../../etc\nnames: [cat, dog]\n", "does not exist inside"),
        ("train: /etc\nnames: [cat, dog]\n", "does not exist inside"),
        (f"train: {'x' * 5000}\nnames: [cat, dog]\n", "does not exist inside"),
        ("train: {a: b}\nnames: [cat, dog]\n", "train is"),
        ("train: images\nval: images\nnames: [cat, dog]\n", "both train and val"),
        ("train: empty\nnames: [cat, dog]\n", "holds no image"),
        ("train: empty.txt\nnames: [cat, dog]\n", "lists no image"),
        ("names: [cat]\n" + "#" * 1_100_000, r"1\.0 MiB"),
    ],
    ids=range(31),
)
def test_a_data_yaml_that_cannot_be_used_is_refused_by_name(tmp_path: Path, yaml: str, said: str) -> None:
    root = yolo(tmp_path, GOOD, yaml)
    put(root / "empty/readme.md", "")
    put(root / "empty.txt", "\n")
    with pytest.raises(DataError, match=said):
        read_dataset(root, "detection", "yolo")


@pytest.mark.parametrize("second", ["names: [dog, cat]\n", "names: {0: cat, 1: cow}\n"])
def test_class_maps_that_contradict_one_another_stop(tmp_path: Path, second: str) -> None:
    root = yolo(tmp_path, GOOD)
    put(root / "more/data.yaml", second)
    with pytest.raises(DataError, match=r"conflicting class maps: .*data\.yaml"):
        read_dataset(root, "detection")


def test_a_longer_class_map_does_not_contradict(tmp_path: Path) -> None:
    root = yolo(tmp_path, GOOD)
    put(root / "labels/classes.txt", "cat\ndog\nbird\n")
    assert read_dataset(root, "detection").classes == ["cat", "dog"]
    put(root / "labels/classes.txt", "dog\ncat\n")
    with pytest.raises(DataError, match="conflicting class maps"):
        read_dataset(root, "detection")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("./images/gone.png", "no-image"),
        ("../../../etc/passwd.png", "path-outside"),
        ("..\\..\\secret.png", "path-outside"),
        ("./images/a.png", "image-listed-twice"),
        ("same.png", "image-ambiguous"),
    ],
)
def test_entries_of_a_list_are_named_with_their_line(tmp_path: Path, line: str, code: str) -> None:
    root = yolo(tmp_path, GOOD, "train: train.txt\nnames: [cat, dog]\n")
    for folder in ("x", "y"):
        picture(root / f"images/{folder}/same.png")
    put(root / "train.txt", f"./images/a.png\n\n{line}\nb.png\n")
    listing = read_dataset(root, "detection")
    assert told(listing, "train.txt") == [(code, 3)]
    assert list(listing.images["path"]) == ["images/a.png", "images/b.png"]


@pytest.mark.parametrize("flags", ["labels/a.txt,1", "labels/a.txt,one,crowd", b"\xff"])
def test_a_table_of_flags_that_cannot_be_read_stops(tmp_path: Path, flags: str | bytes) -> None:
    root = yolo(tmp_path, GOOD, "train: images\nbox_flags: flags.csv\nnames: [cat, dog]\n")
    put(root / "flags.csv", flags if isinstance(flags, bytes) else f"file,line,flag\n{flags}\n")
    with pytest.raises(DataError, match=r"flags\.csv"):
        read_dataset(root, "detection")


def test_a_finding_repeated_without_end_is_counted(tmp_path: Path) -> None:
    listing = read_dataset(yolo(tmp_path, "9 0.5 0.5 0.5 0.5\n" * 1234), "detection")
    assert len(listing.findings) == 1001
    assert (listing.findings[-1].code, listing.findings[-1].line, listing.findings[-1].found) == (
        "class-unknown", None, "234 more of the same in this file",
    )  # fmt: skip
