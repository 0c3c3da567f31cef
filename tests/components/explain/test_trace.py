"""What a forward pass tells of each layer, against Keras' own intermediate models."""

import keras
import numpy as np
import pytest
from keras import layers

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import UsageError
from components.explain.trace import trace
from components.models import catalog
from tests.components.explain.networks import photographs, pooled, served


def test_every_layer_of_a_nested_network_is_seen_as_keras_computes_it() -> None:
    network, _ = catalog.build(catalog.Design(CLASSIFICATION, "cnn", 3, 32, 0.0), None)
    pixels = photographs(2, 32)
    done = trace(served(network), pixels)
    for name in ("conv1", "pool2", "conv3", "dense1", "logits"):
        own = keras.Model(network.input, network.get_layer(name).output)
        np.testing.assert_allclose(done.steps[name].output, own.predict_on_batch(pixels), rtol=1e-4, atol=1e-5)
    assert [step.name for step in done.convolved()] == ["conv1", "conv2", "conv3"]
    assert done.deepest().name == "conv3"


def test_photographs_of_another_size_pass_through_the_networks_own_resizing() -> None:
    done = trace(served(pooled(np.ones((1, 1, 3, 2)), np.ones((2, 3)), 6)), photographs(1, 17))
    assert done.steps["resize"].output.shape == (1, 6, 6, 3) and done.deepest().side == (6, 6)


def test_a_shared_layer_is_seen_at_each_of_its_uses() -> None:
    pixels = keras.Input((8, 8, 3))
    shared = layers.Conv2D(3, 3, padding="same", name="shared")
    model = keras.Model(pixels, layers.GlobalAveragePooling2D()(shared(shared(shared(pixels)))))
    given = photographs(1, 8)
    done = trace(model, given)
    assert [name for name in done.steps if "shared" in name] == ["shared", "shared:2", "shared:3"]
    once = done.steps["shared"].output
    np.testing.assert_allclose(done.steps["shared:2"].output, shared(once), rtol=1e-5)


def test_the_maps_of_a_detector_are_one_a_size_and_rich_in_channels() -> None:
    design = catalog.Design(DETECTION, "yolo", 1, 64, 0.0)
    done = trace(catalog.serving_model(catalog.build(design, None)[0], design), photographs(1, 64))
    found = done.by_size(6)
    assert [step.side for step in found] == [(16, 16), (8, 8), (4, 4), (2, 2)]
    assert min(step.output.shape[-1] for step in found) >= 8


@pytest.mark.parametrize("most", [1, 2, 3, 9])
def test_maps_are_chosen_evenly_through_the_network(most: int) -> None:
    network, _ = catalog.build(catalog.Design(CLASSIFICATION, "cnn", 3, 32, 0.0), None)
    found = [step.name for step in trace(network, photographs(1, 32)).by_size(most)]
    assert found == {1: ["conv1"], 2: ["conv1", "conv3"]}.get(most, ["conv1", "conv2", "conv3"])


def test_a_vector_is_no_feature_map() -> None:
    done = trace(pooled(np.ones((1, 1, 3, 2)), np.ones((2, 3)), 6), photographs(1, 6))
    with pytest.raises(UsageError, match="no layer 'pool' with a feature map"):
        done.named("pool")
