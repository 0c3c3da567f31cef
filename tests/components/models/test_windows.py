"""Output sizes and receptive fields against Keras itself, the literature, and what pixels really change."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

from components.data.tables import CLASSIFICATION
from components.models.catalog import Design, build
from components.models.summary import rows, unallocated
from components.models.windows import window

KINDS = {
    "conv": lambda kernel, stride, padding: layers.Conv2D(1, kernel, stride, padding=padding),
    "depthwise": lambda kernel, stride, padding: layers.DepthwiseConv2D(kernel, stride, padding=padding),
    "pool": lambda kernel, stride, padding: layers.MaxPooling2D(kernel, stride, padding=padding),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_formula_gives_the_side_that_keras_gives(kind):
    for kernel, stride, padding, length in itertools.product((1, 2, 3, 5), (1, 2, 3), ("same", "valid"), (7, 8, 9, 10)):
        layer = KINDS[kind](kernel, stride, padding)
        found = window(layer, length)
        assert int(found.formula.rpartition("= ")[2]) == layer(keras.Input((length, length, 1))).shape[1], found


@pytest.mark.parametrize(
    ("layer", "length", "expected"),
    [
        (layers.Conv2D(1, 5), 32, "⌊(32 + 2·0 − 5)/1⌋ + 1 = 28"),
        (layers.Conv2D(1, 5, padding="same"), 32, "⌊(32 + 2·2 − 5)/1⌋ + 1 = 32"),
        (layers.Conv2D(1, 7, 2, padding="same"), 224, "⌊(224 + 2 + 3 − 7)/2⌋ + 1 = 112"),
        (layers.Conv2D(1, 3, padding="same", dilation_rate=2), 10, "⌊(10 + 2·2 − 5)/1⌋ + 1 = 10"),
        (layers.AveragePooling2D(2), 28, "⌊(28 + 2·0 − 2)/2⌋ + 1 = 14"),
        (layers.Conv2D(1, 3), None, ""),
    ],
)
def test_the_formula_is_written_out(layer, length, expected):
    assert window(layer, length).formula == expected


def test_height_and_width_have_their_own_windows():
    layer = layers.Conv2D(1, (1, 7), padding="same")
    assert (window(layer, 10, 0).kernel, window(layer, 10, 1).kernel) == (1, 7)
    assert window(layers.Flatten(), 10) is None


def sees(architecture: str) -> dict[str, int | str | None]:
    design = Design(CLASSIFICATION, architecture, 1000, 224, 0.0)
    return {row.name: row.receptive_field for row in rows(unallocated(lambda: build(design, None)[0]))}


# Araujo et al. 2019 for AlexNet, VGG16 and ResNet50; by hand for the others
@pytest.mark.parametrize(
    ("architecture", "expected"),
    [
        ("lenet5", {"c1": 5, "s2": 6, "c3": 14, "s4": 16, "c5": 32, "f6": "all"}),
        ("cnn", {"conv1": 3, "pool1": 4, "conv2": 8, "pool2": 10, "conv3": 18, "dense1": "all"}),
        ("alexnet", {"conv1": 11, "conv2": 51, "conv5": 163, "pool5": 195}),
        ("vgg16", {"conv1_2": 5, "conv5_3": 196, "pool5": 212, "fc6": "all"}),
        ("resnet18", {"conv1": 7, "pool1": 11, "conv2_1_add": 27, "conv5_2_add": 435}),
        ("resnet50", {"conv3_1_shortcut": 35, "conv5_3_relu": 483, "pool5": "all"}),
        # each inception block adds (5 - 1) x 8, 16 or 32 pixels, each pooling between them (3 - 1) x 8 or 16
        ("googlenet", {"pool2": 27, "inception3a_1x1": 27, "inception3a_concat": 59, "inception5b_concat": 27 + 64 + 16 + 320 + 32 + 256}),
    ],
)
def test_receptive_fields_are_those_of_the_literature(architecture, expected):
    found = sees(architecture)
    assert {name: found[name] for name in expected} == expected


def branched() -> keras.Model:
    """Two branches of unlike reach, one shifted by uneven padding, all weights 1: every pixel in reach changes the answer."""
    ones = {"kernel_initializer": "ones", "use_bias": False}
    pixels = keras.Input((32, 32, 1))
    x = layers.Conv2D(1, 3, 2, padding="same", name="stem", **ones)(pixels)
    left = layers.Conv2D(1, 3, padding="same", dilation_rate=2, **ones)(x)
    right = layers.AveragePooling2D(2, 1, padding="same")(layers.ZeroPadding2D(((1, 0), (1, 0)))(x))
    right = layers.Cropping2D(((1, 0), (1, 0)))(right)
    x = layers.Add(name="met")([left, right])
    return keras.Model(pixels, layers.DepthwiseConv2D(2, 2, depthwise_initializer="ones", use_bias=False, name="last")(x))


@pytest.mark.parametrize("name", ["stem", "met", "last"])
def test_a_receptive_field_is_what_pixels_really_change(name):
    model = branched()
    part = keras.Model(model.input, model.get_layer(name).output)
    row = next(row for row in rows(model) if row.name == name)
    middle = part.output_shape[1] // 2
    impulses = np.eye(32, dtype=np.float32)[:, :, None, None] * np.ones((1, 1, 32, 1), np.float32)  # one row of the picture each
    answers = np.asarray(part(impulses))[:, middle, middle, 0]
    reached = np.flatnonzero(answers)
    assert reached[-1] - reached[0] + 1 == row.receptive_field


def test_a_field_that_differs_from_place_to_place_is_not_told():
    pixels = keras.Input((8, 8, 1))
    x = layers.UpSampling2D(2, name="up")(layers.Conv2D(1, 3, padding="same", name="conv")(pixels))
    model = keras.Model(pixels, layers.Conv2D(1, 3, name="after")(x))
    assert [row.receptive_field for row in rows(model)] == [1, 3, None, None]


def test_squeeze_and_excitation_lets_every_position_see_all():
    found = sees("efficientnet_b0")
    assert (found["stem_conv"], found["block1a_dwconv"], found["block1a_se_excite"], found["block2a_dwconv"]) == (3, 7, "all", "all")


def test_networks_inside_a_network_are_followed():
    inner_input = keras.Input((8, 8, 1))
    inner = keras.Model(inner_input, layers.Conv2D(1, 3, name="inner")(inner_input))
    pixels = keras.Input((10, 10, 1))
    x = layers.Conv2D(1, 3, name="outer")(pixels)
    x = keras.Sequential([layers.Conv2D(1, 1, 2, padding="same", name="listed")])(inner(x))
    model = keras.Model(pixels, layers.Conv2D(1, 3, name="last")(x))
    found = {row.name: row.receptive_field for row in rows(model)}
    assert (found["outer"], found["inner"], found["listed"], found["last"]) == (3, 5, 5, 9)
