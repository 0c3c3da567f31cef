"""Every architecture builds, answers what it says, and serves photographs of any size."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError, UsageError
from components.evaluate.calibration import at_temperature
from components.models.catalog import (
    ARCHITECTURES,
    DESCRIPTIONS,
    OWN,
    Design,
    below_head,
    build,
    chosen_head,
    detection_loss,
    serving_model,
)
from components.models.detectors.yolov3.anchors import COCO
from components.models.saved import load_model, temperature_of
from components.models.summary import unallocated
from components.train.saving import save_model

CNN = Design(CLASSIFICATION, "cnn", 3, 32, 0.0)
YOLO = Design(DETECTION, "yolo", 2, 64, 0.0)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)


@pytest.fixture
def bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy("float32")


def answer(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    return keras.ops.convert_to_numpy(model(pixels, training=False))


@pytest.mark.parametrize(
    ("task", "name"), [(task, name) for task, names in ARCHITECTURES.items() for name in names if name in DESCRIPTIONS]
)
def test_every_architecture_takes_uint8_and_answers_float32(task, name):
    model, filled = unallocated(lambda: build(Design(task, name, 3, 64, 0.1), None))
    assert filled == []
    assert model.input_shape == (None, 64, 64, 3) and model.inputs[0].dtype == "uint8" and model.outputs[0].dtype == "float32"
    cells = 8 * 8 + 4 * 4 + 2 * 2
    rows = (3 * cells, 5 + 3) if name == "yolo_anchors" else (cells, 4 + 3)
    assert model.output_shape == ((None, 3) if task == CLASSIFICATION else (None, *rows))


def test_every_network_of_our_own_is_described_and_those_of_keras_are_there():
    every = {name for names in ARCHITECTURES.values() for name in names}
    assert set(OWN) | {"efficientnet_lite0", "yolo", "yolo_s", "yolo_m", "yolo_lite0", "yolo_anchors"} == set(DESCRIPTIONS) <= every
    assert {"mobilenet_v2", "resnet50_v2", "densenet121", "convnext_tiny", "yolo_mobilenet_v2", "yolo_resnet50_v2"} <= every


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (replace(CNN, architecture="efficientnet_lit0"), "Did you mean 'efficientnet_lite0'"),
        (replace(CNN, architecture="yolo"), r"'yolo' for classification; known: lenet5, .*mobilenet_v2 \(`visionloop models`\)\.$"),
        (replace(CNN, architecture="resnet34_v2"), "Did you mean 'resnet"),
        (replace(CNN, head="course"), "head is course, but cnn is no backbone"),
        (replace(CNN, architecture="mobilenet_v2", head="published"), "head is published, but mobilenet_v2 is a backbone"),
        (replace(CNN, architecture="lenet5", image_size=31), "31 pixels, lenet5 needs 32 at least; usual are 32"),
        (replace(CNN, architecture="inception_v3", image_size=74), "74 pixels, inception_v3 needs 75 at least; usual are 299"),
        (replace(CNN, image_size=None), "one input size: leave train_size out"),
        (replace(YOLO, head="pooled"), "yolo is a detector: leave head out"),
        (replace(YOLO, architecture="yolo_lite"), "known: yolo, yolo_s, .*. Did you mean 'yolo_lite0'"),
        (replace(YOLO, image_size=100), "100 pixels, a detector needs a multiple of 32"),
        (replace(YOLO, image_size=None), "multiple of 32"),
    ],
)
def test_what_cannot_be_built_is_refused(design, message):
    with pytest.raises(UsageError, match=message):
        build(design, None)


def test_pretrained_layers_are_named_and_filled(tmp_path):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 3, 32)).astype(np.float32)
    np.savez(tmp_path / "w.npz", **{"conv1/kernel": kernel, "conv1/bias": np.ones(32, np.float32)})
    model, filled = build(CNN, tmp_path / "w.npz")
    assert filled == ["conv1"]
    assert (np.asarray(model.get_layer("conv1").kernel) == kernel).all()


def test_weights_that_fit_nothing_are_refused(tmp_path):
    np.savez(tmp_path / "w.npz", **{"elsewhere/kernel": np.zeros(3, np.float32)})
    with pytest.raises(DataError, match="fits no layer of cnn"):
        build(CNN, tmp_path / "w.npz")


def test_a_served_classifier_answers_the_softmax_of_the_logits():
    model, _ = build(CNN, None)
    logits = answer(model, PIXELS).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(answer(serving_model(model, CNN), PIXELS) - expected).max() < 1e-5


def test_a_mirrored_classifier_answers_the_softmax_of_the_mean_of_both_logits(tmp_path):
    model, _ = build(CNN, None)
    logits = (answer(model, PIXELS).astype(np.float64) + answer(model, PIXELS[:, :, ::-1])) / 2
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    served = serving_model(model, replace(CNN, mirror=True))
    assert np.abs(answer(served, PIXELS) - expected).max() < 1e-5
    assert np.abs(answer(served, PIXELS[:, :, ::-1]) - expected).max() < 1e-5
    served.save(tmp_path / "model.keras")
    assert (answer(load_model(tmp_path / "model.keras"), PIXELS) == answer(served, PIXELS)).all()


@pytest.mark.parametrize("shape", [(2, 50, 90, 3), (1, 20, 20, 3), (1, 33, 32, 3)])
def test_a_served_classifier_takes_photographs_of_any_size(shape):
    model, _ = build(CNN, None)
    found = answer(serving_model(model, CNN), np.random.default_rng(1).integers(0, 256, shape).astype(np.uint8))
    assert found.shape == (shape[0], 3)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_a_served_classifier_sees_the_centre_of_a_wide_photograph():
    model, _ = build(CNN, None)
    served = serving_model(model, CNN)
    wide = np.random.default_rng(2).integers(0, 256, (1, 32, 96, 3)).astype(np.uint8)
    wide[:, :, 32:64] = PIXELS[:1]
    assert np.abs(answer(served, wide) - answer(served, PIXELS[:1])).max() < 1e-6


def test_a_served_detector_takes_photographs_of_any_size():
    model, _ = build(YOLO, None)
    found = answer(serving_model(model, YOLO), np.zeros((1, 48, 100, 3), np.uint8))
    assert found.ndim == 3 and found.shape[0] == 1 and found.shape[2] == 6


def test_a_detector_is_served_with_the_anchors_of_its_design():
    anchors = tuple((0.1 * k, 0.05 * k) for k in range(1, 10))
    published = Design(DETECTION, "yolo_anchors", 2, 64, 0.0)
    for design, expected in ((published, COCO), (replace(published, anchors=anchors), anchors)):
        model, _ = build(design, None)
        assert serving_model(model, design).get_layer("decoding").anchors == expected
        assert detection_loss(design).anchors == expected


def test_serving_computes_in_float32_whatever_the_training_did(bfloat16):
    model, _ = build(CNN, None)
    assert model.get_layer("conv2").compute_dtype == "bfloat16"
    served = serving_model(model, CNN)
    (inner,) = (layer for layer in served.layers if isinstance(layer, keras.Model))
    assert {layer.compute_dtype for layer in inner.layers if layer.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "mixed_bfloat16"


def test_serving_is_a_copy_that_training_leaves_alone():
    model, _ = build(CNN, None)
    served = serving_model(model, CNN)
    before = answer(served, PIXELS)
    model.set_weights([np.zeros_like(weight) for weight in model.get_weights()])
    assert (answer(served, PIXELS) == before).all()


def test_a_network_of_one_size_cannot_be_trained_at_another():
    flexible, _ = build(replace(CNN, image_size=16), None)
    with pytest.raises(UsageError, match="leave train_size out"):
        serving_model(flexible, CNN)


@pytest.mark.parametrize(
    ("architecture", "head", "transfers", "expected"),
    [
        ("vgg16", None, False, "published"),
        ("vgg16", None, True, "pooled"),
        ("vgg16", "published", True, "published"),
        ("resnet18", None, True, "published"),  # Keras has none
        ("mobilenet_v2", None, False, "pooled"),
        ("efficientnet_lite0", "course", True, "course"),
        ("yolo", None, True, None),
    ],
)
def test_weights_decide_which_of_two_networks_a_name_means(architecture, head, transfers, expected):
    assert chosen_head(architecture, head, transfers=transfers) == expected


def test_what_a_transfer_begins_with_frozen_is_all_but_the_head():
    course = Design(CLASSIFICATION, "mobilenet_v2", 10, 32, 0.0, "course")
    model, _ = build(course, None)
    learning = {layer.name for layer in model.layers if layer.weights} - set(below_head(model, course))
    assert learning == {"dense1", "dense2", "logits"}
    model, _ = build(CNN, None)
    assert {layer.name for layer in model.layers if layer.weights} - set(below_head(model, CNN)) == {"logits"}


@pytest.mark.parametrize("size", [None, 96])
def test_a_backbone_that_is_pooled_takes_any_size(size):
    model, _ = build(Design(CLASSIFICATION, "mobilenet_v2", 3, size, 0.0), None)
    assert model.input_shape == (None, size, size, 3) and model.output_shape == (None, 3)


def test_small_pictures_for_a_pretrained_network_are_warned_of(tmp_path, caplog):
    ones = {f"stem_bn/{name}": np.ones(32, np.float32) for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    np.savez(tmp_path / "w.npz", **ones)
    lite0 = Design(CLASSIFICATION, "efficientnet_lite0", 3, 64, 0.0)
    build(lite0, tmp_path / "w.npz")
    assert "image_size: 64 shows; 96 pixels and more make sense, usual are 224" in caplog.text
    caplog.clear()
    build(replace(lite0, image_size=96), tmp_path / "w.npz")
    build(replace(lite0, image_size=64), None)
    assert not caplog.text


@pytest.mark.parametrize(("architecture", "mirror"), [("cnn", False), ("cnn", True), ("cnn_malaria", False)])
def test_a_temperature_divides_the_logits_before_they_are_answered_and_is_saved(tmp_path: Path, architecture: str, mirror: bool) -> None:
    design = replace(CNN, architecture=architecture, num_classes=2, mirror=mirror)
    model, _ = build(design, None)
    plain, divided = (answer(serving_model(model, design, temperature), PIXELS) for temperature in (1.0, 2.5))
    assert divided == pytest.approx(at_temperature(plain, 2.5), abs=1e-5)
    assert (divided.argmax(axis=1) == plain.argmax(axis=1)).all()
    save_model(serving_model(model, design, 2.5), tmp_path / "model.keras")
    loaded = load_model(tmp_path / "model.keras")
    assert temperature_of(loaded) == 2.5 and temperature_of(serving_model(model, design)) == 1.0
    assert (answer(loaded, PIXELS) == divided).all()
