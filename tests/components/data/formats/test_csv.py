from pathlib import Path

import pytest

from components.data.formats import read_dataset
from components.errors import DataError, UsageError
from tests.images import make_classification
from tests.components.data.formats.laid_out import corners, labels, picture, put, table, told

HEAD = "filename,xmin,ymin,xmax,ymax,class\n"

CLASSIFICATION = [
    "image,label\nimages/a.png,cat\nimages/b.png,dog\n",
    "label,image_path\ncat,images/a.png\ndog,b.png\n",
    "Filename;Class Name\na.png;cat\nb.png;dog\n",
    "id\tlabel\na\tcat\nb\tdog\n",
    "images/a.png,cat\nimages/b.png,dog\n",
    "cat,a.png\ndog,b.png\n",
    '\ufeff"image","label"\r\n"C:\\data\\images\\a.png","cat"\r\n"images\\b.png","dog"\r\n',
    "index,path,target,split\n0,a.png,cat,train\n1,b.png,dog,valid\n",
    "train,a.png,cat\ntest,b.png,dog\n",
    "image,label,patient_id\na.png,cat,p1\nb.png,dog,p2\n",
    "image|label\na.png|cat\nb.png|dog\n",
]


@pytest.mark.parametrize("content", CLASSIFICATION)
def test_common_orders_of_columns_for_classification(tmp_path: Path, content: str) -> None:
    listing = read_dataset(table(tmp_path, content), "classification", "csv")
    assert dict(zip(listing.images["path"], listing.images["label"], strict=True)) == {"images/a.png": "cat", "images/b.png": "dog"}
    assert listing.classes == ["cat", "dog"] and {one.severity for one in listing.findings} <= {"note"}


def test_any_column_can_be_named_that_groups_images(tmp_path: Path) -> None:
    place = table(tmp_path, "image,label,group,Site no\na.png,cat,g1,north\nb.png,dog,g2,north\n")
    listing = read_dataset(place, "classification", "csv", "Site no")
    assert list(listing.images["group"]) == ["north", "north"]
    with pytest.raises(DataError, match=r"has image, label, group, Site no, expected a column 'site'.*group_column"):
        read_dataset(place, "classification", "csv", "site")


def test_a_layout_without_columns_has_none_to_group_by(tmp_path: Path) -> None:
    make_classification(tmp_path)
    with pytest.raises(UsageError, match=r"group_column is 'site', but folder has no columns"):
        read_dataset(tmp_path, "classification", "auto", "site")


def test_columns_of_split_and_group(tmp_path: Path) -> None:
    text = "image,label,Set,group\na.png,cat,Training,g1\nb.png,dog,holdout,\n"
    listing = read_dataset(table(tmp_path, text), "classification", "csv")
    assert list(listing.images["given_split"].fillna("none")) == ["train", "none"] and list(listing.images["group"].fillna("none")) == [
        "g1",
        "none",
    ]
    assert told(listing, "labels.csv") == [("split-unknown", 3)]


# Every one says: a.png has a cat at (4, 2) to (20, 12) of 40 x 20 pixels, and b.png nothing or a dog at the same place.
BOXES = [
    HEAD + "a.png,4,2,20,12,cat\nb.png,4,2,20,12,dog\n",
    "filename,width,height,class,xmin,ymin,xmax,ymax\na.png,40,20,cat,4,2,20,12\nb.png,40,20,dog,4,2,20,12\n",
    "path,label,x,y,w,h\na.png,cat,4,2,16,10\nb.png,dog,4,2,16,10\n",
    "path,label,x,y,width,height\na.png,cat,4,2,16,10\nb.png,dog,4,2,16,10\n",
    "image,class,x_center,y_center,width,height\na.png,cat,0.3,0.35,0.4,0.5\nb.png,dog,0.3,0.35,0.4,0.5\n",
    "image,class,x1,y1,x2,y2\na.png,cat,0.1,0.1,0.5,0.6\nb.png,dog,0.1,0.1,0.5,0.6\n",
    "image_id,label,left,top,right,bottom\na,cat,4,2,20,12\nb,dog,4,2,20,12\n",
    "images/a.png,4,2,20,12,cat\nimages/b.png,4,2,20,12,dog\n",
    "images/a.png,cat,4,2,20,12\nimages/b.png,dog,4,2,20,12\n",
    "images/a.png;cat;4,0;2,0;20,0;12,0\nimages/b.png;dog;4,0;2,0;20,0;12,0\n".replace("images/", "image_dir/images/"),
    "filename;class;xmin;ymin;xmax;ymax\na.png;cat;4,0;2,0;20,0;12,0\nb.png;dog;4,0;2,0;20,0;12,0\n",
    "TRAIN,gs://bucket/a.png,cat,0.1,0.1,,,0.5,0.6,,\nTRAIN,gs://bucket/b.png,dog,0.1,0.1,0.5,0.1,0.5,0.6,0.1,0.6\n",
]


