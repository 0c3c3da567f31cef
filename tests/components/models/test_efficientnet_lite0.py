"""EfficientNet-Lite0's published figures and its maps."""

import keras
import numpy as np
import pytest

from components.models import efficientnet_lite0
from components.models.summary import total_flops

# of each of the seven stages: output channels and the stride of its output (Tan & Le 2019, table 1)
STAGES = ((16, 2), (24, 4), (40, 8), (80, 16), (112, 16), (192, 32), (320, 32))
LAST_BLOCKS = (1, 3, 5, 8, 11, 15, 16)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return efficientnet_lite0.build_imagenet(224)


def test_it_has_the_published_number_of_parameters(network):
    learned = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert learned == 4_652_008  # as PyTorch counts them: without batch norm statistics
    assert network.count_params() == 4_694_024


def test_it_costs_what_was_published(network):
    assert total_flops(network) / 2 == pytest.approx(407e6, rel=0.06)  # multiply-adds, tensorflow/tpu's table; it counts every operation


def test_every_stage_has_its_channels_and_stride(network):
    for block, (channels, stride) in zip(LAST_BLOCKS, STAGES, strict=True):
        assert network.get_layer(f"block{block}_project_bn").output.shape[1:] == (224 // stride, 224 // stride, channels)


def test_the_shortcut_stands_where_a_stage_repeats_and_nowhere_else(network):
    firsts = {1, 2, 4, 6, 9, 12, 16}
    assert {int(layer.name[5:-4]) for layer in network.layers if layer.name.endswith("_add")} == set(range(1, 17)) - firsts


def test_the_feature_maps_are_those_of_strides_8_16_and_32():
    maps = efficientnet_lite0.features(keras.Input((96, 96, 3)))
    assert {stride: tuple(x.shape[1:]) for stride, x in maps.items()} == {8: (12, 12, 40), 16: (6, 6, 112), 32: (3, 3, 320)}


def test_there_is_no_squeeze_no_swish_and_batch_norm_has_its_epsilon(network):
    kinds = {type(layer).__name__ for layer in network.layers}
    assert kinds == {
        "InputLayer",
        "Rescaling",
        "Conv2D",
        "DepthwiseConv2D",
        "BatchNormalization",
        "ReLU",
        "Add",
        "GlobalAveragePooling2D",
        "Dense",
    }
    assert {layer.epsilon for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)} == {1e-3}
    assert {layer.max_value for layer in network.layers if isinstance(layer, keras.layers.ReLU)} == {6.0}
