import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.data.export import FORMATS, plan
from components.data.formats import Listing, read_dataset
from components.data.formats.listing import Collector
from components.errors import DataError
from tests.images import make_detection_voc, write_png

SIZES = [(7, 5), (64, 48), (333, 1), (1, 2), (1920, 1080)]
CORNERS = ["x_min", "y_min", "x_max", "y_max"]
WORDS = (
    st.text("abcdefghijklmnopqrstuvwxyz0123456789ÄéЖ日 _-.#:'\"&<>,;%", min_size=1, max_size=8)
    .map(str.strip)
    .filter(lambda word: word.strip(". ") and not word.startswith("."))
)


class Pngs(dict[tuple[int, int], bytes]):
    """Images by size; a failing example does not print them."""

    def __repr__(self) -> str:
        return "PNGS"


@pytest.fixture(scope="module")
def pngs(tmp_path_factory: pytest.TempPathFactory) -> Pngs:
    folder = tmp_path_factory.mktemp("pngs")
    for width, height in SIZES:
        write_png(folder / f"{width}x{height}.png", np.zeros((height, width), np.uint8))
    return Pngs({(width, height): (folder / f"{width}x{height}.png").read_bytes() for width, height in SIZES})


def written(source: Path, listing: Listing, layout: str, target: Path) -> Path:
    planned = plan(source, listing, layout)
    for name, text in planned.files:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8", newline="\n")
    for name, path in planned.images.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / path, target / name)
    return target


def as_rows(listing: Listing) -> tuple[list[str], list[tuple[object, ...]], list[tuple[object, ...]], np.ndarray]:
    """Classes, images, boxes and corners, paths below the folder of the images."""
    images, boxes = listing.images.copy(), listing.boxes.copy()
    for table in (images, boxes):
        table["path"] = table["path"].str.replace("^(images|JPEGImages)/", "", regex=True)
    images["given_split"] = images["given_split"].astype(object).where(images["given_split"].notna(), None)
    image_rows = sorted(images[["path", "given_split"]].itertuples(index=False, name=None))
    order = boxes.sort_values("path", kind="stable")
    return (
        listing.classes,
        image_rows,
        list(order[["path", "label", "is_crowd", "is_difficult"]].itertuples(index=False, name=None)),
        order[CORNERS].to_numpy(float),
    )


def assert_same(one: Listing, two: Listing) -> None:
    left, right = as_rows(one), as_rows(two)
    assert left[:3] == right[:3]
    np.testing.assert_allclose(left[3], right[3], rtol=0, atol=1e-12)


@st.composite
def spans(draw: st.DrawFn, pixels: int) -> tuple[float, float]:
    """Whole pixels, or any two fractions a hundredth of a pixel apart or more."""
    if draw(st.booleans()):
        low = draw(st.integers(0, pixels - 1))
        return low / pixels, draw(st.integers(low + 1, pixels)) / pixels
    low = draw(st.floats(0, 1 - 0.01 / pixels))
    return low, min(1.0, max(draw(st.floats(low, 1)), low + 0.01 / pixels))


@st.composite
def datasets(draw: st.DrawFn) -> tuple[list[str], dict[str, tuple[tuple[int, int], str | None, list[tuple[object, ...]]]]]:
    classes = draw(st.lists(WORDS, min_size=1, max_size=4, unique_by=str.casefold))
    names = draw(st.lists(st.tuples(st.sampled_from(["", "train/", "ä b/", "a/b/"]), WORDS), min_size=1, max_size=4))
    images = {}
    for folder, stem in {f"{folder}{stem}".casefold(): (folder, stem) for folder, stem in names}.values():
        size = draw(st.sampled_from(SIZES))
        split = draw(st.sampled_from([None, "train", "val", "test"]))
        boxes = []
        for _ in range(draw(st.integers(0, 3))):
            (x0, x1), (y0, y1) = draw(spans(size[0])), draw(spans(size[1]))
            boxes.append((draw(st.sampled_from(classes)), (x0, y0, x1, y1), draw(st.booleans()), draw(st.booleans())))
        images[f"{folder}{stem}.png"] = (size, split, distinct(boxes))
    return classes, images


