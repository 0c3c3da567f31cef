"""Corrections laid over a dataset: each row where it fits, a finding with its line where it does not."""

from pathlib import Path

import pandas as pd
import pytest

from components.data.findings import Finding
from components.data.formats import Listing, read_dataset
from components.data.formats.corrections import applied
from components.data.formats.corrections_csv import COLUMNS, FILE, Correction, read, write
from tests.images import make_classification, make_detection_yolo

HEADER = ",".join(COLUMNS) + "\n"


@pytest.fixture
def classes(tmp_path: Path) -> Path:
    return make_classification(tmp_path / "own", classes=3, per_class=2, size=16)


@pytest.fixture
def boxes(tmp_path: Path) -> Path:
    """One image with a red box on the left and a blue one on the right, the others with nothing."""
    root = make_detection_yolo(tmp_path / "boxed", images=6, size=32)
    for path in (root / "labels").rglob("*.txt"):
        path.write_text("")
    (root / "labels" / "train" / "000.txt").write_text("0 0.25 0.5 0.2 0.4\n1 0.75 0.5 0.2 0.4\n")
    return root


def correct(root: Path, text: str, task: str) -> Listing:
    (root / FILE).write_text(text, encoding="utf-8")
    return read_dataset(root, task)


def own(listing: Listing) -> list[tuple[int | None, str]]:
    return [(one.line, one.code) for one in listing.findings if one.file == FILE]


def labels(listing: Listing) -> dict[str, str]:
    return dict(zip(listing.images["path"], listing.images["label"], strict=True))


def rows(listing: Listing) -> list[tuple[object, ...]]:
    table = listing.boxes.round(6)
    return [tuple(row) for row in table[["path", "label", "x_min", "y_min", "x_max", "y_max"]].itertuples(index=False)]


IMAGE = "images/train/000.png"
LEFT, RIGHT = (0.15, 0.3, 0.35, 0.7), (0.65, 0.3, 0.85, 0.7)


def test_an_image_gets_another_class_and_one_is_left_out(classes: Path) -> None:
    before = {path.relative_to(classes): path.read_bytes() for path in classes.rglob("*.png")}
    text = HEADER + "class_0/000.png,relabel,,class_2,,class_0,\nclass_1/001.png,delete,,,,,blurred\n"
    listing = correct(classes, text, "classification")
    assert labels(listing) == {
        "class_0/000.png": "class_2",
        "class_0/001.png": "class_0",
        "class_1/000.png": "class_1",
        "class_2/000.png": "class_2",
        "class_2/001.png": "class_2",
    }
    (told,) = listing.findings
    assert (told.code, told.severity, told.found) == (
        "corrections-applied",
        "note",
        "corrections applied: 2 (images left out: 1, images relabelled: 1)",
    )
    assert {path.relative_to(classes): path.read_bytes() for path in classes.rglob("*.png")} == before


def test_without_the_file_nothing_is_different(classes: Path) -> None:
    plain = read_dataset(classes, "classification")
    listing = correct(classes, HEADER, "classification")
    pd.testing.assert_frame_equal(plain.images, listing.images)
    assert listing.findings == []


def test_boxes_are_relabelled_moved_left_out_and_added(boxes: Path) -> None:
    text = (
        HEADER
        + f"{IMAGE},relabel,0.15 0.3 0.35 0.7,blue,,red,\n"
        + f"{IMAGE},move,0.66 0.31 0.85 0.7,,0.6 0.3 0.85 0.7,blue,loose on the left\n"
        + "images/train/001.png,add,,red,0.1 0.2 0.3 0.4,,overlooked\n"
    )
    listing = correct(boxes, text, "detection")
    assert rows(listing) == [
        (IMAGE, "blue", *LEFT),
        (IMAGE, "blue", 0.6, 0.3, 0.85, 0.7),
        ("images/train/001.png", "red", 0.1, 0.2, 0.3, 0.4),
    ]
    added = listing.boxes.iloc[2]
    assert (added["source"], added["line"], added["is_crowd"], added["is_difficult"], added["problems"]) == (FILE, 4, False, False, [])
    assert own(listing) == [(None, "corrections-applied")]
    listing = correct(boxes, HEADER + f"{IMAGE},delete,0.65 0.3 0.85 0.7,,,,\n", "detection")
    assert rows(listing) == [(IMAGE, "red", *LEFT)]
    listing = correct(boxes, HEADER + f"{IMAGE},delete,,,,,\n", "detection")
    assert rows(listing) == [] and len(listing.images) == 5 and IMAGE not in set(listing.images["path"])


