"""The published networks: every count as published, the course's layer by layer."""

import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION
from components.models.catalog import OWN, Design, build, serving_model
from components.models.sizes import usual_classes, usual_size
from components.models.summary import LayerRow, rows, total_flops, unallocated

# parameters that learn, and statistics that do not
PUBLISHED = {
    "lenet5": (61_706, 0),
    "cnn": (582_026, 0),
    "cnn_bn": (1_679_082 - 1_408, 1_408),
    "cnn_flowers": (16_590_021, 0),
    "cnn_malaria": (751_441, 0),
    "alexnet": (62_378_344, 0),
    "vgg11": (132_863_336, 0),
    "vgg13": (133_047_848, 0),
    "vgg16": (138_357_544, 0),
    "vgg19": (143_667_240, 0),
    "googlenet": (6_998_552, 0),
    "resnet18": (11_689_512, 9_600),
    "resnet34": (21_797_672, 17_024),
    "resnet50": (25_557_032, 53_120),
}
# millions of multiply-adds, as the papers of VGG's and ResNet's successors quote them
MULTIPLY_ADDS = {"vgg16": 15_470, "vgg19": 19_632, "resnet18": 1_814, "resnet34": 3_664, "resnet50": 3_858}
CONV, MAX, AVERAGE, DENSE, NORM = "Conv2D", "MaxPooling2D", "AveragePooling2D", "Dense", "BatchNormalization"
TABLES = {
    "lenet5": [
        ("Gray", (32, 32, 1), 0),
        (CONV, (28, 28, 6), (5 * 5 * 1 + 1) * 6),
        (AVERAGE, (14, 14, 6), 0),
        (CONV, (10, 10, 16), (5 * 5 * 6 + 1) * 16),
        (AVERAGE, (5, 5, 16), 0),
        (CONV, (1, 1, 120), (5 * 5 * 16 + 1) * 120),
        (DENSE, (84,), (120 + 1) * 84),
        (DENSE, (10,), (84 + 1) * 10),
    ],
    "cnn": [
        (CONV, (32, 32, 32), 896),
        (MAX, (16, 16, 32), 0),
        (CONV, (16, 16, 64), 18_496),
        (MAX, (8, 8, 64), 0),
        (CONV, (8, 8, 64), 36_928),
        (DENSE, (128,), 524_416),
        (DENSE, (10,), 1_290),
    ],
    "cnn_bn": [
        ("Gray", (28, 28, 1), 0),
        (CONV, (28, 28, 32), (3 * 3 * 1 + 1) * 32),
        (NORM, (28, 28, 32), 4 * 32),
        (CONV, (28, 28, 32), (3 * 3 * 32 + 1) * 32),
        (NORM, (28, 28, 32), 4 * 32),
        (MAX, (14, 14, 32), 0),
        (CONV, (14, 14, 64), (3 * 3 * 32 + 1) * 64),
        (NORM, (14, 14, 64), 4 * 64),
        (CONV, (14, 14, 64), (3 * 3 * 64 + 1) * 64),
        (NORM, (14, 14, 64), 4 * 64),
        (MAX, (7, 7, 64), 0),
        (DENSE, (512,), (7 * 7 * 64 + 1) * 512),
        (NORM, (512,), 4 * 512),
        (DENSE, (10,), (512 + 1) * 10),
    ],
    "cnn_flowers": [
        (CONV, (180, 180, 16), (3 * 3 * 3 + 1) * 16),
        (MAX, (90, 90, 16), 0),
        (DENSE, (128,), (90 * 90 * 16 + 1) * 128),
        (DENSE, (5,), (128 + 1) * 5),
    ],
    "cnn_malaria": [
        (CONV, (30, 30, 16), (3 * 3 * 3 + 1) * 16),
        (CONV, (28, 28, 16), (3 * 3 * 16 + 1) * 16),
        (MAX, (27, 27, 16), 0),
        (DENSE, (64,), (27 * 27 * 16 + 1) * 64),
        (DENSE, (32,), (64 + 1) * 32),
        (DENSE, (1,), 32 + 1),
        ("TwoLogits", (2,), 0),
    ],
}


