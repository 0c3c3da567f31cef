"""The course's CIFAR network, layer by layer."""

import keras
import numpy as np
import pytest

from components.models.classifiers.cnn import cnn
from components.models.summary import rows, total_flops

PARAMETERS = {"conv1": 896, "conv2": 18_496, "conv3": 36_928, "dense1": 524_416, "logits": 1_290}
OUTPUTS = {
    "conv1": (32, 32, 32),
    "pool1": (16, 16, 32),
    "conv2": (16, 16, 64),
    "pool2": (8, 8, 64),
    "conv3": (8, 8, 64),
    "flatten": (4096,),
}
# 2 x kernel height x width x input channels x output channels x positions
FLOPS = {
    "conv1": 2 * 3 * 3 * 3 * 32 * 32 * 32,
    "conv2": 2 * 3 * 3 * 32 * 64 * 16 * 16,
    "conv3": 2 * 3 * 3 * 64 * 64 * 8 * 8,
    "dense1": 2 * 4096 * 128,
    "logits": 2 * 128 * 10,
}


@pytest.fixture(scope="module")
def network() -> keras.Model:
    pixels = keras.Input((32, 32, 3))
    return keras.Model(pixels, cnn(pixels, 10, 0.0))


def test_it_has_the_course_s_parameters_and_shapes(network):
    found = {row.name: row for row in rows(network)}
    assert {name: row.parameters for name, row in found.items() if row.parameters} == PARAMETERS
    assert {name: found[name].output for name in OUTPUTS} == OUTPUTS
    assert network.count_params() == 582_026


def test_its_flops_are_those_worked_out_by_hand(network):
    assert {row.name: row.flops for row in rows(network) if row.flops} == FLOPS
    assert total_flops(network) == 16_976_384


def test_it_answers_what_numpy_answers(network):
    network.set_weights([np.random.default_rng(0).normal(0, 0.05, weight.shape) for weight in network.weights])
    weights = {
        weight.path.split("/", 1)[-1] if weight.path.count("/") > 1 else weight.path: np.asarray(weight) for weight in network.weights
    }
    pixels = np.random.default_rng(1).integers(0, 256, (1, 32, 32, 3)).astype(np.float32)

    def convolution(x: np.ndarray, name: str) -> np.ndarray:
        padded = np.pad(x, [(1, 1), (1, 1), (0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))
        return np.maximum(np.einsum("hwcyx,yxco->hwo", windows, weights[f"{name}/kernel"]) + weights[f"{name}/bias"], 0)

    def pool(x: np.ndarray) -> np.ndarray:
        return x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2, -1).max(axis=(1, 3))

    x = convolution(pool(convolution(pool(convolution(pixels[0] / 255, "conv1")), "conv2")), "conv3").reshape(-1)
    x = np.maximum(x @ weights["dense1/kernel"] + weights["dense1/bias"], 0) @ weights["logits/kernel"] + weights["logits/bias"]
    assert np.abs(np.asarray(network(pixels))[0] - x).max() < 1e-3


def test_dropout_acts_in_training_only():
    pixels = keras.Input((32, 32, 3))
    model = keras.Model(pixels, cnn(pixels, 10, 0.5))
    images = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    at_rest = [np.asarray(model(images, training=False)) for _ in range(2)]
    assert (at_rest[0] == at_rest[1]).all()
    assert (np.asarray(model(images, training=True)) != np.asarray(model(images, training=True))).any()