def test_moving_a_box_that_left_the_image_mends_it_and_settles_its_finding(boxes: Path) -> None:
    (boxes / "labels" / "train" / "000.txt").write_text("0 0.9 0.5 0.4 0.4\n")
    assert [one.code for one in read_dataset(boxes, "detection").findings] == ["box-outside"]
    listing = correct(boxes, HEADER + f"{IMAGE},move,0.7 0.3 1 0.7,,0.7 0.3 1.0 0.7,red,\n", "detection")
    assert rows(listing) == [(IMAGE, "red", 0.7, 0.3, 1.0, 0.7)]
    assert listing.boxes["problems"].tolist() == [[]]
    assert [one.code for one in listing.findings] == ["corrections-applied"]


@pytest.mark.parametrize(
    ("row", "code", "said"),
    [
        ("class_0/000.png,relabel,,class_2,,class_1,", "correction-outdated", "'class_1'"),
        ("class_0/000.png,relabel,,class_0,,class_1,", "correction-idle", "something to correct"),
        ("class_0/000.png,relabel,,clas_2,,class_0,", "correction-unknown-class", "class_0, class_1, class_2"),
        ("elsewhere/001.png,delete,,,,,", "correction-unknown-image", "perhaps class_0/001.png"),
        ("class_0/000.png,relabel,,,,class_0,", "correction-unreadable", "label"),
        ("class_0/000.png,rename,,class_2,,class_0,", "correction-unreadable", "relabel, delete, move, add"),
        (",delete,,,,,", "correction-unreadable", "path of an image"),
        ("class_0/000.png,delete,,class_2,,,", "correction-unreadable", "path alone"),
        ("class_0/000.png,delete,0 0 1 1,,,,", "correction-unreadable", "no box"),
        ("class_0/000.png,add,,class_2,0 0 1 1,,", "correction-unreadable", "no box"),
        ("class_0/000.png,delete,,,,,,,", "correction-unreadable", "7 cells"),
    ],
)
def test_a_row_that_does_not_fit_is_a_finding_and_changes_nothing(classes: Path, row: str, code: str, said: str) -> None:
    plain = labels(read_dataset(classes, "classification"))
    listing = correct(classes, HEADER + "\n" + row + "\n", "classification")
    (found,) = listing.findings
    assert (found.code, found.where) == (code, f"{FILE}:3")
    assert said in found.expected
    assert labels(listing) == plain


@pytest.mark.parametrize(
    ("row", "code"),
    [
        (f"{IMAGE},relabel,0.4 0.4 0.6 0.6,blue,,red,", "correction-unknown-box"),
        ("images/train/001.png,delete,0.4 0.4 0.6 0.6,,,,", "correction-unknown-box"),
        (f"{IMAGE},relabel,0.15 0.3 0.35 0.7,blue,,blue,", "correction-outdated"),
        (f"{IMAGE},relabel,0.15 0.3 0.35 0.7,red,,,", "correction-idle"),
        (f"{IMAGE},move,0.15 0.3 0.35 0.7,,0.15 0.3 0.35 0.7,red,", "correction-idle"),
        (f"{IMAGE},add,,red,0.15 0.3 0.35 0.7,,", "correction-idle"),
        (f"{IMAGE},relabel,,blue,,,", "correction-unreadable"),
        (f"{IMAGE},add,,green,0.4 0.4 0.6 0.6,,", "correction-unknown-class"),
        (f"{IMAGE},delete,10 10 20 20,,,,", "correction-unreadable"),
        (f"{IMAGE},delete,0.1 0.1 nan 0.2,,,,", "correction-unreadable"),
        (f"{IMAGE},delete,0.3 0.1 0.2 0.2,,,,", "correction-unreadable"),
        (f"{IMAGE},delete,0.3 0.1 0.2,,,,", "correction-unreadable"),
    ],
)
def test_a_row_about_a_box_that_does_not_fit(boxes: Path, row: str, code: str) -> None:
    plain = rows(read_dataset(boxes, "detection"))
    listing = correct(boxes, HEADER + row + "\n", "detection")
    assert own(listing) == [(2, code)]
    assert rows(listing) == plain


