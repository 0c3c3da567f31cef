"""Backbones of keras.applications: names, preprocessing, counts, and the weights that Keras downloads, without a network."""

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.utils import file_utils

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError, ServiceError, UsageError
from components.models import freezing, transfer
from components.models.catalog import Design, below_head, build, serving_model
from components.models.sizes import usual_size
from components.models.summary import unallocated

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype(np.uint8)


def test_names_are_keras_own_in_snake_case():
    expected = "vgg16 resnet50 resnet152_v2 mobilenet mobilenet_v2 mobilenet_v3_large inception_v3 inception_resnet_v2 xception densenet121"
    expected += " nasnet_mobile efficientnet_b0 efficientnet_v2_b0 efficientnet_v2_s convnext_tiny convnext_xlarge"
    assert set(expected.split()) <= set(transfer.NETWORKS)
    assert transfer.NETWORKS["resnet50_v2"] is keras.applications.ResNet50V2


@pytest.mark.parametrize("name", transfer.NETWORKS)
def test_preprocessing_inside_is_the_network_s_own(name):
    given = keras.Input((96, 96, 3), dtype="uint8")
    module = getattr(keras.applications, transfer.NETWORKS[name].__module__.rpartition(".")[2])
    inside = keras.Model(given, transfer.preprocessed(name, given))
    expected = module.preprocess_input(PIXELS.astype(np.float32))
    assert np.abs(np.asarray(inside(PIXELS), np.float32) - expected).max() < 1e-4


MAPS = {  # the layers that readers of these networks' papers would choose, and their channels
    "mobilenet_v2": {8: ("block_6_expand_relu", 192), 16: ("block_13_expand_relu", 576), 32: ("out_relu", 1280)},
    "resnet50_v2": {8: ("conv3_block4_preact_relu", 512), 16: ("conv4_block6_preact_relu", 1024), 32: ("post_relu", 2048)},
    "resnet50": {8: ("conv3_block4_out", 512), 16: ("conv4_block6_out", 1024), 32: ("conv5_block3_out", 2048)},
    "vgg16": {8: ("block4_conv3", 512), 16: ("block5_conv3", 512), 32: ("block5_pool", 512)},
    "efficientnet_b0": {8: ("block4a_expand_activation", 240), 16: ("block6a_expand_activation", 672), 32: ("top_activation", 1280)},
}


