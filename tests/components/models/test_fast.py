"""The classifier for a time budget: its size worked out by hand, any number of classes and pixels, saved and loaded alike."""

import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION
from components.models.catalog import Design, build
from components.models.classifiers.fast import KERNEL_RMS, FixedSize, PassThrough
from components.models.summary import rows, total_flops
from components.train.muon import Muon

# 3x3 kernels without bias, a shift and two statistics an output channel, and the whitened patches before them.
CONVOLUTIONS = [(64, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256)]
SIDES = [16, 8, 8, 4, 4, 2]
WHITENING = 4 * 4 * 3 * 64 + 64


def photographs(count: int, size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build(Design(CLASSIFICATION, "fast", 10, 32, 0.0), None)[0]


def test_its_parameters_and_flops_are_those_worked_out_by_hand(network):
    learnt = sum(9 * inputs * outputs + outputs for inputs, outputs in CONVOLUTIONS) + 256 * 10
    assert sum(int(np.prod(weight.shape)) for weight in network.trainable_variables) == learnt
    assert network.count_params() == learnt + sum(2 * outputs for _, outputs in CONVOLUTIONS) + WHITENING
    convolved = sum(2 * 9 * inputs * outputs * side**2 for (inputs, outputs), side in zip(CONVOLUTIONS, SIDES, strict=True))
    assert total_flops(network) == 2 * 48 * 64 * 16**2 + convolved + 2 * 256 * 10


def test_its_feature_maps_halve_from_sixteen(network):
    outputs = {row.name: row.output for row in rows(network)}
    assert outputs["whiten"] == (16, 16, 64)
    assert [outputs[f"block{number}_conv2"] for number in (1, 2, 3)] == [(8, 8, 64), (4, 4, 128), (2, 2, 256)]


@pytest.mark.parametrize(("classes", "size"), [(2, 28), (7, 33), (10, 96)])
def test_it_takes_any_classes_and_sizes_and_loads_in_safe_mode_as_it_was(tmp_path, classes, size):
    network, _ = build(Design(CLASSIFICATION, "fast", classes, size, 0.1), None)
    pixels = photographs(3, size)
    network.get_layer("whiten").adapt(pixels)
    network.save(tmp_path / "fast.keras")
    loaded = keras.models.load_model(tmp_path / "fast.keras", safe_mode=True)
    answers = np.asarray(loaded(pixels))
    assert answers.shape == (3, classes) and np.isfinite(answers).all()
    np.testing.assert_array_equal(answers, np.asarray(network(pixels)))


def test_a_network_that_begins_by_passing_its_input_through_does():
    layer = keras.layers.Conv2D(5, 3, padding="same", use_bias=False, kernel_initializer=PassThrough())
    pixels = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    passed = np.asarray(layer(pixels))
    np.testing.assert_allclose(passed[..., :3], pixels, rtol=1e-6)
    assert np.abs(passed[..., 3:]).min() > 0


def test_a_kernel_keeps_its_size_whatever_the_update():
    kernel = np.random.default_rng(0).normal(5, 3, (3, 3, 4, 8)).astype(np.float32)
    kept = np.asarray(FixedSize(0.25)(kernel))
    assert np.sqrt((kept**2).mean()) == pytest.approx(0.25, rel=1e-5)
    np.testing.assert_allclose(kept / kept.max(), kernel / kernel.max(), rtol=1e-5)
    assert (np.asarray(FixedSize(0.25)(np.zeros((3, 3, 1, 1), np.float32))) == 0).all()


def test_its_kernels_keep_their_size_while_muon_trains_it():
    network, _ = build(Design(CLASSIFICATION, "fast", 3, 32, 0.0), None)
    pixels, truth = photographs(12, 32), np.arange(12) % 3
    network.get_layer("whiten").adapt(pixels)
    whitening = np.asarray(network.get_layer("whiten").kernel)
    network.compile(Muon(0.02, momentum=0.6, ns_steps=3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    losses = network.fit(pixels, truth, batch_size=12, epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0] / 2
    kernels = [layer.kernel for layer in network.layers if layer.name.startswith("block") and isinstance(layer, keras.layers.Conv2D)]
    assert [float(keras.ops.sqrt(keras.ops.mean(kernel**2))) for kernel in kernels] == pytest.approx([KERNEL_RMS] * 6, rel=1e-4)
    np.testing.assert_array_equal(network.get_layer("whiten").kernel, whitening)
