"""Label files spoilt at random: whatever they hold, the answer is a listing or a DataError, soon, and the files stay as they are."""

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.data.findings import CODES
from components.data.formats import Listing, read_dataset
from components.errors import DataError
from tests.components.data.formats.laid_out import annotation, coco, coco_text, note, table, thing, voc, yolo

SECONDS = 5  # of this process: the machine may have others to serve
YOLO_ROWS = "0 0.5 0.5 0.5 0.5\n1 0.1 0.1 0.9 0.1 0.5 0.9\n\n0\t0.25 0.25 0.5 0.5\r\n"
YAML = 'path: .\ntrain: images\nval:\nnc: 2\nnames:\n  0: cat\n  1: "dog"\n'
XML = '<?xml version="1.0" encoding="utf-8"?>\n' + annotation(thing() + "\n" + thing("2.5 2 9 9", more="<difficult>1</difficult>"))
MASK = {"size": [20, 40], "counts": "00`0"}
JSON = coco_text(
    annotations=[note(), note(id=2, iscrowd=1, segmentation=MASK), note(id=3, bbox="absent", segmentation=[[1, 1, 9, 1, 9, 9]])]
)
OPEN_IMAGES = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsGroupOf\na,x,/m/01,1,0.1,0.5,0.1,0.6,0\nb,x,/m/02,1,0.2,0.9,0.2,0.9,1\n"
)
PIXELS = (
    "filename;width;height;class;xmin;ymin;xmax;ymax;split;group\na.png;40;20;cat;1;2;30;12;train;g\nb.png;40;20;dog;1;2;9,5;12;val;h\n"
)
CLASSES = 'image,label,split\n"images/a.png",cat,train\nb.png,dog,test\n'

# Name: the layout, its task, the dataset and the file in it that is spoilt.
BASES = {
    "yolo rows": ("yolo", "detection", lambda root: yolo(root, YOLO_ROWS), "labels/a.txt"),
    "yolo yaml": ("yolo", "detection", lambda root: yolo(root, YOLO_ROWS, YAML), "data.yaml"),
    "voc": ("voc", "detection", lambda root: voc(root, XML), "Annotations/a.xml"),
    "coco": ("coco", "detection", lambda root: coco(root, JSON), "annotations/instances.json"),
    "open images": ("csv", "detection", lambda root: table(root, OPEN_IMAGES), "labels.csv"),
    "csv pixels": ("csv", "detection", lambda root: table(root, PIXELS), "labels.csv"),
    "csv classes": ("csv", "classification", lambda root: table(root, CLASSES), "labels.csv"),
}
PIECES = [
    b"", b"\0", b"\n", b"\r", b"\t", b" ", b",", b";", b".", b"-", b":", b"'", b'"', b"<", b">", b"&", b"{", b"}", b"[", b"]", b"*a", b"&a",
    b"!!python/object:os.system", b"../../../etc/passwd", b"/dev/zero", b"nan", b"-inf", b"1e999", b"-1", b"0", b"2", b"1.5", b"9" * 400,
    b"9" * 5000, b"null", b"true", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe2\x80\xa8", b"\\ud800", b"\xed\xa0\x80", b"[" * 3000,
    b'{"a":' * 3000, b"<a>" * 500, b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<!--", b"<![CDATA[", b"&#x0;", b"? ", b"- ", b"---\n",
    b"%YAML 9.9\n", b"# ", b'"id": 1, ', b'"bbox": [], ', b"images/a.png", b"cat", b"x" * 70_000,
]  # fmt: skip
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 12), st.one_of(st.sampled_from(PIECES), st.binary(max_size=6))), min_size=1, max_size=6
)


def spoilt(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """At some places of the text, some bytes are replaced by a piece; twelve stand for all that follows."""
    for place, removed, piece in edits:
        at = int(place * len(data))
        data = data[:at] + piece + (b"" if removed == 12 else data[at + removed :])
    return data


@pytest.fixture(scope="module", params=BASES)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str, Path, bytes]:
    layout, task, make, name = BASES[request.param]
    root = make(tmp_path_factory.mktemp("fuzz"))
    return root, task, layout, root / name, (root / name).read_bytes()


def check(base: tuple[Path, str, str, Path, bytes], edits: list[tuple[float, int, bytes]]) -> None:
    root, task, layout, file, sound = base
    data = spoilt(sound, edits)
    file.write_bytes(data)
    start = time.process_time()
    for read_as in (layout, "auto"):
        try:
            sane(root, read_dataset(root, task, read_as))
        except DataError as error:
            str(error).encode()
    assert time.process_time() - start < SECONDS
    assert file.read_bytes() == data


def sane(root: Path, listing: Listing) -> None:
    for one in listing.findings:
        assert one.code in CODES and (one.line is None or one.line >= 1)
        "".join((one.file, one.found, one.expected, one.remedy)).encode()
    assert listing.images["path"].is_unique and all((root / path).is_file() for path in listing.images["path"])
    sound = listing.boxes[~listing.boxes["problems"].astype(bool)]
    low, high = sound[["x_min", "y_min"]].to_numpy(float), sound[["x_max", "y_max"]].to_numpy(float)
    assert (low >= 0).all() and (low < high).all() and (high <= 1).all()
    assert set(sound["label"]) <= set(listing.classes) and set(listing.boxes["path"]) <= set(listing.images["path"])


def test_unspoilt_the_files_are_sound(base: tuple[Path, str, str, Path, bytes]) -> None:
    root, task, layout, file, sound = base
    file.write_bytes(sound)
    listing = read_dataset(root, task, layout)
    assert len(listing.images) == 2 and {one.severity for one in listing.findings} <= {"note"}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_spoilt_label_files(base: tuple[Path, str, str, Path, bytes], edits: list[tuple[float, int, bytes]]) -> None:
    check(base, edits)


@pytest.mark.slow
@settings(max_examples=8_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(edits=EDITS)
def test_spoilt_label_files_many(base: tuple[Path, str, str, Path, bytes], edits: list[tuple[float, int, bytes]]) -> None:
    check(base, edits)
