import json
from pathlib import Path
from typing import Any

import pytest

from components.evaluate.seeds import Number, Spread
from pipelines.paths import Paths
from pipelines.report import candidates, console

METRICS = {
    "val/accuracy": 0.5, "test/accuracy": 0.75, "test/macro_f1": None,
    "cost/parameters": 580994, "cost/train_seconds": 3.4, "cost/latency_ms": 1.6,
}  # fmt: skip


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = Paths(tmp_path)
    reports: dict[str, dict[str, Any]] = {
        "cnn": {"task": "classification", "test_images": 8, "test_digest": "t", "params": {"epochs": 2, "seed": 1}, "metrics": METRICS},
        "yolo": {"skipped": "data/detection is absent"},
    }
    for name, report in reports.items():
        paths.evaluate(name).mkdir(parents=True)
        (paths.evaluate(name) / "report.json").write_text(json.dumps(report))
    return paths


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (0.75, "0.750"), (580994, "580,994"), (1234567.8, "1,234,568"), (0, "0"), ("cnn", "cnn"), (-0.5, "-0.500")],
)
def test_numbers_are_shown_for_people(value: Any, shown: str) -> None:
    assert candidates.number(value) == shown


def test_rows_hold_what_was_measured_and_why_nothing_was(paths: Paths) -> None:
    cnn, yolo = candidates.rows(paths, ["cnn", "yolo"])
    assert cnn == {"model": "cnn", "task": "classification", "test_images": 8, **METRICS}
    assert yolo == {"model": "yolo", "skipped": "data/detection is absent"}


SPREAD = Spread("classification", ["cnn", "again"], [1, 2], {"test/accuracy": Number(0.8, 0.0707)})
SAID = "cnn, again: 2 seeds, test/accuracy 0.800 ± 0.071"


def test_seeds_of_one_model_are_a_row_of_the_table_and_plain_values(paths: Paths) -> None:
    cnn, _, both = candidates.plain([*candidates.rows(paths, ["cnn", "yolo"]), *candidates.spread_rows([SPREAD])])
    assert list(both) == list(cnn)
    assert both["model"] == "cnn, again: mean ± deviation of 2 seeds"
    assert (both["test/accuracy"], both["val/accuracy"]) == ("0.800 ± 0.071", "-")
    (values,) = candidates.spread_values([SPREAD])
    numbers = {"test/accuracy": {"mean": 0.8, "deviation": 0.0707}}
    assert values == {"task": "classification", "models": ["cnn", "again"], "seeds": [1, 2], "metrics": numbers, "said": SAID}
    assert json.loads(json.dumps(values)) == values


def test_plain_rows_share_their_columns(paths: Paths) -> None:
    cnn, yolo = candidates.plain(candidates.rows(paths, ["cnn", "yolo"]))
    assert list(cnn) == list(yolo)
    assert (cnn["skipped"], yolo["test/accuracy"], cnn["test/macro_f1"]) == ("-", "-", "-")


def test_a_decision_reads_as_markdown() -> None:
    text = candidates.decision_markdown("detection", {"verdict": "keep", "reasons": ["a", "b"], "gate_hash": "0123456789abcdef"})
    assert text == "## detection: keep\n\n- a\n- b\n\nGate `0123456789ab`\n"


def test_the_screen_shows_candidates_decisions_reasons_and_where_to_look(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    decision = {"verdict": "promote", "reasons": ["accuracy [0.75] clears the floor"]}
    rows, decided = candidates.rows(paths, ["cnn", "yolo"]), {"decisions": {"classification": decision}}
    console.show(paths, {"candidates": rows, "seeds": candidates.spread_values([SPREAD]), **decided, "ran": ["validate"]}, 12.4)
    shown = capsys.readouterr().out
    for part in (
        "8 test images",
        "580,994",
        "0.750",
        SAID,
        "classification: promote",
        "accuracy [0.75] clears",
        "yolo: skipped",
        "visionloop ui",
        "12 s",
    ):
        assert part in shown


def test_a_run_with_nothing_to_do_says_so(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    console.show(paths, {"candidates": [], "seeds": [], "decisions": {}, "ran": []}, 9.0)
    assert "everything was up to date; 9 s" in capsys.readouterr().out
