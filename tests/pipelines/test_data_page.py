"""The page of a dataset: complete, self-contained, the same twice, and safe whatever files are called."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.data.catalog import Rules
from components.data.formats import read_dataset
from components.data.scan import scan
from pipelines.report import svg
from pipelines.report.data_page import SHOTS, by_code, write_page
from tests.images import make_classification, make_detection_voc, write_png


class Page(HTMLParser):
    """Collects what a page loads, shows and how its elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.pictures: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        own = dict(attrs)
        if tag == "img":
            assert own.get("alt") and own["src"]
            self.pictures.append(str(own["src"]))
        elif tag == "svg":
            assert own.get("role") == "img" and own.get("aria-label")
        self.loads += [str(own[name]) for name in ("src", "href", "data", "poster") if name in own and tag != "img"]
        if tag not in ("img", "meta", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(root: Path, task: str, target: Path) -> Page:
    listing = read_dataset(root, task)
    write_page(target, root, task, listing.layout, scan(root, task, listing, Rules(min_side=1, max_side=9999)))
    return Page(target.read_text("utf-8"))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = make_classification(tmp_path / "flowers", classes=2, per_class=20, size=32)
    (root / "class_0" / "broken.png").write_bytes(b"<html>not found")
    write_png(root / "class_1" / "black.png", np.zeros((9, 9, 3), np.uint8))
    write_png(root / "class_1" / "<script>alert(1)<script>.png", np.random.default_rng(0).integers(0, 255, (9, 9, 3)).astype(np.uint8))
    return root


def test_a_page_holds_what_was_found_and_loads_nothing(dataset: Path, tmp_path: Path) -> None:
    found = page(dataset, "classification", tmp_path / "page.html")
    assert "script" not in found.tags and "link" not in found.tags and found.loads == []
    assert "url(" not in (tmp_path / "page.html").read_text() and "@import" not in (tmp_path / "page.html").read_text()
    for words in ("flowers", "not-an-image", "class_0/broken.png", "constant-image", "<script>alert(1)<script>.png", "class_1"):
        assert words in found.text
    assert "42" in found.text and "43" in found.text  # usable, and all
    for source in found.pictures:
        image = Image.open(io.BytesIO(base64.b64decode(source.removeprefix("data:image/jpeg;base64,"))))
        assert max(image.size) <= 160


def test_the_same_dataset_gives_the_same_page(dataset: Path, tmp_path: Path) -> None:
    for name in ("one.html", "two.html"):
        page(dataset, "classification", tmp_path / name)
    assert (tmp_path / "one.html").read_bytes() == (tmp_path / "two.html").read_bytes()


def test_a_detection_dataset_shows_its_boxes_and_a_label_file_by_its_image(tmp_path: Path) -> None:
    root = make_detection_voc(tmp_path / "cars", images=5)
    annotation = root / "Annotations" / "003.xml"
    annotation.write_text(re.sub(r"<xmax>\d+", "<xmax>1", annotation.read_text(), count=1))
    found = page(root, "detection", tmp_path / "page.html")
    assert "Box sizes" in found.text and "Annotations/003.xml" in found.text
    assert len(found.pictures) == 1 + 5  # of the finding, and of each image


def test_a_sound_dataset_says_so(tmp_path: Path) -> None:
    found = page(make_classification(tmp_path / "d", classes=2, per_class=3), "classification", tmp_path / "page.html")
    assert "Nothing was found." in found.text


def test_many_findings_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    root = make_classification(tmp_path / "d", classes=1, per_class=1)
    for number in range(80):
        write_png(root / "class_0" / f"black{number:02d}.png", np.full((9, 9, 3), number, np.uint8))
    found = page(root, "classification", tmp_path / "page.html")
    assert "and 28 more" in found.text  # 80 less 12 pictures and 40 lines
    assert SHOTS == 12


def test_findings_that_left_something_out_come_first(dataset: Path) -> None:
    listing = read_dataset(dataset, "classification")
    groups = by_code(scan(dataset, "classification", listing, Rules(min_side=1, max_side=9999)).findings)
    assert [group[0].severity for group in groups] == sorted(group[0].severity for group in groups)  # "bad" before "note"


def test_a_histogram_counts_each_value_once_and_those_outside_in_the_outermost_bars() -> None:
    text = svg.histogram([-5, 0, 0.5, 1, 1.5, 2, 99], [0, 1, 2], ["0", "", "2"], "m")
    assert re.findall(r"<title>(.*?)</title>", text) == ["0 to 1 m: 3", "1 to 2 m: 4"]
    heights = [float(height) for height in re.findall(r'class="bar".*? height="([\d.]+)"', text)]
    assert heights[0] / heights[1] == pytest.approx(3 / 4, abs=0.01)


@pytest.mark.parametrize(
    ("value", "up"), [(0, 2), (1, 2), (2, 2), (3, 4), (4, 4), (5, 6), (9, 10), (11, 20), (399, 400), (401, 600), (0.3, 2)]
)
def test_axes_end_at_round_numbers(value: float, up: float) -> None:
    assert svg._round_up(value) == up
