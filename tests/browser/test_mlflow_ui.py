"""Two published runs in MLflow's own interface, in a real browser: side by side, sorted and filtered, with what they link to."""

import io
import json
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image

from pipelines.paths import Paths
from pipelines.tracking import Tracking
from pipelines.ui import serving
from tests.pipelines.fabricate import Made, classifier, project

if TYPE_CHECKING:
    from playwright.sync_api import Page

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_SWITCHES = ("disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync")
FLAGS = ["no-sandbox", "no-first-run", *_SWITCHES]
PATIENCE = 60_000  # milliseconds: the charts are drawn without a graphics card
TAGS = {"git_commit": "0123456789abcdef" * 2, "data_revision": "fedcba9876543210" * 2, "flow_run": "1b4e28ba-2fa1-11d2-883f-0016d3cca427"}
WEAK, GOOD = "cnn-dddddddd", "efficientnet-dddddddd"
AXES = "() => document.querySelector('.js-plotly-plot')?.data?.[0]?.dimensions?.map(one => [one.label, one.values]) ?? []"
TINTED = 15  # of 255; thin lines are pale, and everything else there is grey
FROM_TOP = """wanted => {
    const top = link => link.getBoundingClientRect().y  // a row that moves stays where it is in the document
    const links = [...document.querySelectorAll('[role=row] a[href*="/runs/"]')].sort((one, other) => top(one) - top(other))
    return JSON.stringify(links.map(link => link.textContent.trim())) === JSON.stringify(wanted)
}"""

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is installed")]


@dataclass(frozen=True)
class Shown:
    """MLflow's address, and the ids of the two runs it shows: the good one, published first, and the weak one."""

    url: str
    good: str
    weak: str

    def page(self, path: str) -> str:
        """The address of a page of the experiment."""
        return f"{self.url}/#/experiments/1/{path}"


def candidate(paths: Paths, name: str, wrong: int, seed: int, learning_rate: float, epochs: int) -> Made:
    """A candidate with params, a history and a report of its own."""
    made = classifier(paths, name, wrong, seed=seed)
    report = made.evaluate_dir / "report.json"
    about = json.loads(report.read_text())
    about["params"] |= {"learning_rate": learning_rate, "epochs": epochs}
    report.write_text(json.dumps(about))
    rows = [f"{epoch},{wrong / (epoch + 1)},{learning_rate}" for epoch in range(epochs)]
    (made.model_dir / "history.csv").write_text("\n".join(["epoch,train/loss,learning_rate", *rows]) + "\n")
    (made.evaluate_dir / "report.html").write_text(f"<!doctype html><title>report</title><h1>The report of {name}</h1>")
    return made


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        paths = project(tmp_path_factory.mktemp("browser") / "project")
        tracking = Tracking(paths)
        made = candidate(paths, "efficientnet", 18, 2, 0.01, 7), candidate(paths, "cnn", 60, 1, 0.001, 4)
        good, weak = (str(tracking.publish(one.model_dir, one.evaluate_dir, tags=TAGS)) for one in made)
        assert tracking.store.experiment("classification") == "1"
        with serving(tracking.store) as url:
            yield Shown(url, good, weak)