@pytest.mark.parametrize("content", [*BOXES[:9], *BOXES[10:]])
def test_common_orders_of_columns_for_boxes(tmp_path: Path, content: str) -> None:
    listing = read_dataset(table(tmp_path, content), "detection")
    assert labels(listing) == ["cat", "dog"] and list(listing.images["path"]) == ["images/a.png", "images/b.png"]
    for row in corners(listing):
        assert [round(value, 12) for value in row] == [0.1, 0.1, 0.5, 0.6]
    assert {one.severity for one in listing.findings} <= {"note"}


def test_classes_that_are_numbers(tmp_path: Path) -> None:
    """RetinaNet's order: the label stands last."""
    listing = read_dataset(table(tmp_path, "images/a.png,4,2,20,12,7\nimages/b.png,,,,,\n"), "detection")
    assert labels(listing) == ["7"] and list(listing.images["path"]) == ["images/a.png", "images/b.png"]


OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside\n"
    "a,xclick,/m/01yrx,1,0.1,0.5,0.1,0.6,0,1,0,0,0\n"
    "a,xclick,/m/0bt9lr,1,0.2,0.9,0.2,0.9,1,0,1,0,0\n"
    "b,verification,/m/01yrx,0,0.2,0.9,0.2,0.9,1,0,1,0,0\n"
)


def test_open_images(tmp_path: Path) -> None:
    """The published column order: XMin, XMax, YMin, YMax; a group becomes a crowd; names come from the descriptions."""
    root = table(tmp_path, OPEN_IMAGES, "validation-annotations-bbox.csv")
    put(root / "class-descriptions-boxable.csv", "/m/01yrx,Cat\n/m/0bt9lr,Dog\n")
    listing = read_dataset(root, "detection")
    assert labels(listing) == ["Cat", "Dog"] and corners(listing) == [(0.1, 0.1, 0.5, 0.6), (0.2, 0.2, 0.9, 0.9)]
    assert list(listing.boxes["is_crowd"]) == [False, True] and list(listing.images["given_split"]) == ["val"]
    assert sorted(one.code for one in listing.findings) == ["image-unlisted", "label-negative"]
    put(root / "class-descriptions.csv", "/m/01yrx,Dog\n")
    with pytest.raises(DataError, match="conflicting class maps"):
        read_dataset(root, "detection")


ROWS = [
    ("a.png,4,2,20,12", "row-short", False),
    ("a.png,4,2,20,12,cat,more", "row-long", False),
    ("a.png,4,2,x,12,cat", "not-a-number", False),
    ("a.png,4,2,2_0,12,cat", "not-a-number", False),
    ("a.png,4,2,,12,cat", "corner-missing", False),
    ("a.png,,,,,cat", "corner-missing", False),
    ("a.png,4,2,20,12,", "class-missing", False),
    ("gone.png,4,2,20,12,cat", "no-image", False),
    (",4,2,20,12,cat", "no-image", False),
    ("../../gone.png,4,2,20,12,cat", "path-outside", False),
    ("a.png,nan,2,20,12,cat", "box-not-finite", False),
    ("a.png,4,2,inf,12,cat", "box-not-finite", False),
    ("a.png,4,2,4,12,cat", "box-empty", False),
    ("a.png,20,2,4,12,cat", "box-inverted", False),
    ("a.png,60,2,90,12,cat", "box-outside", False),
    ("a.png,0.1,0.1,0.5,0.6,cat", "box-in-fractions", False),
    ("a.png,0,0,40,20,cat", "box-whole-image", True),
    ("a.png,4,2,4.5,12,cat", "box-sub-pixel", True),
    ("a.png,21,2,41,12,cat", "box-overhang", True),
    ("a.png,4,2,20,12,cat", "box-duplicate", False),
    ("a.png,4,2,20,12,dog", "box-two-classes", True),
    ('"a.png,4,2,20,12,cat', "row-short", False),
]