@pytest.mark.parametrize("name", transfer.PYRAMIDS)
def test_a_detector_stands_on_the_last_maps_of_every_stride(name):
    pixels = keras.Input((96, 96, 3), dtype="uint8")
    maps, _ = unallocated(lambda: (transfer.pyramid(name, pixels), None))
    assert {stride: (96 // one.shape[1], 96 // one.shape[2]) for stride, one in maps.items()} == {8: (8, 8), 16: (16, 16), 32: (32, 32)}
    source = maps[32]._keras_history.operation.input
    layers_read = {stride: (source if stride == 32 else one) for stride, one in maps.items()}
    assert {stride: (one._keras_history.operation.name, one.shape[-1]) for stride, one in layers_read.items()} == MAPS[name]


# name, head, pixels, classes: all parameters, those that learn while the backbone is frozen
COUNTS = {
    ("vgg16", "course", 32, 10): (14_789_258, 74_570),
    ("mobilenet_v2", "course", 32, 10): (2_430_858, 172_874),
    ("resnet50_v2", "course", 32, 10): (23_835_978, 271_178),
    ("mobilenet_v2", "pooled", 224, 1000): (3_538_984, 1_281_000),
    ("resnet50", "pooled", 224, 1000): (25_636_712, 2_049_000),
    ("densenet121", "pooled", 224, 1000): (8_062_504, 1_025_000),
    ("efficientnet_v2_b0", "pooled", 224, 1000): (7_200_312, 1_281_000),
    ("inception_v3", "pooled", 299, 1000): (23_851_784, 2_049_000),
    ("xception", "pooled", 299, 1000): (22_910_480, 2_049_000),
}


@pytest.mark.parametrize("asked", COUNTS, ids=lambda asked: asked[0])
def test_counts_are_as_published(asked):
    name, head, size, classes = asked
    design = Design(CLASSIFICATION, name, classes, size, 0.0, head)
    model, _ = unallocated(lambda: build(design, None))
    freezing.freeze_all(model, below_head(model, design))
    assert (model.count_params(), sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)) == COUNTS[asked]


@pytest.mark.slow
@pytest.mark.parametrize("name", transfer.NETWORKS)
def test_every_network_builds_at_its_usual_size_which_is_keras_own(name):
    own = unallocated(lambda: transfer.NETWORKS[name](weights=None))
    assert own.input_shape[1] in (usual_size(name), None)
    model, _ = unallocated(lambda: build(Design(CLASSIFICATION, name, 1000, usual_size(name), 0.0, "pooled"), None))
    assert model.output_shape == (None, 1000)


class Downloads:
    """Stands for Keras' server: it answers a network's weights, made here, whatever is asked for."""

    def __init__(self, path):
        self.path = path

    def __call__(self, name, origin, **_):
        return str(self.path)


def official_weights(name, place, monkeypatch):
    """A file of random weights as Keras would download it, and the network that Keras makes of it."""
    source = transfer.NETWORKS[name](weights=None, include_top=False, input_shape=(96, 96, 3))
    rng = np.random.default_rng(1)
    for layer in source.layers:
        drawn = [rng.normal(0, 0.05, weight.shape) for weight in layer.get_weights()]
        layer.set_weights([np.abs(value) + 0.01 if value.ndim == 1 else value for value in drawn])  # variances among them
        if isinstance(layer, layers.Normalization) and layer.weights:  # as in Keras' files: deviations where variances belong
            layer.set_weights([np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225]), np.array(0)])
    source.save_weights(place)
    monkeypatch.setattr(file_utils, "get_file", Downloads(place))
    return transfer.NETWORKS[name](weights="imagenet", include_top=False, input_shape=(96, 96, 3))


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2",
        pytest.param("vgg16", marks=pytest.mark.slow),
        pytest.param("resnet50_v2", marks=pytest.mark.slow),
        pytest.param("efficientnet_b0", marks=[pytest.mark.slow, pytest.mark.ci]),
        pytest.param("mobilenet_v3_small", marks=pytest.mark.slow),
    ],
)
def test_with_downloaded_weights_photographs_give_what_keras_own_network_gives(name, tmp_path, monkeypatch):
    official = official_weights(name, tmp_path / "official.weights.h5", monkeypatch)
    module = getattr(keras.applications, transfer.NETWORKS[name].__module__.rpartition(".")[2])
    expected = np.asarray(official(module.preprocess_input(PIXELS.astype(np.float32)), training=False))
    design = Design(CLASSIFICATION, name, 4, 96, 0.0, "pooled")
    model, filled = build(design, "imagenet")
    assert {"pool", "logits"}.isdisjoint(filled) and set(filled) == {layer.name for layer in model.layers if layer.weights} - {"logits"}
    maps = keras.Model(model.input, model.get_layer("pool").input)
    scale = np.abs(expected).max()
    assert scale > 0 and np.abs(np.asarray(maps(PIXELS, training=False)) - expected).max() < 1e-4 * scale
    served, logits = serving_model(model, design), np.asarray(model(PIXELS, training=False), np.float64)
    softmax = np.exp(logits - logits.max(1, keepdims=True))
    assert np.abs(np.asarray(served(PIXELS)) - softmax / softmax.sum(1, keepdims=True)).max() < 1e-4


def test_a_detector_s_backbone_answers_what_the_official_network_does(monkeypatch, tmp_path):
    official = official_weights("mobilenet_v2", tmp_path / "official.weights.h5", monkeypatch)
    model, filled = build(Design(DETECTION, "yolo_mobilenet_v2", 2, 96, 0.0), "imagenet")
    assert set(filled) == {layer.name for layer in official.layers if layer.weights}
    theirs = np.asarray(official(PIXELS / np.float32(127.5) - 1))
    ours = np.asarray(keras.Model(model.input, model.get_layer(transfer.BACKBONE).output)(PIXELS))
    assert np.ptp(theirs) > 0 and np.abs(ours - theirs).max() < 1e-3 * np.max(theirs)