@pytest.fixture
def page() -> Iterator["Page"]:
    """A page of a browser that remembers nothing of another test."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, headless=True, args=[f"--{flag}" for flag in FLAGS])
        opened = browser.new_page(viewport={"width": 1400, "height": 1000})
        opened.set_default_timeout(PATIENCE)
        yield opened
        browser.close()


def colours_between_axes(page: "Page") -> tuple[int, int]:
    """How many pixels between the first and the last axis of the plot are red, and how many blue, the colours of most and least."""
    boxes = [axis.bounding_box() for axis in page.locator(".js-plotly-plot .axis-title").all()]
    middles = [box["x"] + box["width"] / 2 for box in boxes if box is not None]
    picture = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
    plot = page.locator(".js-plotly-plot").first.bounding_box()
    assert plot is not None and len(middles) > 1
    rows = slice(int(plot["y"]), int(plot["y"] + plot["height"]))
    red, _, blue = picture[rows, int(min(middles)) + 5 : int(max(middles)) - 5].transpose(2, 0, 1)
    return int((red - blue > TINTED).sum()), int((blue - red > TINTED).sum())


@pytest.mark.ci
def test_two_runs_stand_side_by_side(shown: Shown, page: "Page", tmp_path: Path) -> None:
    from playwright.sync_api import expect

    runs, experiments = quote(json.dumps([shown.weak, shown.good])), quote(json.dumps(["1"]))
    page.goto(f"{shown.url}/#/compare-runs?runs={runs}&experiments={experiments}")
    body = page.locator("body")
    for text in (WEAK, GOOD, "learning_rate", "test/accuracy", "0.85", "0.5", "Parallel Coordinates Plot", "confusion.png"):
        expect(body).to_contain_text(text)
    page.wait_for_function(f"({AXES})().length > 2")
    axes = dict(page.evaluate(AXES))
    assert (axes["epochs"], axes["learning_rate"]) == ([4, 7], [0.001, 0.01])
    [metric] = axes.keys() - {"epochs", "learning_rate"}
    assert len(set(axes[metric])) == 2, "each run has a line of its own"
    expect(page.locator(".js-plotly-plot .axis-title")).to_have_text(["epochs", "learning_rate", metric])
    for _ in range(60):  # the lines are drawn after the axes
        if min(found := colours_between_axes(page)) > 50:
            break
        page.wait_for_timeout(500)
    page.screenshot(path=os.environ.get("VISIONLOOP_SCREENSHOT", str(tmp_path / "compare.png")))
    assert min(found) > 50, "both runs' lines go from axis to axis"


@pytest.mark.ci
def test_runs_are_sorted_by_a_metric_and_found_by_tags_and_params(shown: Shown, page: "Page") -> None:
    page.goto(shown.page("runs"))
    page.wait_for_function(FROM_TOP, arg=[WEAK, GOOD])  # the newest first
    page.get_by_role("button", name="Sort").click()
    page.get_by_role("menu").get_by_text("test/accuracy", exact=True).click()
    page.wait_for_function(FROM_TOP, arg=[GOOD, WEAK])
    page.keyboard.press("Escape")
    search = page.get_by_test_id("search-box")
    for wanted, found in (('tags.`visionloop.model` = "cnn"', WEAK), ('params.learning_rate = "0.01"', GOOD)):
        search.fill(f"{wanted} and metrics.`test/accuracy` < 0.9")
        search.press("Enter")
        page.wait_for_function(FROM_TOP, arg=[found])


@pytest.mark.ci
def test_a_run_leads_to_its_report_data_code_and_flow(shown: Shown, page: "Page") -> None:
    from playwright.sync_api import expect

    page.goto(shown.page(f"runs/{shown.weak}"))
    body = page.locator("body")
    for text in ("visionloop data diff fedcba987654", "git show 0123456789ab", f"Prefect: flow run {TAGS['flow_run']}"):
        expect(body).to_contain_text(text)
    for name in ("data_revision", "git_commit", "flow_run"):
        expect(body).to_contain_text(f"visionloop.{name}")
        expect(body).to_contain_text(TAGS[name])
    link = page.get_by_role("link", name="Report", exact=True)
    expect(link).to_have_attribute("href", re.compile(rf"runs/{shown.weak}/artifacts/report\.html$"))
    page.goto(shown.page(f"runs/{shown.weak}/artifacts/report.html"))
    expect(page.frame_locator("iframe").get_by_role("heading")).to_have_text("The report of cnn")


@pytest.mark.ci
def test_the_image_grid_draws_the_pictures_of_both_runs(shown: Shown, page: "Page") -> None:
    page.goto(shown.page("runs?compareRunsMode=CHART"))
    page.get_by_text("Add chart").first.click()
    page.get_by_text("Image grid").click()
    grid = page.get_by_role("dialog")
    grid.get_by_role("combobox").last.click()
    page.get_by_role("option", name="confusion").click()
    drawn = "id => [...document.querySelectorAll(`[role=dialog] img[src*='${id}']`)].some(one => one.complete && one.naturalWidth > 0)"
    for run in (shown.good, shown.weak):
        page.wait_for_function(drawn, arg=run)


def test_the_server_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with serving(Tracking(project(tmp_path / "project")).store) as url, urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
        assert answer.read() == b"OK"
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{url}/health", timeout=2)
