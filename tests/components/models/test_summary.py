"""FLOPs and parameters against figures worked out by hand."""

import keras
import pytest
from keras import layers

from components.data.tables import CLASSIFICATION
from components.models.catalog import Design, build, serving_model
from components.models.detectors.yolo import SIZES, build_yolo, scratch_backbone
from components.models.summary import LayerRow, layer_flops, rows, total_flops


def flops(layer: keras.Layer, *shape: int) -> int:
    layer(keras.Input(shape))
    return layer_flops(layer)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv2D(16, 3, padding="same"), (10, 12, 8), 2 * 3 * 3 * 8 * 16 * 10 * 12),
        (layers.Conv2D(16, 3, padding="valid"), (10, 12, 8), 2 * 3 * 3 * 8 * 16 * 8 * 10),
        (layers.Conv2D(16, 5, strides=2, padding="same"), (11, 12, 8), 2 * 5 * 5 * 8 * 16 * 6 * 6),
        (layers.Conv2D(16, 3, groups=4, padding="same"), (10, 10, 8), 2 * 3 * 3 * 2 * 16 * 100),
        (layers.DepthwiseConv2D(3, strides=2, padding="same"), (10, 10, 8), 2 * 3 * 3 * 8 * 25),
        (layers.SeparableConv2D(16, 3, padding="same"), (10, 10, 8), (2 * 3 * 3 * 8 + 2 * 8 * 16) * 100),
        (layers.Dense(7), (5,), 2 * 5 * 7),
        (layers.BatchNormalization(), (10, 10, 8), 0),
        (layers.MaxPooling2D(2), (10, 10, 8), 0),
    ],
)
def test_a_layer_costs_two_flops_a_multiply_add(layer, shape, expected):
    assert flops(layer, *shape) == expected


def test_a_shared_convolution_counts_at_every_map():
    found = {row.name: row for row in rows(build_yolo(2, 64, scratch_backbone(SIZES["n"]), width=64))}
    positions = 8 * 8 + 4 * 4 + 2 * 2
    assert found["box_tower"].flops == 2 * 3 * 3 * 64 * 64 * positions
    assert found["box_tower"].parameters == 3 * 3 * 64 * 64
    assert found["class_rows"].flops == 2 * 64 * 2 * positions


def test_a_row_tells_shape_and_parameters_frozen_ones_too():
    pixels = keras.Input((4, 4, 2))
    norm = layers.BatchNormalization(name="norm")
    norm.trainable = False
    model = keras.Model(pixels, norm(layers.Conv2D(3, 1, name="conv")(pixels)))
    assert rows(model)[1:] == [
        LayerRow("conv", "Conv2D", (4, 4, 3), "⌊(4 + 2·0 − 1)/1⌋ + 1 = 4", 9, 9, 2 * 2 * 3 * 16, 1),
        LayerRow("norm", "BatchNormalization", (4, 4, 3), "", 12, 0, 0, 1),
    ]


def test_serving_costs_what_training_costs_and_is_told_layer_by_layer():
    design = Design(CLASSIFICATION, "cnn", 10, 32, 0.0)
    model, _ = build(design, None)
    served = serving_model(model, design)
    assert total_flops(served) == total_flops(model) == 16_976_384
    assert sum(row.parameters for row in rows(served)) == 582_026
    assert "conv3" in {row.name for row in rows(served)}
