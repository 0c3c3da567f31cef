"""What the validate stage makes of bad data and of what is expected of them: exit code, what is kept, what is said."""

import json
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from components.data import tables
from components.errors import UsageError, VisionloopError
from pipelines import settings
from pipelines.paths import Paths
from pipelines.report import validation
from pipelines.stages import validate
from tests.images import make_detection_voc, write_png
from tests.project import make_project

BETWEEN = "expect_column_values_to_be_between"
IMAGES = 24  # of the project's two classes
Spoil = Callable[[Path], None]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("good") / "p").root


@pytest.fixture
def paths(good: Path, tmp_path: Path) -> Iterator[Paths]:
    for name in ("data", "expectations", "params.yaml"):
        source = good / name
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copyfile(source, tmp_path / name)
    yield Paths(tmp_path)


def run(paths: Paths, **changed: Any) -> int:
    """The exit code of the stage with these values of `validate`."""
    raw = yaml.safe_load(paths.params.read_text("utf-8"))
    raw["validate"].update(changed)
    try:
        validate.run(paths, settings.parse(raw))
    except VisionloopError as error:
        return error.exit_code
    return 0


def report(paths: Paths, task: str = "classification") -> dict[str, Any]:
    return dict(json.loads((paths.validate(task) / "report.json").read_text("utf-8")))


def shorten(folder: Path, **columns: set[str]) -> None:
    """Leave of the suites only the expectations about these columns, by table."""
    for path in folder.glob("*.json"):
        suite = json.loads(path.read_text("utf-8"))
        suite["expectations"] = [one for one in suite["expectations"] if one["kwargs"].get("column") in columns.get(path.stem, ())]
        path.write_text(json.dumps(suite), "utf-8")


def nothing(_: Path) -> None:
    return None


def undecodable(folder: Path) -> None:
    (folder / "class_1" / "003.png").write_bytes(b"junk")


def undecodable_many(folder: Path) -> None:
    for path in sorted((folder / "class_1").iterdir())[:5]:
        path.write_bytes(b"junk")


def too_small(folder: Path) -> None:
    write_png(folder / "class_0" / "tiny.png", np.random.default_rng(0).integers(0, 255, (8, 8, 3)).astype(np.uint8))


def too_small_many(folder: Path) -> None:
    for number in range(8):
        write_png(folder / "class_0" / f"tiny{number}.png", np.random.default_rng(number).integers(0, 255, (8, 8, 3)).astype(np.uint8))


def copied(folder: Path) -> None:
    shutil.copyfile(folder / "class_0" / "000.png", folder / "class_0" / "copy.png")


def contradictory(folder: Path) -> None:
    shutil.copyfile(folder / "class_0" / "000.png", folder / "class_1" / "other.png")


def outside(folder: Path) -> None:
    elsewhere = folder.parents[1] / "elsewhere.png"
    shutil.copyfile(folder / "class_0" / "000.png", elsewhere)
    (folder / "class_0" / "link.png").symlink_to(elsewhere)


def dark(folder: Path) -> None:
    write_png(folder / "class_0" / "000.png", np.zeros((48, 48, 3), np.uint8))


def lonely(folder: Path) -> None:
    for path in sorted((folder / "class_0").iterdir())[1:]:
        path.unlink()


KINDS: list[tuple[Spoil, dict[str, tuple[int, int]]]] = [  # exit code and images kept, by on_bad
    (nothing, {"quarantine": (0, 24), "fail": (0, 24), "report": (0, 24)}),
    (undecodable, {"quarantine": (0, 23), "fail": (1, 23), "report": (0, 23)}),
    (undecodable_many, {"quarantine": (1, 19), "fail": (1, 19), "report": (1, 19)}),
    (too_small, {"quarantine": (0, 24), "fail": (1, 24), "report": (0, 25)}),
    (too_small_many, {"quarantine": (1, 24), "fail": (1, 24), "report": (0, 32)}),
    (copied, {"quarantine": (0, 24), "fail": (0, 24), "report": (0, 24)}),
    (contradictory, {"quarantine": (0, 23), "fail": (1, 23), "report": (0, 23)}),
    (outside, {"quarantine": (1, 24), "fail": (1, 24), "report": (1, 24)}),
    (dark, {"quarantine": (0, 24), "fail": (0, 24), "report": (0, 24)}),  # a warning
    (lonely, {"quarantine": (1, 13), "fail": (1, 13), "report": (0, 13)}),  # a failed expectation
]