def distinct(boxes: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Without those that lie within rounding of another of their class: such read as one box twice."""
    kept: list[tuple[object, ...]] = []
    for box in boxes:
        if not any(box[0] == other[0] and np.allclose(box[1], other[1], rtol=0, atol=1e-9) for other in kept):
            kept.append(box)
    return kept


def laid_out(root: Path, classes: list[str], images: dict[str, tuple], pngs: Pngs) -> Listing:
    gathered = Collector()
    for path, (size, split, boxes) in images.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(pngs[size])
        gathered.image(path, None, split)
        for label, corners, crowd, difficult in boxes:
            gathered.box(path, label, corners, ("by hand", 1), lambda: None, crowd=crowd, difficult=difficult)
    return gathered.listing("by hand", classes)


CHAINS = [(name,) for name in FORMATS] + [("yolo", "voc", "coco", "yolo"), ("coco", "voc", "yolo", "coco"), ("voc", "yolo", "coco", "voc")]


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dataset=datasets())
def test_export_and_read_is_the_identity(chain: tuple[str, ...], dataset: tuple, pngs: Pngs) -> None:
    round_trip(chain, dataset, pngs)


@pytest.mark.slow
@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(dataset=datasets())
def test_export_and_read_is_the_identity_on_many(chain: tuple[str, ...], dataset: tuple, pngs: Pngs) -> None:
    round_trip(chain, dataset, pngs)


def round_trip(chain: tuple[str, ...], dataset: tuple, pngs: Pngs) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "0"
        listing = first = laid_out(root, *dataset, pngs)
        for number, layout in enumerate(chain, 1):
            target = written(root, listing, layout, Path(folder) / str(number))
            listing, root = read_dataset(target, "detection"), target
            assert listing.layout == layout
            assert_same(first, listing)
            assert {one.severity for one in listing.findings} <= {"note"}


def test_the_formats_written_are_those_that_others_read(tmp_path: Path) -> None:
    """Boxes of a picture of 100 x 50 pixels, worked by hand, one whole and one not; unused classes and empty images stay."""
    root = tmp_path / "own"
    (root / "images").mkdir(parents=True)
    write_png(root / "images/a.png", np.zeros((50, 100), np.uint8))
    write_png(root / "images/b.png", np.zeros((50, 100), np.uint8))
    gathered = Collector()
    gathered.image("images/a.png", None, "train")
    gathered.image("images/b.png", None, "val")
    gathered.box("images/a.png", "cat", (0.1, 0.2, 0.3, 1.0), ("x", 1), lambda: None, difficult=True)
    gathered.box("images/a.png", "dog", (0.005, 0.5, 0.01, 0.51), ("x", 2), lambda: None, crowd=True)
    listing = gathered.listing("by hand", ["dog", "bird", "cat"])
    files = {layout: dict(plan(root, listing, layout).files) for layout in FORMATS}
    assert files["yolo"] == {
        "labels/a.txt": "2 0.2 0.6 0.2 0.8\n0 0.0075 0.505 0.005 0.01\n",
        "labels/b.txt": "",
        "train.txt": "./images/a.png\n",
        "val.txt": "./images/b.png\n",
        "box_flags.csv": "file,line,flag\nlabels/a.txt,1,difficult\nlabels/a.txt,2,crowd\n",
        "data.yaml": "train: train.txt\nval: val.txt\nbox_flags: box_flags.csv\nnc: 3\nnames:\n  0: dog\n  1: bird\n  2: cat\n",
    }
    xml = files["voc"]["Annotations/a.xml"]
    first, second = xml.split("<object>")[1:]
    assert [first.split(f"<{name}>")[1].split("<")[0] for name in ("name", "difficult", "xmin", "ymin", "xmax", "ymax")] == [
        "cat", "1", "11", "11", "30", "50",
    ]  # fmt: skip
    assert [second.split(f"<{name}>")[1].split("<")[0] for name in ("xmin", "ymin", "xmax", "ymax")] == ["1.5", "26.0", "1.0", "25.5"]
    assert files["voc"]["ImageSets/Main/train.txt"] == "a\n" and "<object>" not in files["voc"]["Annotations/b.xml"]
    from json import loads

    document = loads(files["coco"]["annotations/instances_train.json"])
    assert [(one["bbox"], one["iscrowd"], one["ignore"], one["category_id"]) for one in document["annotations"]] == [
        ([10, 10, 20, 40], 0, 1, 3), ([0.5, 25, 0.5, 0.5], 1, 0, 1),
    ]  # fmt: skip
    assert [one["name"] for one in document["categories"]] == ["dog", "bird", "cat"]
    assert sorted(files["coco"]) == ["annotations/instances_train.json", "annotations/instances_val.json"]


def test_pycocotools_reads_what_is_exported(tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    listing = read_dataset(make_detection_voc(tmp_path / "own", images=5), "detection")
    written(tmp_path / "own", listing, "coco", tmp_path / "coco")
    coco = COCO(str(tmp_path / "coco/annotations/instances_default.json"))
    assert len(coco.getImgIds()) == 5 and len(coco.getAnnIds()) == len(listing.boxes)
    names = {one["id"]: one["name"] for one in coco.loadCats(coco.getCatIds())}
    found = [(names[one["category_id"]], *np.array(one["bbox"]) / 96) for one in coco.loadAnns(coco.getAnnIds())]
    expected = [(row.label, row.x_min, row.y_min, row.x_max - row.x_min, row.y_max - row.y_min) for row in listing.boxes.itertuples()]
    assert [row[0] for row in found] == [row[0] for row in expected]
    np.testing.assert_allclose([row[1:] for row in found], [row[1:] for row in expected], atol=1e-12)


@pytest.mark.parametrize("layout", FORMATS)
def test_images_whose_names_clash_without_suffix_keep_their_own_boxes(tmp_path: Path, layout: str) -> None:
    root = tmp_path / "own"
    gathered = Collector()
    for number, path in enumerate(("a.png", "images/a.bmp", "A.PNG", "new\nline.png")):
        write_png(root / f"{path}.png", np.zeros((10 + number, 10), np.uint8))
        (root / f"{path}.png").rename(root / path)
        gathered.image(path, None, "train")
        gathered.box(path, f"class{number}", (0.1, 0.1, 0.5, 0.5), ("x", 1), lambda: None)
    listing = gathered.listing("by hand", [f"class{number}" for number in range(4)])
    target = written(root, listing, layout, tmp_path / "new")
    assert any("renamed" in note for note in plan(root, listing, layout).notes)
    again = read_dataset(target, "detection")
    from components.data.decode import read_size

    heights = {row.label: read_size(target / row.path)[1] for row in again.boxes.itertuples()}
    assert heights == {f"class{number}": 10 + number for number in range(4)}


def test_what_cannot_be_used_is_left_out_and_said(tmp_path: Path) -> None:
    listing = read_dataset(make_detection_voc(tmp_path / "own", images=3), "detection")
    (tmp_path / "own/JPEGImages/000.png").write_bytes(b"junk")
    listing.images["group"] = pd.Series(["g"] * 3)
    planned = plan(tmp_path / "own", listing, "yolo")
    assert sorted(planned.images) == ["images/001.png", "images/002.png"]
    assert any("JPEGImages/000.png" in note for note in planned.notes) and any("groups" in note for note in planned.notes)
    for name in ("001", "002"):
        (tmp_path / f"own/JPEGImages/{name}.png").write_bytes(b"junk")
    with pytest.raises(DataError, match="data check"):
        plan(tmp_path / "own", listing, "yolo")