@pytest.mark.parametrize("include_top", [False, True])
def test_a_file_of_keras_fills_the_backbone_with_its_top_or_without(include_top, tmp_path):
    source = keras.applications.MobileNet(weights=None, include_top=include_top, input_shape=(224, 224, 3))
    source.save_weights(tmp_path / "own.weights.h5")
    model, filled = build(Design(CLASSIFICATION, "mobilenet", 4, 224, 0.0, "pooled"), tmp_path / "own.weights.h5")
    assert set(filled) == {layer.name for layer in model.layers if layer.weights} - {"logits"}
    pixels = np.random.default_rng(2).integers(0, 256, (1, 224, 224, 3)).astype(np.uint8)
    theirs = keras.Model(source.input, source.get_layer("conv_pw_13_relu").output)(pixels / 127.5 - 1)
    ours = keras.Model(model.input, model.get_layer("conv_pw_13_relu").output)(pixels)
    assert np.ptp(theirs) > 0 and np.abs(np.asarray(ours) - np.asarray(theirs)).max() < 1e-4 * np.max(theirs)


def test_a_file_of_another_network_is_refused(tmp_path):
    keras.applications.MobileNet(weights=None, include_top=False, input_shape=(96, 96, 3)).save_weights(tmp_path / "own.weights.h5")
    with pytest.raises(DataError, match=r"own\.weights\.h5 holds no weights of mobilenet_v2"):
        build(Design(CLASSIFICATION, "mobilenet_v2", 4, 96, 0.0), tmp_path / "own.weights.h5")


def test_without_internet_the_message_names_what_serves(monkeypatch):
    def unreachable(*_, **__):
        raise Exception("URL fetch failure on https://storage.googleapis.com/x.h5: None -- [Errno -2] Name or service not known")

    monkeypatch.setattr(file_utils, "get_file", unreachable)
    with pytest.raises(
        ServiceError, match=r"mobilenet_v2 could not be downloaded .*`weights: sample`, a file of weights, or `models:/NAME@ALIAS`"
    ):
        build(Design(CLASSIFICATION, "mobilenet_v2", 4, 96, 0.0), "imagenet")


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Design(CLASSIFICATION, "efficientnet_lite0", 4, 96, 0.0), "use `weights: sample`"),
        (Design(CLASSIFICATION, "resnet18", 4, 96, 0.0), "have no resnet18: choose one of convnext_base"),
        (Design(CLASSIFICATION, "vgg16", 4, 32, 0.0, "published"), "leave head out"),
    ],
)
def test_networks_that_keras_has_no_weights_of_say_so(design, message):
    with pytest.raises(UsageError, match=message):
        build(design, "imagenet")


@pytest.mark.parametrize(
    ("name", "start"), [("mobilenet_v2", "block_16"), pytest.param("convnext_tiny", "convnext_tiny_stage_3", marks=pytest.mark.slow)]
)
def test_fine_tuning_keeps_batch_norm_still_and_begins_where_it_is_told(name, start):
    design = Design(CLASSIFICATION, name, 2, 32, 0.0, "pooled")
    model, _ = build(design, None)
    pretrained = [layer for layer in below_head(model, design) if model.get_layer(layer).weights]
    freezing.freeze_all(model, pretrained)
    assert {weight.path.split("/")[0] for weight in model.trainable_weights} == {"logits"}
    freezing.unfreeze_from(model, pretrained, start)
    learning = [layer.name for layer in model.layers if layer.trainable_weights]
    assert learning[0].startswith(start) and learning[-1] == "logits"
    before = {layer.name: layer.get_weights() for layer in model._flatten_layers() if isinstance(layer, layers.BatchNormalization)}
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.train_on_batch(PIXELS[:, :32, :32], np.eye(2))
    for layer_name, values in before.items():
        assert all((old == new).all() for old, new in zip(values, model.get_layer(layer_name).get_weights(), strict=True))


def test_batch_norm_inside_a_network_inside_is_kept_still_too():
    inner = keras.Sequential([layers.Conv2D(3, 1, name="inner_conv"), layers.BatchNormalization(name="inner_bn")], name="block1")
    pixels = keras.Input((4, 4, 3))
    model = keras.Model(pixels, layers.Dense(2, name="logits")(layers.Flatten()(inner(pixels))))
    freezing.freeze_all(model, ["block1"])
    assert not inner.trainable_weights
    freezing.unfreeze_from(model, ["block1"], "block1")
    assert {weight.path.split("/")[-2] for weight in model.trainable_weights} == {"inner_conv", "logits"}
