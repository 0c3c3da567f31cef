"""Models in every format, loaded by its own runtime, find in photographs what the model itself finds."""

from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.datasets import load_sample_images

from components.data.tables import CLASSIFICATION, DETECTION
from components.models import catalog
from components.models.export.formats import FORMATS
from components.models.export.graph import taken_apart, unsuppressed
from components.models.export.parity import unlike_boxes, unlike_probabilities
from tests.pipelines.fabricate import spread_scores

PHOTOGRAPHS = [image[None] for image in load_sample_images().images]  # 427 x 640
PHOTOGRAPHS.append(np.ascontiguousarray(PHOTOGRAPHS[0][:, :, 100:300]))  # taller than wide
LEAST = (0.05, 0.01, 0.6)


def served(design: catalog.Design) -> keras.Model:
    keras.utils.set_random_seed(3)
    network, _ = catalog.build(design, None)
    if design.task == DETECTION:
        spread_scores(network)
    return catalog.serving_model(network, design)


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    return served(catalog.Design(CLASSIFICATION, "cnn", 3, 32, 0.0))


@pytest.fixture(scope="module")
def detector() -> keras.Model:
    return served(catalog.Design(DETECTION, "yolo", 3, 96, 0.0))


def exported(name: str, model: keras.Model, folder: Path, least: tuple[float, ...] = ()) -> Path:
    form = FORMATS[name]
    if form.missing():
        pytest.skip(f"{', '.join(form.missing())} not installed")
    place = folder / f"model{form.suffix}"
    form.write(taken_apart(model, least), place)
    assert form.megabytes(place) > 0.1
    return place


@pytest.fixture(scope="module", params=FORMATS)
def detector_in(request: pytest.FixtureRequest, detector: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    return request.param, exported(request.param, detector, tmp_path_factory.mktemp("detector"), LEAST)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_classifier_answers_the_same_probabilities(name, classifier, tmp_path):
    run = FORMATS[name].load(exported(name, classifier, tmp_path))
    for photograph in PHOTOGRAPHS:
        expected, found = np.asarray(classifier(photograph)), run(photograph)
        assert found.shape == (1, 3) and found.dtype == np.float32 and expected.std() > 0.01
        assert unlike_probabilities(expected, found) == (0, pytest.approx(0, abs=1e-3))


@pytest.mark.slow
@pytest.mark.ci
def test_a_detector_finds_the_same_boxes_from_each_class_own_confidence_on(detector, detector_in):
    name, place = detector_in
    run, labels = FORMATS[name].load(place), []
    for photograph in PHOTOGRAPHS:
        rows = np.asarray(detector(photograph))[0]
        expected = rows[(rows[:, 5] >= 0) & (rows[:, 4] >= np.array(LEAST)[rows[:, 5].astype(int)])]
        found = run(photograph)
        labels += expected[:, 5].tolist()
        assert found.shape == (1, 100, 6) and len(expected) < 100
        assert unlike_boxes(expected, found[0], LEAST, expected, 0.45) == (0, pytest.approx(0, abs=2e-3))
    assert len(labels) > 10 and set(labels) == {0, 1, 2}
    if FORMATS[name].batch is None:
        both = run(np.concatenate(PHOTOGRAPHS[:2]))
        np.testing.assert_allclose(both[1], run(PHOTOGRAPHS[1])[0], atol=1e-4)
    if name == "tflite":  # operations of TensorFlow would need a runtime of a hundred megabytes that phones do not have
        assert b"Flex" not in place.read_bytes()


@pytest.mark.slow
@pytest.mark.ci
def test_before_suppression_are_all_boxes_that_stay_and_those_that_they_overlap(detector):
    every = unsuppressed(taken_apart(detector, (0.0,) * 3))
    for photograph in PHOTOGRAPHS:
        kept = np.asarray(detector(photograph))[0]
        kept = kept[kept[:, 5] >= 0]
        candidates = np.asarray(every(photograph)["detections"])[0]
        apart = np.abs(kept[:, None] - candidates[None]).max(axis=2)
        assert len(candidates) == 3 * 189 and (apart.min(axis=1) < 1e-6).all()  # 12 x 12 + 6 x 6 + 3 x 3 anchors
        assert (candidates[:, 5] >= 0).sum() > len(kept)
