"""Predictions: batches of any number, boxes on the image and not on its letterbox, sorted."""

import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras import ops

from components.models.catalog import ARCHITECTURES, Design, build, serving_model
from components.predict import BATCH, COLUMNS, detections, from_square, latency_ms, load_model, probabilities
from components.train.saving import save_model

SIDES = st.integers(1, 4000)


def mean_model() -> keras.Model:
    """(mean, 1 - mean) of the pixels, 0..1."""
    pixels = keras.Input((None, None, 3), dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, keras.layers.Lambda(lambda x: ops.concatenate([x[:, :1], 1 - x[:, :1]], axis=1), output_shape=(2,))(mean))


class Boxes(keras.layers.Layer):
    """Always the same rows, (B, M, 6)."""

    def __init__(self, rows: list[list[float]]) -> None:
        super().__init__()
        self.rows = np.array(rows, np.float32)

    def call(self, pixels):
        return ops.tile(ops.convert_to_tensor(self.rows)[None], [ops.shape(pixels)[0], 1, 1])

    def compute_output_shape(self, shape):
        return (shape[0], *self.rows.shape)


def box_model(*rows: list[float]) -> keras.Model:
    pixels = keras.Input((None, None, 3), dtype="uint8")
    return keras.Model(pixels, Boxes(list(rows))(pixels))


def images(*rows: tuple[str, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image_id", "width", "height"])


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 5])
def test_every_image_gets_its_own_answer_whatever_their_number(count):
    pixels = (np.arange(count) % 256).astype(np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    found = probabilities(mean_model(), pixels)
    assert found.shape == (count, 2) and found.dtype == np.float32
    assert found[:, 0] == pytest.approx((np.arange(count) % 256) / 255, abs=1e-6)


def test_boxes_are_told_in_the_image_and_not_in_its_letterbox():
    # 200 x 100 in its square: the image takes the middle half of the height
    model = box_model([0.1, 0.35, 0.5, 0.75, 0.9, 1], [0.0, 0.0, 1.0, 1.0, 0.4, 0], [0, 0, 0, 0, 0, -1])
    found = detections(model, np.zeros((1, 32, 32, 3), np.uint8), images(("a", 200, 100)), ["dog", "cat"])
    assert list(found.columns) == COLUMNS
    assert found["label"].tolist() == ["cat", "dog"] and found["image_id"].tolist() == ["a", "a"]
    assert found["confidence"].tolist() == pytest.approx([0.9, 0.4])
    corners = found[["x_min", "y_min", "x_max", "y_max"]].to_numpy()
    assert corners == pytest.approx(np.array([[0.1, 0.2, 0.5, 1.0], [0, 0, 1, 1]]), abs=1e-6)


def test_a_box_in_the_padding_alone_is_left_out():
    model = box_model([0.2, 0.0, 0.6, 0.2, 0.9, 0])
    assert detections(model, np.zeros((1, 32, 32, 3), np.uint8), images(("wide", 200, 100)), ["dog"]).empty
    assert len(detections(model, np.zeros((1, 32, 32, 3), np.uint8), images(("square", 100, 100)), ["dog"])) == 1


def test_no_image_and_no_box_give_the_columns_all_the_same():
    none = box_model([0, 0, 0, 0, 0, -1])
    for pixels, table in (
        (np.zeros((0, 32, 32, 3), np.uint8), images()),
        (np.zeros((2, 32, 32, 3), np.uint8), images(("a", 3, 4), ("b", 4, 3))),
    ):
        found = detections(none, pixels, table, ["dog"])
        assert found.empty and list(found.columns) == COLUMNS


def test_images_and_pixels_must_be_as_many():
    with pytest.raises(ValueError, match="shorter"):
        detections(box_model([0, 0, 1, 1, 0.5, 0]), np.zeros((2, 32, 32, 3), np.uint8), images(("a", 3, 4)), ["dog"])


@given(width=SIDES, height=SIDES, corners=st.tuples(*[st.floats(0, 1)] * 4))
def test_from_square_is_where_the_letterbox_puts_a_point(width, height, corners):
    """A point at fraction f of a side lies at padding + f * side pixels of the square whose side is the longer one."""
    side = max(width, height)
    left, top = (side - width) / 2, (side - height) / 2
    x_min, y_min, x_max, y_max = corners
    square = np.array([[left + x_min * width, top + y_min * height, left + x_max * width, top + y_max * height]]) / side
    assert from_square(square, width, height) == pytest.approx(np.array([corners]), abs=1e-9)


@given(width=SIDES, height=SIDES, corners=st.lists(st.tuples(*[st.floats(-3, 3, width=32)] * 4), min_size=1, max_size=4))
def test_from_square_never_leaves_the_image(width, height, corners):
    found = from_square(np.array(corners, np.float32), width, height)
    assert ((found >= 0) & (found <= 1)).all()


def noted(told):
    """A network that tells `told` of every batch it is shown."""

    class Noted(keras.layers.Layer):
        def call(self, pixels):
            import tensorflow as tf

            tf.numpy_function(told, [pixels], [])
            return ops.cast(pixels, "float32")

    pixels = keras.Input((8, 8, 3), dtype="uint8")
    return keras.Model(pixels, Noted()(pixels))


def test_latency_is_a_time_and_calls_one_image_at_a_time_and_once_to_warm_up():
    seen = []
    took = latency_ms(noted(lambda found: seen.append(found.shape)), np.zeros((3, 1, 8, 8, 3), np.uint8), count=5)
    assert 0 < took.p50 <= took.p99 < 10_000
    assert seen == [(1, 8, 8, 3)] * 6


def test_the_latency_of_a_photograph_is_that_of_all_its_tiles():
    seen = []

    def look(batch):
        seen.append(len(batch))
        time.sleep(0.02 * len(batch))

    photographs = [np.zeros((tiles, 8, 8, 3), np.uint8) for tiles in (1, 4)]
    took = latency_ms(noted(look), photographs, count=4)
    assert seen == [4, 4, 1, 1, 4, 1]  # each number of tiles once to warm up, then four photographs in turn
    assert took.p50 >= 49 and 79 <= took.p99 < 2000
    seen.clear()
    latency_ms(noted(lambda batch: seen.append(len(batch))), [np.zeros((BATCH + 3, 8, 8, 3), np.uint8)], count=2)
    assert seen == [BATCH, 3, BATCH, 3, BATCH, 3]


def test_a_saved_model_predicts_the_same(tmp_path):
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    model = keras.Model(
        pixels, keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(pixels)))
    )
    save_model(model, tmp_path / "m.keras")
    images_ = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3)).astype(np.uint8)
    assert (probabilities(load_model(tmp_path / "m.keras"), images_) == probabilities(model, images_)).all()


@pytest.mark.slow
def test_every_network_loads_where_nothing_but_the_predictor_was_imported(tmp_path):
    for task, names in ARCHITECTURES.items():
        for name in names:
            design = Design(task, name, 3, 64, 0.0)
            save_model(serving_model(build(design, None)[0], design), tmp_path / f"{name}.keras")
    code = (
        "import sys; from pathlib import Path; from components.predict import load_model\n"
        "for file in sorted(Path(sys.argv[1]).glob('*.keras')): load_model(file); print(file.stem)"
    )
    found = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert found.stdout.split() == sorted(name for names in ARCHITECTURES.values() for name in names), found.stderr[-2000:]