@pytest.mark.parametrize(("row", "code", "is_kept"), ROWS, ids=[row for row, *_ in ROWS])
def test_each_row_is_named_with_its_line(tmp_path: Path, row: str, code: str, is_kept: bool) -> None:
    listing = read_dataset(table(tmp_path, f"{HEAD}a.png,4,2,20,12,cat\nb.png,,,,,\n\n{row}"), "detection")
    ((found, line),) = told(listing, "labels.csv")
    assert found == code and line in (4, 5)  # a quote that never closes begins where the blank line stands
    assert len(corners(listing)) == 1 + is_kept


def test_pixels_in_a_table_of_fractions(tmp_path: Path) -> None:
    rows = "a.png,0.1,0.1,0.5,0.6,cat\n" * 3
    listing = read_dataset(table(tmp_path, f"{HEAD}{rows}b.png,4,2,20,12,cat\n"), "detection")
    assert told(listing, "labels.csv") == [("box-duplicate", 3), ("box-duplicate", 4), ("box-in-pixels", 5)]


def test_sizes_that_disagree(tmp_path: Path) -> None:
    head = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    listing = read_dataset(
        table(tmp_path, f"{head}a.png,20,40,cat,4,2,20,12\na.png,20,40,cat,1,2,20,12\nb.png,40,20,cat,4,2,20,12\n"), "detection"
    )
    assert told(listing, "labels.csv") == [("size-disagrees", 2)]
    assert list(listing.images["problems"]) == [["size-disagrees"], []]


def test_negative_extents(tmp_path: Path) -> None:
    listing = read_dataset(table(tmp_path, "path,label,x,y,w,h\na.png,cat,4,2,-3,9\nb.png,cat,4,2,9,9\n"), "detection")
    assert told(listing, "labels.csv") == [("box-negative", 2)]


@pytest.mark.parametrize(
    ("row", "code", "line"),
    [
        ("a.png,dog", "conflicting-labels", 2),
        ("images/a.png,cat", "image-listed-twice", 4),
        ("b.png,", "class-missing", 4),
        ("b.png", "row-short", 4),
        ("b.png,dog,x", "row-long", 4),
        ("gone.png,dog", "no-image", 4),
    ],
)
def test_rows_of_classes(tmp_path: Path, row: str, code: str, line: int) -> None:
    listing = read_dataset(table(tmp_path, f"image,label\na.png,cat\n\n{row}\n"), "classification", "csv")
    assert told(listing, "labels.csv") == [(code, line)]
    assert list(listing.images["problems"]) == [["conflicting-labels"] if code == "conflicting-labels" else []]


def test_tables_are_splits_by_their_names_and_an_image_in_two_stops(tmp_path: Path) -> None:
    root = table(tmp_path, HEAD + "a.png,4,2,20,12,cat\n", "train_labels.csv")
    put(root / "test_labels.csv", HEAD + "b.png,4,2,20,12,cat\n")
    assert list(read_dataset(root, "detection").images["given_split"]) == ["train", "test"]
    put(root / "test_labels.csv", HEAD + "a.png,4,2,20,12,cat\n")
    with pytest.raises(DataError, match=r"images/a\.png in t.*each image in one split"):
        read_dataset(root, "detection")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "\n\n",
        "a,b,c\n1,2,3\n",
        "image,label\n",
        "image,colour\na.png,red\n",
        b"\xff\xfe\x00",
        b"image,label\na.png,caf\xe9\n",
        "x" * 200_000,
    ],
    ids=range(8),
)
def test_a_table_that_is_none_of_labels_is_refused_with_what_would_be(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(DataError, match="xmin, ymin, xmax, ymax"):
        read_dataset(table(tmp_path, content), "detection", "csv")


def test_text_that_is_not_utf8_far_below_stops_with_its_line(tmp_path: Path) -> None:
    rows = "a.png,4,2,20,12,cat\n" * 20_000
    with pytest.raises(DataError, match=r"labels\.csv:\d+ is not UTF-8"):
        read_dataset(table(tmp_path, f"{HEAD}{rows}".encode() + b"a.png,4,2,20,12,caf\xe9\n"), "detection")


def test_corrections_at_the_top_are_no_labels(tmp_path: Path) -> None:
    picture(tmp_path / "cat/a.png")
    put(tmp_path / "corrections.csv", "path,label\ncat/a.png,dog\n")
    listing = read_dataset(tmp_path, "classification")
    assert (listing.layout, listing.classes) == ("folder", ["cat"])


def test_a_table_most_of_whose_rows_are_bad_is_another_than_it_seems(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"labels\.csv:10003 has 10,001 rows that cannot be used among 10,002.*'gone\.png'"):
        read_dataset(table(tmp_path, f"{HEAD}a.png,4,2,20,12,cat\n" + "gone.png,4,2,20,12,cat\n" * 11_000), "detection")
