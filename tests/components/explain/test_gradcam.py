"""Grad-CAM against what it must be: CAM where a network pools, inside the object where one is, the same however wrapped."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import layers

from components.data.tables import CLASSIFICATION
from components.errors import UsageError
from components.explain.gradcam import BATCH, grad_cam, overlay
from components.explain.trace import trace
from components.models import catalog
from tests.components.explain.networks import photographs, pooled, served, set_kernel

RNG = np.random.default_rng(3)
KERNEL, WEIGHTS = RNG.normal(size=(1, 1, 3, 5)), RNG.normal(size=(5, 4))


def cam(pixels: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """relu of the class activation map of `pooled(KERNEL, WEIGHTS)` (Zhou et al. 2016), (N, K, h, w)."""
    maps = np.maximum(np.einsum("nhwc,cf->nhwf", pixels / 255, KERNEL[0, 0]), 0)
    return np.maximum(np.einsum("nhwf,fnk->nkhw", maps, WEIGHTS[:, classes]), 0)


def test_where_a_network_pools_it_is_the_class_activation_map_over_its_area() -> None:
    pixels, classes = photographs(3, 6), np.array([[0, 1], [2, 3], [3, 0]])
    heat = grad_cam(pooled(KERNEL, WEIGHTS, 6), pixels, classes)
    assert heat.shape == (3, 2, 6, 6) and heat.max() > 0
    np.testing.assert_allclose(heat, cam(pixels, classes) / 36, rtol=1e-4, atol=1e-7)


def test_many_images_are_worked_on_in_parts_and_each_has_its_own_heat() -> None:
    pixels, classes = photographs(BATCH + 3, 6), np.full((BATCH + 3, 1), 2)
    np.testing.assert_allclose(grad_cam(pooled(KERNEL, WEIGHTS, 6), pixels, classes), cam(pixels, classes) / 36, rtol=1e-4, atol=1e-7)


def as_saved(model: keras.Model) -> keras.Model:
    return served(model)


def as_sequential(model: keras.Model) -> keras.Model:
    return keras.Sequential([keras.Input((6, 6, 3), dtype="uint8"), *model.layers[1:], layers.Activation("softmax")])


def with_activation_in_its_last_layer(model: keras.Model) -> keras.Model:
    last = layers.Dense(4, activation="softmax", bias_initializer="ones", name="last")
    outputs = last(model.get_layer("pool").output)
    last.kernel.assign(model.get_layer("logits").kernel)
    return keras.Model(model.input, outputs)


def with_a_backbone(model: keras.Model) -> keras.Model:
    backbone = keras.Model(model.input, model.get_layer("conv").output, name="backbone")
    pixels = keras.Input((6, 6, 3), dtype="uint8")
    return served(keras.Model(pixels, model.get_layer("logits")(model.get_layer("pool")(backbone(pixels)))))


def frozen(model: keras.Model) -> keras.Model:
    model.trainable = False
    return model


@pytest.mark.parametrize("wrap", [as_saved, as_sequential, with_activation_in_its_last_layer, with_a_backbone, frozen])
def test_it_is_of_the_scores_before_the_softmax_however_the_network_is_wrapped(wrap) -> None:
    pixels, classes = photographs(2, 6), np.array([[1], [2]])
    np.testing.assert_allclose(grad_cam(wrap(pooled(KERNEL, WEIGHTS, 6)), pixels, classes), cam(pixels, classes) / 36, rtol=1e-4, atol=1e-7)


def test_of_two_classes_each_is_explained_by_what_speaks_against_the_other() -> None:
    pixels, classes = photographs(2, 6), np.array([[0, 1], [1, 0]])
    model = pooled(KERNEL, WEIGHTS[:, :1], 6)  # one sigmoid unit
    unit = keras.Model(model.input, layers.Activation("sigmoid")(model.output))
    both = pooled(KERNEL, np.concatenate([np.zeros((5, 1)), WEIGHTS[:, :1]], axis=1), 6)
    maps = np.maximum(np.einsum("nhwc,cf->nhwf", pixels / 255, KERNEL[0, 0]), 0) @ WEIGHTS[:, 0] / 36
    expected = np.maximum(np.stack([np.stack([-maps[0], maps[0]]), np.stack([maps[1], -maps[1]])]), 0)
    for network in (unit, both):
        np.testing.assert_allclose(grad_cam(network, pixels, classes), expected, rtol=1e-4, atol=1e-7)


def red_or_not(flat: bool) -> keras.Model:
    """Two convolutions and a pooling that find saturated red, then a flattened or pooled head; class 0 is red."""
    pixels = keras.Input((32, 32, 3), dtype="uint8", name="image")
    x = layers.Rescaling(1 / 255)(pixels)
    x = layers.Conv2D(2, 3, padding="same", use_bias=False, activation="relu", name="conv1")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(2, 1, use_bias=False, activation="relu", name="conv2")(x)
    x = layers.Flatten()(x) if flat else layers.GlobalAveragePooling2D()(x)
    model = keras.Model(pixels, layers.Dense(3, use_bias=False, name="logits")(x))
    red = np.array([1.0, -1.0, -1.0])
    set_kernel(model.get_layer("conv1"), np.broadcast_to(np.stack([red, -red], -1) / 9, (3, 3, 3, 2)))
    set_kernel(model.get_layer("conv2"), np.eye(2)[None, None])
    head = np.tile([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5]], (16 * 16 if flat else 1, 1))
    set_kernel(model.get_layer("logits"), head)
    return model


@pytest.mark.parametrize("flat", [False, True])
def test_the_heat_of_red_lies_on_the_red_square(flat: bool) -> None:
    pixels = np.full((1, 32, 32, 3), 110, np.uint8)
    pixels[0, 6:16, 18:28] = (230, 20, 20)
    heat = grad_cam(red_or_not(flat), pixels, np.array([[0, 1]]))[0]
    within = np.zeros((16, 16), bool)
    within[3:8, 9:14] = True
    assert heat[0][within].sum() == pytest.approx(heat[0].sum()) and heat[0][within].min() > 0
    assert heat[1][within].max() < heat[1][~within].min()  # the other class sees the grey around it


def test_a_named_layer_is_looked_at_and_an_unknown_one_named_nearest() -> None:
    model, pixels = red_or_not(False), photographs(1, 32)
    assert grad_cam(model, pixels, np.array([[0]])).shape == (1, 1, 16, 16)
    assert grad_cam(model, pixels, np.array([[0]]), "conv1").shape == (1, 1, 32, 32)
    with pytest.raises(UsageError, match=r"no layer 'conv3'.*did you mean 'conv[12]'"):
        grad_cam(model, pixels, np.array([[0]]), "conv3")


def test_a_network_without_a_convolution_has_no_heat() -> None:
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    model = keras.Model(pixels, layers.Dense(3)(layers.Flatten()(layers.Rescaling(1 / 255)(pixels))))
    with pytest.raises(UsageError, match="no convolution"):
        grad_cam(model, photographs(1, 8), np.array([[0]]))


def check(architecture: str, size: int) -> None:
    keras.utils.set_random_seed(0)
    design = catalog.Design(CLASSIFICATION, architecture, 5, size, 0.1)
    model = catalog.serving_model(catalog.build(design, None)[0], design)
    pixels = photographs(2, size)
    done = trace(model, pixels)
    odds = np.exp(np.asarray(done.scores) - np.asarray(done.scores).max(axis=1, keepdims=True))
    np.testing.assert_allclose(odds / odds.sum(axis=1, keepdims=True), model.predict_on_batch(pixels), atol=1e-4)
    heat = grad_cam(model, pixels, np.array([[0, 1], [4, 3]]))
    assert heat.shape == (2, 2, *done.deepest().side) and min(heat.shape[2:]) > 1
    assert np.isfinite(heat).all() and (heat >= 0).all() and heat.max() > 0


@pytest.mark.parametrize("architecture", ["cnn", "cnn_malaria", "lenet5"])
def test_small_networks_show_where_they_look(architecture: str) -> None:
    check(architecture, 48)


def test_a_network_that_looks_at_mirror_images_too_shows_where_it_looks_at_the_pictures() -> None:
    design = catalog.Design(CLASSIFICATION, "cnn", 3, 48, 0.0)
    trained = catalog.build(design, None)[0]
    shown, classes = np.random.default_rng(0).integers(0, 256, (2, 48, 48, 3)).astype(np.uint8), np.array([[0, 1], [2, 0]])
    plain = grad_cam(catalog.serving_model(trained, design), shown, classes)
    both = grad_cam(catalog.serving_model(trained, replace(design, mirror=True)), shown, classes)
    np.testing.assert_allclose(2 * both, plain, rtol=1e-4, atol=1e-6 * plain.max())  # half of the mean is the picture's own


# Of keras.applications one a family: the others differ by their depth and width alone.
FAMILIES = (
    *("convnext_tiny", "densenet121", "efficientnet_b0", "efficientnet_v2_b0", "inception_resnet_v2", "inception_v3", "mobilenet"),
    *("mobilenet_v2", "mobilenet_v3_small", "nasnet_mobile", "resnet50_v2", "xception"),
)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", [*catalog.OWN, catalog.LITE0, *FAMILIES])
def test_every_architecture_shows_where_it_looks(architecture: str) -> None:
    check(architecture, 96)


def test_an_overlay_is_grey_where_it_is_cold_and_coloured_where_it_is_warm() -> None:
    photograph = np.zeros((40, 40, 3), np.uint8) + np.array([200, 100, 50], np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[:, 3] = 0.01  # only the share of the greatest counts
    shown = overlay(photograph, heat).astype(int)
    assert shown.shape == (40, 40, 3) and np.ptp(shown[:, :20], axis=2).max() == 0
    assert np.ptp(shown[:, 36:], axis=2).min() > 40 and (shown[:, 36:, 0] > shown[:, 36:, 2]).all()  # red is hot
    assert np.ptp(overlay(photograph, np.zeros((4, 4), np.float32)), axis=2).max() == 0
