import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from components.validate.docs import write_docs
from components.validate.judge import judge
from components.validate.judged import KEYS
from components.validate.suites import parse_params, read_suites
from tests.components.validate.rows import PARAMETERS, tables
from tests.imports import ROOT

EVIL = '<img src=x onerror="alert(1)"><script>alert(2)</script>.png'


class Reader(HTMLParser):
    """Every tag with its attributes, and whether tags close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    judged = tables()
    for name in ("images_found", "images_kept"):
        judged[name].loc[0, ["path", "width"]] = [EVIL, 2.0]
    mine = {
        "images_kept": [
            {"type": "expect_column_values_to_be_between", "kwargs": {"column": "width", "min_value": 3}, "notes": "a & b"},
            {"type": "expect_column_values_to_match_regex", "kwargs": {"column": "path", "regex": "^[0-9]"}, "severity": "warning"},
        ]
    }
    judgement = judge(judged, read_suites(ROOT / "expectations") + parse_params(mine, "p"), PARAMETERS)
    folder = tmp_path_factory.mktemp("docs")
    write_docs(folder, "cells", {"layout": "voc", "images": "19 of 20"}, ["3 paths leave the dataset"], judgement)
    assert [path.name for path in folder.iterdir()] == ["index.html"]
    return (folder / "index.html").read_text("utf-8")


def test_nothing_is_loaded_from_outside_and_nothing_runs(page: str) -> None:
    assert not re.search(r"https?:|//[a-z0-9-]+\.", page)
    read = Reader()
    read.feed(page)
    assert not {tag for tag, _ in read.tags} & {"script", "img", "link", "iframe", "object", "embed", "base", "form"}
    assert not [name for _, attributes in read.tags for name in attributes if name.startswith("on") or name in ("src", "srcset")]
    assert "default-src 'none'" in page


def test_a_files_name_is_text_and_never_markup(page: str) -> None:
    read = Reader()
    read.feed(page)
    assert any(EVIL in text for text in read.text) and EVIL not in page


def test_links_lead_to_the_table_on_the_same_page(page: str) -> None:
    assert set(re.findall(r'href="([^"]*)"', page)) == {f"#{name}" for name in KEYS}
    ids = re.findall(r'\sid="?([\w-]+)', page)
    assert sorted(ids) == sorted(KEYS)


def test_what_is_not_met_comes_first_with_its_reason_and_rows(page: str) -> None:
    failed, _, met = page.partition("<h2>Met</h2>")
    assert "Validation failed" in failed and "3 paths leave the dataset" in failed and "a &amp; b" in failed
    assert failed.count("<tr><td>") == 2 and met.count("✓") == 33
    assert failed.index("values to be at least 3") < failed.index("values to match regex")


def test_a_passed_dataset_says_so(tmp_path: Path) -> None:
    write_docs(tmp_path, "cells", {}, [], judge(tables(), read_suites(ROOT / "expectations"), PARAMETERS))
    text = (tmp_path / "index.html").read_text("utf-8")
    assert "Validation passed.</b> 33 of 33" in text and "<h2>Not met</h2>" not in text
