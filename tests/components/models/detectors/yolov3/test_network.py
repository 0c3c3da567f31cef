"""The network of YOLOv3: what its rows are, what it begins with, and its file."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models.detectors.family import PRIOR
from components.models.detectors.inference import inference_model
from components.models.detectors.yolov3.anchors import COCO
from components.models.detectors.yolov3.network import build_yolov3, yolov3

ANCHORS = tuple((0.1 * k, 0.1 * k) for k in range(1, 10))
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    return build_yolov3(3, 64)


@pytest.mark.parametrize(("classes", "filters"), [(80, 255), (20, 75), (1, 18)])
def test_each_map_answers_by_as_many_filters_as_published(classes, filters):
    with keras.StatelessScope(initialize_variables=False):
        model = build_yolov3(classes, 416)
    assert [model.get_layer(f"answers{stride}").output.shape[1:] for stride in (8, 16, 32)] == [
        (52, 52, filters),
        (26, 26, filters),
        (13, 13, filters),
    ]
    assert model.output_shape == (None, 10_647, 5 + classes)  # the boxes YOLOv3 predicts at 416 pixels


def test_it_begins_with_objectness_of_the_prior_and_boxes_like_the_anchors(network):
    raw = network(PIXELS, training=True)
    assert raw.shape == (2, 3 * (64 + 16 + 4), 8)
    assert np.median(tf.sigmoid(raw[..., 4])) == pytest.approx(PRIOR, rel=0.5)  # the last layer's weights are small, not zero
    boxes, scores = yolov3(ANCHORS).decoding(64)(raw)
    size = np.asarray(boxes[..., 2:] - boxes[..., :2]).reshape(2, -1, 3, 2)
    np.testing.assert_allclose(np.median(size[:, :64], axis=(0, 1)), ANCHORS[:3], rtol=0.3)
    np.testing.assert_allclose(np.median(size[:, 80:], axis=(0, 1)), ANCHORS[6:], rtol=0.3)
    assert scores.shape == (2, 252, 3)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_raw_rows_are_float32_under_every_policy(policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = build_yolov3(2, 32)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    assert model(PIXELS[:, :32, :32]).dtype == tf.float32


def test_every_weight_learns(network):
    y_true = np.array([[[0, 0.1, 0.1, 0.15, 0.15], [1, 0.2, 0.2, 0.4, 0.4], [2, 0.1, 0.1, 0.9, 0.9]]] * 2, np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(yolov3(COCO).loss(3, 64).call(y_true, network(PIXELS, training=True)))
    gradients = tape.gradient(loss, network.trainable_variables)
    still = [v.path for v, gradient in zip(network.trainable_variables, gradients, strict=True) if gradient is None or not np.any(gradient)]
    assert still == []


def test_saves_and_loads_in_safe_mode_with_its_anchors(network, tmp_path):
    detect = inference_model(network, yolov3(ANCHORS).decoding(64), score_threshold=0.001)
    detect.save(tmp_path / "detector.keras")
    loaded = keras.models.load_model(tmp_path / "detector.keras", safe_mode=True)
    assert loaded.get_layer("decoding").anchors == ANCHORS
    image = np.random.default_rng(0).integers(0, 256, (2, 50, 90, 3)).astype(np.uint8)
    np.testing.assert_array_equal(loaded(image), detect(image))
    assert (np.asarray(detect(image))[..., 5] >= 0).any()


def test_an_image_size_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiple of 32"):
        build_yolov3(1, 100)
