"""Two published runs side by side in MLflow's own interface, in a real browser."""

import json
import os
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from pipelines.tracking import Tracking
from pipelines.ui import serving
from tests.pipelines.fabricate import classifier, project

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
_SWITCHES = ("disable-gpu", "disable-quic", "disable-background-networking", "disable-component-update", "disable-sync")
FLAGS = ["no-sandbox", "no-first-run", *_SWITCHES]

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="neither chromium nor google-chrome is installed")]


@pytest.fixture
def compare_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    paths = project(tmp_path / "project")
    tracking = Tracking(paths)
    candidates = [classifier(paths, "cnn", 60, seed=1), classifier(paths, "efficientnet", 18, seed=2)]
    runs = [tracking.publish(candidate.model_dir, candidate.evaluate_dir) for candidate in candidates]
    experiment = tracking.store.experiment("classification")
    query = f"runs={quote(json.dumps(runs))}&experiments={quote(json.dumps([experiment]))}"
    with serving(tracking.store) as url:
        yield f"{url}/#/compare-runs?{query}"


@pytest.mark.ci
def test_two_runs_stand_side_by_side(compare_page: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, headless=True, args=[f"--{flag}" for flag in FLAGS])
        page = browser.new_page(viewport={"width": 1400, "height": 1800})
        page.goto(compare_page)
        body = page.locator("body")
        expect(body).to_contain_text("efficientnet-dddddddd", timeout=60_000)
        for shown in ("cnn-dddddddd", "learning_rate", "test/accuracy", "0.85", "0.5", "Parallel Coordinates Plot", "confusion.png"):
            expect(body).to_contain_text(shown, timeout=20_000)
        page.screenshot(path=os.environ.get("VISIONLOOP_SCREENSHOT", str(tmp_path / "compare.png")))
        page.get_by_role("link").filter(has_text=re.compile("^[0-9a-f]{20}")).first.click()
        expect(page.get_by_role("link", name="Report")).to_have_attribute("href", re.compile(r"artifacts/report\.html$"), timeout=20_000)
        page.goto(compare_page.partition("#")[0] + "#/experiments/1/runs?compareRunsMode=CHART")
        page.get_by_text("Add chart").first.click(timeout=20_000)
        page.get_by_text("Image grid").click()
        page.get_by_role("combobox").last.click()
        expect(page.get_by_role("option", name="confusion")).to_be_visible(timeout=20_000)
        browser.close()


def test_the_server_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with serving(Tracking(project(tmp_path / "project")).store) as url, urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
        assert answer.read() == b"OK"
    with pytest.raises(OSError):
        urllib.request.urlopen(f"{url}/health", timeout=2)
