"""The served detector: its geometry, its suppression and its file, with a model whose answer is known."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.models.detectors.decode import Decoding, anchor_grid
from components.models.detectors.inference import inference_model
from components.models.detectors.yolo import SIZES, build_yolo, scratch_backbone

SIZE = 64
CENTRES, STRIDES = anchor_grid(SIZE)


def answering(boxes: list[tuple[float, ...]], classes: int = 2) -> keras.Model:
    """A model that says (x_min, y_min, x_max, y_max in pixels of the square, class, logit) for any image."""
    raw = np.zeros((1, len(CENTRES), 4 + classes), np.float32)
    raw[..., 4:] = -20
    for anchor, (*corners, label, logit) in enumerate(boxes):
        box = np.array(corners)
        raw[0, anchor, :2] = ((box[:2] + box[2:]) / 2 - CENTRES[anchor]) / STRIDES[anchor]
        raw[0, anchor, 2:4] = np.log((box[2:] - box[:2]) / STRIDES[anchor])
        raw[0, anchor, 4 + int(label)] = logit
    pixels = keras.Input((SIZE, SIZE, 3), dtype="uint8")
    flat = keras.layers.Flatten()(keras.layers.Rescaling(0.0)(pixels))
    rows = keras.layers.Dense(raw.size, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(0))
    model = keras.Model(pixels, keras.layers.Reshape(raw.shape[1:])(rows(flat)))
    rows.bias.assign(raw.ravel())
    return model


def test_boxes_come_back_on_the_photograph():
    # A photograph of 128 x 64 is shrunk by half to 64 x 32 and lies 16 pixels from the top.
    detect = inference_model(answering([(8, 24, 24, 40, 1, 3.0)]), Decoding(SIZE))
    rows = np.asarray(detect(np.zeros((1, 64, 128, 3), np.uint8)))
    assert rows.shape == (1, 100, 6)
    score = 1 / (1 + np.exp(-3.0))
    np.testing.assert_allclose(rows[0, 0], [8 / 64, 8 / 32, 24 / 64, 24 / 32, score, 1], atol=1e-5)
    assert (rows[0, 1:, 5] == -1).all()
    assert not rows[0, 1:, :5].any()


def test_duplicates_are_suppressed_within_a_class_only():
    boxes = [(10, 10, 30, 30, 0, 3.0), (11, 10, 31, 30, 0, 2.0), (10, 10, 30, 30, 1, 1.0), (40, 40, 60, 60, 0, 0.5)]
    rows = np.asarray(inference_model(answering(boxes), Decoding(SIZE))(np.zeros((1, SIZE, SIZE, 3), np.uint8)))[0]
    rows = rows[rows[:, 5] >= 0]
    assert rows[:, 5].tolist() == [0, 1, 0]
    assert (np.diff(rows[:, 4]) < 0).all()


def test_what_lies_in_the_border_is_dropped_and_the_rest_is_clipped():
    boxes = [(4, 2, 20, 12, 0, 3.0), (-10, 20, 20, 40, 1, 2.0)]  # the first is wholly above the photograph
    rows = np.asarray(inference_model(answering(boxes), Decoding(SIZE))(np.zeros((1, 64, 128, 3), np.uint8)))[0]
    rows = rows[rows[:, 5] >= 0]
    np.testing.assert_allclose(rows[:, :4], [[0, 4 / 32, 20 / 64, 24 / 32]], atol=1e-5)


def test_low_scores_and_surplus_detections_are_left_out():
    detect = inference_model(answering([(10, 10, 30, 30, 0, -3.0)]), Decoding(SIZE), score_threshold=0.5)
    assert (np.asarray(detect(np.zeros((1, SIZE, SIZE, 3), np.uint8)))[..., 5] == -1).all()
    many = [(x, y, x + 6, y + 6, 0, 1.0) for x in range(0, 56, 8) for y in range(0, 56, 8)]
    found = np.asarray(inference_model(answering(many), Decoding(SIZE), max_detections=7)(np.zeros((1, SIZE, SIZE, 3), np.uint8)))
    assert found.shape == (1, 7, 6)
    assert (found[..., 5] == 0).all()


def test_saves_and_loads_in_safe_mode(tmp_path):
    model = build_yolo(3, SIZE, scratch_backbone(SIZES["n"]), width=16)
    detect = inference_model(model, Decoding(SIZE), score_threshold=0.001)
    detect.save(tmp_path / "detector.keras")
    loaded = keras.models.load_model(tmp_path / "detector.keras", safe_mode=True)
    image = np.random.default_rng(0).integers(0, 256, (2, 50, 90, 3)).astype(np.uint8)
    np.testing.assert_array_equal(loaded(image), detect(image))
    assert (np.asarray(detect(image))[..., 5] >= 0).any()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_raw_rows_are_float32_under_every_policy(policy):
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = build_yolo(5, 96, scratch_backbone(SIZES["n"]), width=16)
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    raw = model(np.zeros((2, 96, 96, 3), np.uint8))
    assert raw.shape == (2, 12 * 12 + 6 * 6 + 3 * 3, 9)
    assert raw.dtype == tf.float32
    assert 0.005 < np.median(tf.sigmoid(raw[..., 4:])) < 0.02  # the prior


def test_an_image_size_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="multiple of 32"):
        build_yolo(1, 100, scratch_backbone(SIZES["n"]), width=16)