@pytest.mark.parametrize("on_bad", ["quarantine", "fail", "report"])
@pytest.mark.parametrize(("spoil", "wanted"), KINDS, ids=[spoil.__name__ for spoil, _ in KINDS])
def test_on_bad(
    paths: Paths,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Spoil,
    wanted: dict[str, tuple[int, int]],
    on_bad: str,
) -> None:
    monkeypatch.setattr(validate, "write_docs", lambda *_: None)  # most of the time, as are the expectations that do not matter here
    shorten(paths.expectations, classes={"images"}, images_kept={"brightness"})
    spoil(paths.data / "classification")
    code = run(paths, on_bad=on_bad, max_bad_fraction=0.1)
    found = report(paths)
    images = tables.read(paths.validate("classification") / "images.parquet", tables.IMAGES)
    assert (code, int((images["status"] == "ok").sum())) == wanted[on_bad]
    assert (found["success"], found["on_bad"], found["images"]["kept"]) == (code == 0, on_bad, wanted[on_bad][1])
    said = capsys.readouterr().err
    assert bool(said) is bool(code or found["failed"]), "a failure is shown and so is a warning, and nothing else"


@pytest.mark.parametrize(
    ("spoil", "on_bad", "named"),
    [
        (undecodable_many, "report", ["5 of 24 images are bad", "classification/class_1/000.png"]),
        (undecodable, "fail", ["bad findings: 1", "classification/class_1/003.png"]),
        (outside, "quarantine", ["paths that leave the dataset: 1", "classification/class_0/link.png"]),
        (lonely, "quarantine", ["values to be at least 2", "class_0: images 1"]),
        (too_small_many, "quarantine", ["8 of 32 images are bad", "classification/class_0/tiny0.png"]),
    ],
)
def test_what_stops_is_named_in_the_terminal_the_report_and_the_page(
    paths: Paths, capsys: pytest.CaptureFixture[str], spoil: Spoil, on_bad: str, named: list[str]
) -> None:
    spoil(paths.data / "classification")
    with pytest.raises(VisionloopError, match=r"validation failed for classification.*quarantine\.csv.*index\.html"):
        validate.run(paths, settings.parse(yaml.safe_load(paths.params.read_text()) | {"validate": _block(paths, on_bad=on_bad)}))
    said = re.sub(r"[│\s]", "", capsys.readouterr().err)
    found = report(paths)
    written = json.dumps(found["stops"] + found["failed"])
    page = (paths.validate("classification") / "docs" / "index.html").read_text("utf-8")
    for text in named:
        assert text.replace(" ", "") in said and text in written
    assert named[0] in page and "Validation failed" in page


def _block(paths: Paths, **changed: Any) -> dict[str, Any]:
    return dict(yaml.safe_load(paths.params.read_text("utf-8"))["validate"]) | changed


def test_report_names_what_it_keeps(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    too_small(paths.data / "classification")
    assert run(paths, on_bad="report") == 0
    assert "classification/class_0/tiny.png: too-small: is 8 x 8 pixels" in caplog.text
    written = (paths.validate("classification") / "quarantine.csv").read_text("utf-8")
    assert "classification/class_0/tiny.png" in written and report(paths)["problems"] == {"too-small": 1}


def test_a_users_expectation_in_params_passes_fails_or_warns(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    def wish(severity: str, least: int) -> dict[str, Any]:
        one = {"type": BETWEEN, "kwargs": {"column": "width", "min_value": least}, "severity": severity}
        return {"classification.images_kept": [one]}

    assert run(paths, expectations=wish("critical", 48)) == 0
    assert not report(paths)["failed"]
    assert run(paths, expectations=wish("warning", 49)) == 0
    assert report(paths)["failed"][0]["severity"] == "warning" and "000.png: width 48" in capsys.readouterr().err
    assert run(paths, expectations=wish("critical", 49)) == 1
    (failed,) = report(paths)["failed"]
    assert failed["rows"][0] == "classification/class_0/000.png: width 48" and failed["observed"] == "24 of 24"
    assert failed["source"] == "params.yaml: validate.expectations.classification.images_kept: expectation 1"


def test_a_suite_file_added_changed_or_deleted_counts(paths: Paths) -> None:
    assert run(paths) == 0
    mine = {
        "name": "mine",
        "meta": {"table": "classes"},
        "expectations": [{"type": BETWEEN, "kwargs": {"column": "images", "min_value": 13}}],
    }
    (paths.expectations / "mine.json").write_text(json.dumps(mine))
    assert run(paths) == 1
    assert [one["source"] for one in report(paths)["failed"]] == ["expectations/mine.json: expectation 1"]
    (paths.expectations / "mine.json").write_text(json.dumps(mine).replace("13", "12"))
    assert run(paths) == 0
    lonely(paths.data / "classification")
    assert run(paths) == 1
    for name in ("mine", "classes"):
        (paths.expectations / f"{name}.json").unlink()
    assert run(paths) == 0


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"images": []}, "unknown table 'images'"),
        ({"images_kept": [{"type": "expect_nothing", "kwargs": {}}]}, "unknown expectation 'expect_nothing'"),
        ({"images_kept": [{"type": BETWEEN, "kwargs": {"column": "wdth", "min_value": 1}}]}, "no column 'wdth'; did you mean width"),
    ],
)
def test_a_mistake_is_refused_before_any_image_is_read_and_what_was_there_stays(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, block: dict[str, Any], said: str
) -> None:
    assert run(paths) == 0
    before = report(paths)
    monkeypatch.setattr(validate, "_validate_task", lambda *_: pytest.fail("the scan had begun"))
    with pytest.raises(UsageError, match=f"params.yaml: validate.expectations.*{said}"):
        validate.run(paths, settings.parse(yaml.safe_load(paths.params.read_text()) | {"validate": _block(paths, expectations=block)}))
    assert report(paths) == before


