"""Every architecture builds, answers what it says, and serves photographs of any size."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError, UsageError
from components.models.catalog import ARCHITECTURES, DESCRIPTIONS, Design, build, serving_model

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


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in ARCHITECTURES.items() for name in names])
def test_every_architecture_takes_uint8_and_answers_float32(task, name):
    model, filled = build(Design(task, name, 3, 64, 0.1), None)
    assert filled == []
    assert model.input_shape == (None, 64, 64, 3) and model.inputs[0].dtype == "uint8" and model.outputs[0].dtype == "float32"
    anchors = 8 * 8 + 4 * 4 + 2 * 2
    assert model.output_shape == ((None, 3) if task == CLASSIFICATION else (None, anchors, 4 + 3))


def test_every_architecture_is_described():
    assert set(DESCRIPTIONS) == {name for names in ARCHITECTURES.values() for name in names}


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (replace(CNN, architecture="efficientnet_lit0"), "Did you mean 'efficientnet_lite0'"),
        (replace(CNN, architecture="yolo"), r"'yolo' for classification; known: cnn, .*\.$"),
        (replace(YOLO, architecture="yolo_lite"), "known: yolo, yolo_lite0. Did you mean 'yolo_lite0'"),
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
