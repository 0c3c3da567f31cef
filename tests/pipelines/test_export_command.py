"""`visionloop export` on tiny untrained networks."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from components.models.export.formats import FORMATS
from components.predict import load_model
from pipelines import cli
from pipelines.paths import Paths
from tests.images import make_classification, make_detection_voc
from tests.pipelines import fabricate

CLASSES = fabricate.UNTRAINED_CLASSES


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    made = fabricate.with_untrained(tmp_path_factory.mktemp("project"))
    make_classification(made.data / "classification", classes=2, per_class=6, size=48)
    make_detection_voc(made.data / "detection", images=3, size=80)
    return made


@pytest.fixture(autouse=True)
def own_project(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    fabricate.enter(paths, monkeypatch)


def test_a_classifier_is_written_tried_and_described(paths: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "classification", "--model", "tiny", "--format", "saved_model", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    original, row = answer["formats"]
    assert (answer["model"], answer["photographs"], answer["compared"]) == ("tiny", 8, 8)
    assert original["format"] == "keras" and original["file"] == str(paths.train("tiny") / "model.keras")
    assert row["unlike"] == 0 and row["largest_difference"] < 1e-4 and row["megabytes"] > 0 and row["milliseconds"] > 0
    about = json.loads((paths.outputs / "export" / "tiny" / "saved_model.json").read_text())
    assert about["classes"] == CLASSES and about["output"]["shape"] == ["any", 3] and about["input"]["dtype"] == "uint8"
    photograph = np.random.default_rng(0).integers(0, 256, (1, 50, 70, 3)).astype(np.uint8)
    found = FORMATS["saved_model"].load(Path(row["file"]))(photograph)
    np.testing.assert_allclose(found, load_model(paths.train("tiny") / "model.keras")(photograph), atol=1e-5)


def rows_of(place: Path, photograph: np.ndarray) -> np.ndarray:
    """The boxes that the saved model at `place` finds, (N, 6)."""
    found = FORMATS["saved_model"].load(place)(photograph)[0]
    return found[found[:, 5] >= 0]


def test_a_detector_answers_boxes_from_the_confidence_that_was_asked(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = tmp_path / "trees"
    arguments = ["export", "detection", "--model", "tiny_yolo", "--format", "saved_model", "--output", str(place)]
    photograph = np.random.default_rng(0).integers(0, 256, (1, 50, 70, 3)).astype(np.uint8)
    assert cli.main(arguments) == 0
    confidences = np.sort(rows_of(place, photograph)[:, 4])
    middle = round(float(confidences[len(confidences) // 2 - 1 :][:2].mean()), 6)
    assert cli.main([*arguments, "--confidence", str(middle)]) == 0  # takes the place of the first
    np.testing.assert_allclose(np.sort(rows_of(place, photograph)[:, 4]), confidences[confidences >= middle], atol=1e-6)
    assert 0.01 <= confidences[0] < middle
    assert json.loads((tmp_path / "trees.json").read_text())["confidence_from"] == dict.fromkeys(CLASSES, middle)
    told = capsys.readouterr().out
    assert "unlike boxes" in told and "keras" in told and "saved_model" in told


def test_what_looks_at_tiles_says_so_and_is_tried_on_tiles(
    paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    evaluation = paths.evaluate("tiny_yolo") / "report.json"
    whole = evaluation.read_text()
    report = json.loads(whole)
    report["params"] |= {"tile_size": 48, "tile_overlap": 0.25}
    sizes = []
    real = FORMATS["saved_model"]

    def noting(path: Path):
        run = real.load(path)

        def noted(picture: np.ndarray) -> np.ndarray:
            sizes.append(picture.shape)
            return run(picture)

        return noted

    monkeypatch.setitem(FORMATS, "saved_model", dataclasses.replace(real, load=noting))
    evaluation.write_text(json.dumps(report))
    try:
        assert (
            cli.main(["export", "detection", "--model", "tiny_yolo", "--format", "saved_model", "--output", str(tmp_path / "t"), "--json"])
            == 0
        )
    finally:
        evaluation.write_text(whole)
    assert set(sizes) == {(1, 48, 48, 3)} and json.loads(capsys.readouterr().out)["photographs"] in range(2, 9)
    assert json.loads((tmp_path / "t.json").read_text())["tiles"] == {"size": 48, "overlap": 0.25}
    assert "tiny_yolo looks at tiles of 48 pixels" in caplog.text


def test_a_format_that_answers_otherwise_is_told_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = dataclasses.replace(FORMATS["saved_model"], load=lambda path: lambda image: np.array([[0.8, 0.1, 0.1]], np.float32))
    monkeypatch.setitem(FORMATS, "saved_model", wrong)
    assert cli.main(["export", "classification", "--model", "tiny", "--format", "saved_model", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["formats"][1]["unlike"] == 8


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["classification", "--model", "tiny", "--format", "tflite", "--output", "model.onnx"], 2, "ends in .tflite"),
        (["classification", "--model", "tiny", "--format", "saved_model", "--output", "data"], 2, "holds no SavedModel to replace"),
        (["classification", "--model", "tiny", "--format", "tflite", "--output", "folder.tflite"], 2, "is a folder"),
        (["classification", "--model", "tiny", "--format", "tflite", "--format", "saved_model", "--output", "x"], 2, "say one --format"),
        (["classification", "--model", "tiny", "--format", "saved_model", "--confidence", "0.5"], 2, "--confidence is for detectors"),
        (["classification", "--model", "tiny_yolo", "--format", "saved_model"], 2, "no evaluated classification model"),
        (["classification", "--model", "tiny", "--format", "saved_model", "--images", "nowhere.jpg"], 2, "nowhere.jpg does not exist"),
        (["classification", "--model", "tiny", "--format", "saved_model", "--images", "empty"], 2, "name some with --images"),
        (["detection", "--format", "saved_model"], 2, "no detection champion yet"),
    ],
)
def test_a_mistake_is_answered_in_words(arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("folder.tflite", "empty"):
        Path(folder).mkdir(exist_ok=True)
    assert cli.main(["export", *arguments]) == code
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_a_format_whose_packages_are_missing_says_which(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert cli.main(["export", "classification", "--model", "tiny", "--format", "onnx"]) == 2
    assert "`uv pip install tf2onnx onnxruntime`" in capsys.readouterr().err


@pytest.mark.parametrize("confidence", ["1.5", "-1", "half", "nan"])
def test_a_confidence_is_a_number_of_0_to_1(confidence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["export", "detection", "--format", "onnx", "--confidence", confidence])
    assert "0..1" in capsys.readouterr().err
