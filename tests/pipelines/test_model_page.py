"""The page of a model: complete, self-contained, the same twice, and safe whatever classes are called."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.report.model_page import write_page
from tests.pipelines.test_data_page import Page

METRICS: dict[str, Any] = {
    "val/accuracy": 0.5, "test/accuracy": 0.875, "test/accuracy_low": 0.8, "test/accuracy_high": 0.9, "test/macro_f1": None,
    "test/ece": 0.1, "test/log_loss": 0.321, "cost/parameters": 580994, "cost/latency_ms": 1.6, "cost/latency_p99_ms": 2.5,
}  # fmt: skip
SURE = {"val": {"ece": 0.2, "log_loss": 1.5}, "test": {"ece": 0.3, "log_loss": 1.25}}
ROBUSTNESS = {
    **{"measure": "accuracy", "images": 40, "clean": 0.9, "mean_corruption_error": 0.456, "relative_corruption_error": 0.356},
    "corruptions": {"fog": {"value": 0.544, "low": 0.5, "high": 0.6, "by_severity": [0.9, 0.8, 0.7, None, 0.1]}},
}


def report(**changes: Any) -> dict[str, Any]:
    return {
        **{"model": "cnn <b>", "task": "classification", "architecture": "cnn", "classes": ["<script>a", "b"], "test_images": 640},
        "metrics": METRICS,
        "intervals": {"test/accuracy": [0.8, 0.9], "test/macro_f1": [None, None], "test/log_loss": [0.3, 0.35]},
        "per_class": {
            "b": {"precision": 0.5, "recall": 0.25, "support": 4.0},
            "<script>a": {"precision": 1.0, "recall": 0.75, "support": 9.0},
        },
        "slices": [{"slice": "class: <script>a", "images": 123, "value": 0.654, "low": 0.6, "high": 0.7}],
        "worst_slice": {"found": None, "tested": 0, "words": "No slice is large enough: there was nothing to search."},
        "temperature": {"temperature": 1.75, "without": SURE, "with": SURE},
        "robustness": ROBUSTNESS,
        "params": {"epochs": 4, "weights": None},
        "pictures": ["pictures/confusion.png", "pictures/robustness.png", "pictures/new_one.png"],
        **{"data_digest": "d" * 64, "test_digest": "t" * 64, "model_sha256": "m" * 64},
        **changes,
    }


def written(folder: Path, told: dict[str, Any]) -> str:
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(told))
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3)).astype(np.uint8)
    for name in told["pictures"]:
        cv2.imwrite(str(folder / name), noise if "confusion" in name else noise[:8, :8])
    write_page(folder, "c" * 40)
    return (folder / "report.html").read_text("utf-8")


def test_it_loads_nothing_runs_nothing_and_names_are_text(tmp_path: Path) -> None:
    text = written(tmp_path, report())
    page = Page(text)
    assert page.loads == [] and "script" not in page.tags
    assert len(page.pictures) == 3 and all(source.startswith("data:image/") for source in page.pictures)
    assert "url(" not in text and "@import" not in text
    assert "cnn <b>" in page.text and "<script>a" in page.text


def test_every_number_is_there_with_its_interval(tmp_path: Path) -> None:
    page = Page(written(tmp_path, report()))
    for part in (
        *("87.5%", "80.0% to 90.0%", "0.321", "0.300 to 0.350", "65.4%", "60.0% to 70.0%", "123", "1.75", "1.250", "45.6%", "54.4%"),
        *("580,994", "1.6 ms", "2.5 ms", "c" * 40, "d" * 64, "t" * 64, "m" * 64, "nothing to search", "epochs"),
    ):
        assert part in page.text, part
    classes = page.text[page.text.index("Classes") :]
    assert classes.index("b50.0%25.0%4") < classes.index("<script>a100.0%75.0%9")  # the weakest class first


def test_a_detector_and_a_model_without_extras_have_pages_too(tmp_path: Path) -> None:
    bare = report(task="detection", metrics={"cost/parameters": 1, "test/map50": 0.5}, robustness={}, slices=[], pictures=[])
    del bare["temperature"]
    errors = {"test": {"missed": {"errors": 1234, "dap50": 0.111}}}
    text = written(tmp_path, {**bare, "per_class": {"b": {"ap": 0.1, "ap50": None, "boxes": 3}}, "errors": errors})
    assert "1,234" in text and "11.1%" in text and "Calibration" not in text and "Robustness" not in text


def test_the_same_report_gives_the_same_page(tmp_path: Path) -> None:
    assert written(tmp_path / "one", report()) == written(tmp_path / "two", report())


@pytest.mark.parametrize("name", ["confusion", "new_one"])
def test_large_pictures_are_made_smaller_and_small_ones_kept(tmp_path: Path, name: str) -> None:
    text = written(tmp_path, report(pictures=[f"pictures/{name}.png"]))
    assert ("data:image/jpeg" in text) == (name == "confusion")