def network(name: str, size: int | None = None, classes: int | None = None, dropout: float = 0.0) -> keras.Model:
    design = Design(CLASSIFICATION, name, classes or usual_classes(name), size or usual_size(name), dropout)
    return unallocated(lambda: build(design, None)[0])


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_as_published(name):
    found = rows(network(name))
    assert (sum(row.trainable for row in found), sum(row.parameters - row.trainable for row in found)) == PUBLISHED[name]


def test_alexnet_is_the_same_at_227():
    assert network("alexnet", 227).count_params() == 62_378_344


@pytest.mark.parametrize("name", MULTIPLY_ADDS)
def test_multiply_adds_are_as_published(name):
    assert round(total_flops(network(name)) / 2e6) == MULTIPLY_ADDS[name]


@pytest.mark.parametrize("name", TABLES)
def test_the_course_s_networks_layer_by_layer(name):
    kinds = {kind for kind, _, _ in TABLES[name]}
    told: list[LayerRow] = [row for row in rows(network(name)) if row.kind in kinds]
    assert [(row.kind, row.output, row.parameters) for row in told] == TABLES[name]


@pytest.mark.parametrize("name", OWN)
def test_the_least_size_works_and_one_pixel_less_leaves_nothing(name):
    least = OWN[name].least
    network(name, least)
    if name not in ("fast", "fast_wide", "googlenet", "resnet18", "resnet34", "resnet50"):  # their pooling pads, and stops at one position
        with pytest.raises(ValueError):
            OWN[name].logits(keras.Input((least - 1, least - 1, 3)), 3, 0.0)


@pytest.mark.parametrize("name", ["lenet5", "cnn", "cnn_bn", "cnn_malaria"])
@pytest.mark.parametrize("classes", [2, 7])
def test_any_number_of_classes_is_answered_by_as_many_logits(name, classes):
    assert network(name, classes=classes).output_shape == (None, classes)


RATES = {"alexnet": 2, "vgg16": 2, "googlenet": 1, "cnn_bn": 2, "cnn_malaria": 1, "lenet5": 1, "resnet18": 1, "cnn_flowers": 1}


@pytest.mark.parametrize("name", RATES)
def test_dropout_of_params_yaml_is_the_rate_of_all_dropout_layers(name):
    found = [layer.rate for layer in network(name, dropout=0.3).layers if isinstance(layer, keras.layers.Dropout)]
    assert found == [0.3] * RATES[name]


def test_malaria_serves_the_sigmoid_of_its_one_unit():
    design = Design(CLASSIFICATION, "cnn_malaria", 2, 32, 0.0)
    model, _ = build(design, None)
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype(np.uint8)
    unit = np.asarray(keras.Model(model.input, model.get_layer("logits").output)(pixels), np.float64)[:, 0]
    found = np.asarray(serving_model(model, design)(pixels))
    assert np.abs(found[:, 1] - 1 / (1 + np.exp(-unit))).max() < 1e-6
    assert np.abs(found.sum(axis=1) - 1).max() < 1e-6


def test_gray_networks_see_no_colour():
    model, _ = build(Design(CLASSIFICATION, "lenet5", 10, 32, 0.0), None)
    coloured = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(np.uint8)
    gray = np.round(coloured @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)[..., None].repeat(3, axis=3)
    inner = keras.Model(model.input, model.get_layer("gray").output)
    assert np.abs(np.asarray(inner(coloured)) - np.asarray(inner(gray))).max() <= 0.5 + 1e-3
    assert np.abs(np.asarray(inner(gray))[..., 0] - gray[..., 0]).max() < 1e-3


def test_unallocated_weights_leave_nothing_behind():
    network("vgg16")
    layer = keras.layers.Dense(3)
    layer.build((None, 2))
    assert layer.compute_output_spec(keras.KerasTensor((1, 2))).shape == (1, 3)
    assert np.asarray(layer.kernel).shape == (2, 3)
