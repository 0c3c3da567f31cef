"""`visionloop explain` and the other commands that name a model and photographs, on tiny untrained networks."""

import json
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION
from components.explain.gradcam import grad_cam
from components.models import catalog
from components.predict import load_model, probabilities
from pipelines import cli
from pipelines.paths import Paths
from tests.images import classification_image, write_png
from tests.pipelines import fabricate

CLASSES = fabricate.UNTRAINED_CLASSES


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    made = fabricate.with_untrained(tmp_path_factory.mktemp("project"))
    rng = np.random.default_rng(0)
    for folder, kind in (("one", 0), ("two", 1)):
        write_png(made.root / folder / "photo.png", classification_image(kind, 48, rng))
    (made.root / "broken.jpg").write_bytes(b"no image")
    return made


@pytest.fixture(autouse=True)
def own_project(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    fabricate.enter(paths, monkeypatch)


def test_each_photograph_has_its_pictures_and_the_network_its_filters(
    paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", "one", "two", "--model", "tiny", "--out", str(tmp_path / "seen"), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    names = {"photo.gradcam.png", "photo-2.gradcam.png", "photo.feature_maps.png", "photo-2.feature_maps.png", "filters.png"}
    assert {file.name for file in (tmp_path / "seen").iterdir()} == names
    assert all(cv2.imread(str(tmp_path / "seen" / name)).std() > 1 for name in names)
    network = load_model(paths.train("tiny") / "model.keras")
    for row, folder in zip(answer["images"], ("one", "two"), strict=True):
        photograph = cv2.resize(cv2.imread(f"{folder}/photo.png"), (32, 32), interpolation=cv2.INTER_AREA)[None, :, :, ::-1]
        found = probabilities(network, photograph)[0]
        assert row["path"] == f"{folder}/photo.png" and row["class"] == row["explained"] == CLASSES[found.argmax()]
        assert row["confidence"] == pytest.approx(found.max(), abs=0.02)


def test_another_class_has_other_heat_and_a_layer_its_own_maps(paths: Paths, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(*arguments: str) -> dict[str, object]:
        assert cli.main(["explain", "one/photo.png", "--model", "tiny", "--out", str(tmp_path), "--json", *arguments]) == 0
        return dict(json.loads(capsys.readouterr().out)["images"][0])

    seen = {}
    for label in CLASSES:
        row = run("--class", label)
        assert row["explained"] == label
        seen[label] = Path(str(row["gradcam"])).read_bytes()
    assert len(set(seen.values())) == 3
    whole = cv2.imread(str(run()["feature_maps"])).shape
    assert cv2.imread(str(run("--layer", "conv2")["feature_maps"])).shape[0] != whole[0]


def test_a_file_beside_its_description_is_a_model_too_and_the_table_says_where_to_look(
    paths: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["explain", "one/photo.png", "--model", "outputs/train/tiny/model.keras"]) == 0
    told = capsys.readouterr().out
    assert "photo.gradcam.png" in told and "heat for" in told and str(paths.outputs / "explain" / "tiny") in told
    assert (paths.outputs / "explain" / "tiny" / "photo.gradcam.png").is_file()


def test_a_detector_shows_maps_and_filters_and_no_heat(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["explain", "one/photo.png", "--task", "detection", "--model", "tiny_yolo", "--out", str(tmp_path), "--json"]
    assert cli.main(arguments) == 0
    assert "class" not in json.loads(capsys.readouterr().out)["images"][0]
    assert {file.name for file in tmp_path.iterdir()} == {"photo.feature_maps.png", "filters.png"}
    assert cli.main([*arguments[:-1], "--class", "circle"]) == 2
    assert "--class is for classifiers" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["explain"], ["predict", "--task", "classification"]])
def test_what_cannot_be_read_is_named_after_the_rest_was_answered(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "broken.jpg", "one/photo.png", "--model", "tiny", "--out", str(tmp_path), "--json"]) == 3
    told = capsys.readouterr()
    answer = json.loads(told.out)
    assert len(answer.get("images", answer.get("predictions"))) == 1
    assert "broken.jpg" in answer["failed"][0] and "broken.jpg" in told.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["one", "--model", "tiny", "--class", "squar"], 2, "knows no class 'squar'; did you mean 'square'?"),
        (["one", "--model", "tiny", "--class", "zebra"], 2, "its classes are circle, square, stripes"),
        (["one", "--model", "tiny", "--layer", "conv9"], 2, "did you mean 'conv"),
        (["one", "--model", "tiny_yolo"], 2, "no evaluated classification model"),
        (["one", "--model", "outputs/train/tiny_yolo/model.keras"], 2, "say --task detection"),
        (["one", "--model", "nothing.keras"], 2, "nothing.keras does not exist"),
        (["nowhere.jpg", "--model", "tiny"], 2, "nowhere.jpg does not exist"),
        (["one", "--model", "alone.keras"], 3, "model.json cannot be read"),
        (["one"], 2, "no classification champion yet"),
    ],
)
def test_a_mistake_is_answered_in_words(arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("alone.keras").touch()
    assert cli.main(["explain", *arguments]) == code
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told


def test_a_saved_model_has_the_heat_of_the_network_that_was_saved(paths: Paths) -> None:
    keras.utils.set_random_seed(1)
    network, _ = catalog.build(catalog.Design(CLASSIFICATION, "cnn", len(CLASSES), 32, 0.0), None)
    pixels = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    heat = grad_cam(load_model(paths.train("tiny") / "model.keras"), pixels, np.array([[0, 1, 2]]))
    np.testing.assert_allclose(heat, grad_cam(network, pixels, np.array([[0, 1, 2]])), rtol=1e-4, atol=1e-8)
    assert heat.max() > 0