def test_expectations_of_one_task_leave_the_other_alone(paths: Paths) -> None:
    make_detection_voc(paths.data / "detection", images=12, size=64)
    impossible = [{"type": BETWEEN, "kwargs": {"column": "width", "max_value": 1}}]
    assert run(paths, expectations={"detection.images_kept": impossible}) == 1
    assert report(paths)["success"] and not report(paths, "detection")["success"]
    assert {one["table"] for one in report(paths)["met"]} == {"images_found", "images_kept", "classes"}
    assert {one["table"] for one in report(paths, "detection")["met"]} >= {"boxes_found", "boxes_kept"}


def test_detection_without_a_single_box_fails(paths: Paths) -> None:
    make_detection_voc(paths.data / "detection", images=12, size=64)
    for path in (paths.data / "detection" / "Annotations").iterdir():
        path.write_text(path.read_text().partition("<object>")[0] + "</annotation>")
    assert run(paths) == 1
    assert {one["table"] for one in report(paths, "detection")["failed"]} == {"boxes_found", "boxes_kept", "classes"}


def test_two_runs_give_the_same_bytes(paths: Paths) -> None:
    undecodable(paths.data / "classification")
    written = []
    for _ in range(2):
        assert run(paths) == 0
        written.append({path.relative_to(paths.root): path.read_bytes() for path in paths.outputs.rglob("*") if path.is_file()})
    assert written[0] == written[1] and len(written[0]) == 14  # six files a task, the page of the one there is, and the metrics


def test_metrics_are_numbers_of_what_was_found_and_kept(paths: Paths) -> None:
    undecodable(paths.data / "classification")
    assert run(paths) == 0
    metrics = json.loads((paths.outputs / "validate" / "metrics.json").read_text())
    assert list(metrics) == ["classification"]
    assert metrics["classification"]["images"] == {"found": IMAGES, "kept": IMAGES - 1, "quarantined": 1}
    assert "boxes" not in metrics["classification"]
    assert metrics["classification"]["classes"] == 2 and metrics["classification"]["expectations"]["failed"] == 0


def test_the_artifacts_table_has_what_is_not_met_first_and_nothing_of_an_absent_dataset(paths: Paths) -> None:
    assert validation.rows(paths) == []
    lonely(paths.data / "classification")
    assert run(paths, on_bad="report") == 0
    rows = validation.rows(paths)
    assert [row["verdict"] for row in rows] == ["failed"] + ["met"] * (len(rows) - 1) and len(rows) == 18
    assert rows[0] == {
        "dataset": "classification", "verdict": "failed", "table": "classes", "column": "images",
        "expectation": "values to be at least 2", "severity": "critical", "observed": "1 of 2",
    }  # fmt: skip
    undecodable_many(paths.data / "classification")
    run(paths)
    assert validation.rows(paths)[0]["verdict"] == "stop" and "images are bad" in validation.rows(paths)[0]["expectation"]


def test_great_expectations_says_nothing_of_its_own(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    dark(paths.data / "classification")
    with caplog.at_level(logging.INFO):
        run(paths)
    assert not [one for one in caplog.records if one.name.startswith("great_expectations")]
