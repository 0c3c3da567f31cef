"""Models saved and read in safe mode, and their layers in other networks."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError
from components.models.batch_norm import BatchNormalization
from components.models.catalog import Design, build, serving_model
from components.models.folding import Bias, folded
from components.models.layers import BlueFirst, Gray, TwoLogits
from components.models.saved import fill_from, keras_name, load_model, named_layers
from components.train.saving import save_model
from tests.imports import ROOT

CNN = Design(CLASSIFICATION, "cnn", 3, 32, 0.0)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)


@pytest.fixture
def trained(tmp_path):
    model, _ = build(CNN, None)
    save_model(serving_model(model, CNN), tmp_path / "model.keras")
    return model, tmp_path / "model.keras"


@pytest.mark.parametrize(
    ("layer", "given", "expected"),
    [
        (Gray(), PIXELS, (PIXELS @ np.array([0.299, 0.587, 0.114]))[..., None]),
        (BlueFirst(), PIXELS, PIXELS[..., [2, 1, 0]]),
        (TwoLogits(), PIXELS[:, 0, 0, :1], np.stack([np.zeros(2), PIXELS[:, 0, 0, 0]], axis=1)),
    ],
    ids=["gray", "blue first", "two logits"],
)
def test_our_layers_answer_the_same_after_saving_in_safe_mode(layer, given, expected, tmp_path):
    inputs = keras.Input(given.shape[1:])
    keras.Model(inputs, layer(inputs)).save(tmp_path / "one.keras")
    assert not layer.weights
    assert np.abs(np.asarray(load_model(tmp_path / "one.keras")(given)) - expected).max() < 1e-3


def test_two_logits_are_a_sigmoid_to_a_softmax():
    z = np.linspace(-30, 30, 61, dtype=np.float32)[:, None]
    found = np.asarray(keras.ops.softmax(TwoLogits()(z)))
    assert np.abs(found[:, 1] - 1 / (1 + np.exp(-z[:, 0].astype(np.float64)))).max() < 1e-6


# one of each family whose graph holds layers that are not Keras' public ones, or state set after building
@pytest.mark.slow
@pytest.mark.ci
def test_whoever_only_predicts_knows_every_layer_of_a_served_detector(tmp_path):
    names = ("yolo", "yolo_anchors")
    for name in names:
        design = Design(DETECTION, name, 2, 64, 0.0)
        save_model(serving_model(build(design, None)[0], design), tmp_path / f"{name}.keras")
    load = f"from pathlib import Path; from components.predict import load_model; [load_model(Path(name + '.keras')) for name in {names}]"
    done = subprocess.run(
        [sys.executable, "-c", load], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["convnext_tiny", "inception_resnet_v2", "efficientnet_b0", "mobilenet_v3_small", "vgg16", "nasnet_mobile"]
)
def test_every_family_serves_the_same_after_saving(name, tmp_path):
    design = Design(CLASSIFICATION, name, 3, 80, 0.1, "pooled")
    model, _ = build(design, None)
    for layer in model.layers:
        if isinstance(layer, layers.Normalization) and layer.weights:
            layer.set_weights([np.full(3, 0.5), np.full(3, 0.04), np.array(0)])
            layer.finalize_state()
    served = serving_model(model, design)
    save_model(served, tmp_path / "model.keras")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 90, 80, 3)).astype(np.uint8)
    again = load_model(tmp_path / "model.keras")
    assert np.abs(np.asarray(served(pixels)) - np.asarray(again(pixels))).max() < 1e-6
    other, _ = build(replace(design, num_classes=5), None)
    filled = fill_from(other, tmp_path / "model.keras")
    assert set(filled) == {layer.name for layer in other.layers if layer.weights} - {"logits"}
    maps = [keras.Model(one.input, one.get_layer("pool").output)(pixels[:, :80]) for one in (model, other)]
    assert np.abs(np.asarray(maps[0]) - np.asarray(maps[1])).max() < 1e-5 * np.abs(np.asarray(maps[0])).max()


def test_layers_enter_by_name_and_the_classes_start_anew(trained):
    model, path = trained
    for classes in (3, 7):
        other, filled = build(replace(CNN, num_classes=classes), path)
        assert filled == ["conv1", "conv2", "conv3", "dense1"]
        for name in filled:
            assert all(
                (a == b).all() for a, b in zip(other.get_layer(name).get_weights(), model.get_layer(name).get_weights(), strict=True)
            )
        assert classes == 7 or (np.asarray(other.get_layer("logits").kernel) != np.asarray(model.get_layer("logits").kernel)).any()


def test_normalisations_that_were_folded_come_back_as_what_they_did(tmp_path):
    design = Design(CLASSIFICATION, "resnet18", 3, 32, 0.0)
    model, _ = build(design, None)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    quick = folded(model, [layer.name for layer in model.layers])
    assert "conv1_bn" in {layer.name for layer in quick.layers if isinstance(layer, Bias)}
    save_model(serving_model(quick, design), tmp_path / "model.keras")
    other, filled = build(replace(design, num_classes=5), tmp_path / "model.keras")
    assert set(filled) == {layer.name for layer in other.layers if layer.weights} - {"logits"}
    pixels = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    seen = [np.asarray(keras.Model(one.input, one.get_layer("pool5").output)(pixels, training=False)) for one in (model, other)]
    assert np.ptp(seen[0]) > 0.1 and np.abs(seen[0] - seen[1]).max() < 1e-4 * np.abs(seen[0]).max()


def test_what_another_input_size_leaves_unlike_is_named(trained, caplog):
    _, path = trained
    _, filled = build(replace(CNN, image_size=48), path)
    assert filled == ["conv1", "conv2", "conv3"]
    assert "cnn starts anew in dense1" in caplog.text


def test_a_model_of_other_layers_is_refused(trained):
    with pytest.raises(DataError, match="fits no layer of resnet18"):
        build(Design(CLASSIFICATION, "resnet18", 3, 32, 0.0), trained[1])


def test_a_damaged_model_is_refused(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(DataError, match="not a Keras model"):
        build(CNN, tmp_path / "model.keras")


def test_layers_that_keras_named_are_known_by_their_rank():
    def network():
        pixels = keras.Input((8, 8, 3))
        x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(4, 3)(pixels)))
        return keras.Model(pixels, layers.Conv2D(5, 3, name="mine")(layers.Conv2D(4, 1)(x)))

    first, second = network(), network()
    assert [layer.name for layer in first.layers] != [layer.name for layer in second.layers]
    names = [name for name, _ in named_layers(first)]
    assert names == [name for name, _ in named_layers(second)]
    assert names[1:] == ["conv2d#0", "batch_normalization#0", "re_lu#0", "conv2d#1", "mine"]


@pytest.mark.parametrize(
    "layer",
    [layers.Conv2D(3, 1), layers.ReLU(), layers.DepthwiseConv2D(1), layers.SeparableConv2D(3, 1), BatchNormalization(), TwoLogits()],
    ids=lambda layer: type(layer).__name__,
)
def test_the_name_that_keras_gives_is_known(layer):
    assert re.fullmatch(rf"{keras_name(layer)}(_\d+)?", layer.name)


def test_a_detector_stands_on_the_backbone_of_a_classifier_of_ours(tmp_path):
    design = Design(CLASSIFICATION, "efficientnet_lite0", 3, 64, 0.0)
    classifier, _ = build(design, None)
    rng = np.random.default_rng(0)
    classifier.set_weights([rng.uniform(0.02, 0.2, weight.shape).astype(np.float32) for weight in classifier.get_weights()])
    save_model(serving_model(classifier, design), tmp_path / "model.keras")
    detector, filled = build(Design(DETECTION, "yolo_lite0", 2, 64, 0.0), tmp_path / "model.keras")
    assert {"stem", "block1_depthwise", "block16_project"} <= set(filled) and not [name for name in filled if "pyramid" in name]
    pixels = rng.integers(0, 256, (1, 64, 64, 3)).astype(np.uint8)

    def maps(model):
        return np.asarray(keras.Model(model.input, model.get_layer("block16_project_bn").output)(pixels))

    np.testing.assert_allclose(maps(detector), maps(classifier), rtol=1e-3)
