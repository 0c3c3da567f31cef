"""Equal weights, equal bytes; a reader never sees half a file, and never runs what it holds."""

import json
import os
import zipfile

import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError
from components.models.catalog import Design, build, serving_model
from components.predict import load_model
from components.train.saving import save_model

DESIGNS = [Design(CLASSIFICATION, "cnn", 3, 16, 0.1), Design(DETECTION, "yolo", 2, 32, 0.0)]


def served(design: Design, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return serving_model(build(design, None)[0], design)


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.architecture)
def test_equal_weights_give_equal_bytes_and_others_do_not(tmp_path, design):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        save_model(served(design, seed), tmp_path / f"{name}.keras")
    first, again, other = ((tmp_path / f"{name}.keras").read_bytes() for name in "abc")
    assert first == again != other
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.keras", "b.keras", "c.keras"]


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design.architecture)
def test_a_saved_model_answers_what_it_answered_and_saves_the_same_again(tmp_path, design):
    model = served(design, 1)
    save_model(model, tmp_path / "a.keras")
    found = load_model(tmp_path / "a.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 40, 24, 3)).astype(np.uint8)
    assert (np.asarray(found(pixels, training=False)) == np.asarray(model(pixels, training=False))).all()
    save_model(found, tmp_path / "b.keras")
    assert [x.tobytes() for x in load_model(tmp_path / "b.keras").get_weights()] == [x.tobytes() for x in model.get_weights()]


def test_layers_that_are_one_object_stay_one(tmp_path):
    shared = keras.initializers.RandomNormal(seed=3)
    pixels = keras.Input((3,), name="in")
    x = keras.layers.Dense(3, kernel_initializer=shared, name="a")(pixels)
    policies = keras.Model(pixels, keras.layers.Dense(3, kernel_initializer=shared, name="b")(x), name="m")
    save_model(policies, tmp_path / "a.keras")
    assert np.asarray(load_model(tmp_path / "a.keras")(np.ones((1, 3)))).tolist() == np.asarray(policies(np.ones((1, 3)))).tolist()


def test_the_file_holds_no_date_and_no_object_address(tmp_path):
    save_model(served(DESIGNS[0], 1), tmp_path / "a.keras")
    with zipfile.ZipFile(tmp_path / "a.keras") as archive:
        assert json.loads(archive.read("metadata.json"))["date_saved"].startswith("1980")
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        config = archive.read("config.json").decode()
    numbers = [int(part.split("}")[0].split(",")[0]) for part in config.split('"shared_object_id": ')[1:]]
    assert all(number <= len(numbers) for number in numbers)


@pytest.mark.parametrize("moment", ["save", "fsync"])
def test_an_interrupted_save_leaves_the_former_file(tmp_path, monkeypatch, moment):
    save_model(served(DESIGNS[0], 1), tmp_path / "a.keras")
    before = (tmp_path / "a.keras").read_bytes()

    def half(self, path, **_):
        path.write_bytes(b"PK half")
        raise KeyboardInterrupt

    def full(descriptor):
        raise OSError(28, "No space left on device")

    model = served(DESIGNS[0], 2)
    if moment == "save":
        monkeypatch.setattr(keras.Model, "save", half)
    else:
        monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((KeyboardInterrupt, OSError)):
        save_model(model, tmp_path / "a.keras")
    assert (tmp_path / "a.keras").read_bytes() == before


def test_a_model_that_would_run_code_is_refused(tmp_path):
    pixels = keras.Input((3,))
    model = keras.Model(pixels, keras.layers.Lambda(lambda x: x * 2, output_shape=(3,))(pixels))
    model.save(tmp_path / "a.keras")
    with pytest.raises(DataError, match=r"a\.keras is not a Keras model that can be read.*Lambda"):
        load_model(tmp_path / "a.keras")


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "one bit", "no weights"])
def test_a_damaged_model_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "a.keras"
    save_model(served(DESIGNS[0], 1), path)
    data = path.read_bytes()
    if damage == "no weights":
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", config)
    elif damage == "missing":
        path.unlink()
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        path.write_bytes({"empty": b"", "text": b"no model", "truncated": data[:middle], "one bit": flipped}[damage])
    with pytest.raises(DataError, match=r"a\.keras"):
        load_model(path)