def test_of_rows_that_contradict_one_another_none_is_applied(classes: Path, boxes: Path) -> None:
    text = HEADER + "class_0/000.png,relabel,,class_2,,,\nclass_1/000.png,delete,,,,,\nclass_0/000.png,relabel,,class_1,,,\n"
    listing = correct(classes, text, "classification")
    assert own(listing) == [(None, "corrections-applied"), (2, "correction-conflict"), (4, "correction-conflict")]
    assert labels(listing)["class_0/000.png"] == "class_0" and "class_1/000.png" not in labels(listing)


def test_a_box_of_an_image_that_is_left_out_is_a_conflict(boxes: Path) -> None:
    text = HEADER + f"{IMAGE},delete,,,,,\n{IMAGE},relabel,0.15 0.3 0.35 0.7,blue,,,\n{IMAGE},add,,red,0.4 0.4 0.6 0.6,,\n"
    listing = correct(boxes, text, "detection")
    assert own(listing) == [(None, "corrections-applied"), (3, "correction-conflict"), (4, "correction-conflict")]
    assert rows(listing) == []


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, delimiter: str, encoding: str, newline: str) -> None:
    lines = [("Path", "action", "label", "expected"), ('"Äpfel, rot/1.png"', "Relabel", "pear", "apple"), ("", "", "", "")]
    path = tmp_path / FILE
    path.write_bytes(newline.join(delimiter.join(line) for line in lines).encode(encoding))
    assert read(path) == ([Correction(2, "Äpfel, rot/1.png", "relabel", label="pear", expected="apple")], [])


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"", 1),
        ("pfad,aktion\n".encode("utf-16"), 1),
        (b"image,action\nx,delete\n", 1),
        (b"path,action,lable\nx,relabel,y\n", 1),
        (b"path,action,path\n", 1),
        (b'path,action\n"x,delete\n', 2),
        (b"\xff\xfe\x00", 1),
    ],
)
def test_a_file_that_is_no_table_of_corrections_is_one_finding(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / FILE).write_bytes(content)
    rows, (found,) = read(tmp_path / FILE)
    assert rows == [] and isinstance(found, Finding)
    assert (found.code, found.line) == ("correction-unreadable", line)


def test_lines_are_those_of_the_file_where_a_cell_holds_several(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('path,action,note\na.png,delete,"two\nlines"\nb.png,vanish,\n')
    rows, (found,) = read(tmp_path / FILE)
    assert [row.line for row in rows] == [2] and found.line == 4


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    wanted = [
        Correction(2, "a, b/ü.png", "relabel", label="pear", expected="apple", note='score 0.02, "sure"'),
        Correction(3, "c.png", "move", box=(0.125, 0.25, 0.5, 0.75), new_box=(0.1, 0.2, 0.3, 0.323457)),
        Correction(4, "d.png", "delete"),
    ]
    write(wanted, tmp_path / FILE)
    assert read(tmp_path / FILE) == (wanted, [])


def test_the_file_is_no_label_file_and_alone_no_dataset(classes: Path) -> None:
    text = HEADER + "class_0/000.png,delete,,,,,\n"
    assert "corrections.csv" not in {one.file for one in correct(classes, text, "classification").findings if one.code == "unknown-file"}


def test_the_number_applied_is_told(classes: Path) -> None:
    text = HEADER + "class_0/000.png,relabel,,class_2,,,\nclass_1/000.png,relabel,,class_2,,,\n"
    assert applied(correct(classes, text, "classification").findings) == "corrections applied: 2 (images relabelled: 2)"
    assert applied(correct(classes, HEADER, "classification").findings) is None
