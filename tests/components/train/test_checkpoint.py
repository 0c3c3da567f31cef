"""Checkpoints: what was saved comes back to the bit; what is damaged, half or another training's never does."""

import json
import math
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from components.train import checkpoint
from components.train.checkpoint import Checkpoint


def made(value: float = 1.0, **about) -> Checkpoint:
    return Checkpoint({"model/0000": np.full((3, 2), value, np.float32), "sums/0000": np.array([value])}, {"key": "k", **about})


def value(found: Checkpoint | None) -> float | None:
    return None if found is None else float(found.arrays["sums/0000"][0])


ARRAYS = arrays_of.arrays(st.sampled_from(["f4", "f8", "i8", "u4", "bool"]), (2, 3))


@settings(deadline=None)
@given(st.dictionaries(st.text("abc/0123", min_size=1), ARRAYS, max_size=4))
def test_arrays_come_back_to_the_bit(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("c")
    checkpoint.save(folder, Checkpoint(arrays, {"key": "k"}))
    found = checkpoint.newest(folder, "k")
    assert found is not None and set(found.arrays) == set(arrays)
    for name, array in arrays.items():
        assert found.arrays[name].dtype == array.dtype and found.arrays[name].tobytes() == array.tobytes()


@settings(deadline=None)
@given(st.lists(st.floats(allow_nan=False), max_size=5))
def test_numbers_come_back_exactly_infinity_too(tmp_path_factory, numbers):
    folder = tmp_path_factory.mktemp("c")
    checkpoint.save(folder, Checkpoint({}, {"key": "k", "numbers": [*numbers, math.inf]}))
    found = checkpoint.newest(folder, "k")
    assert found is not None and found.about["numbers"] == [*numbers, math.inf]


def test_the_newest_two_are_kept_and_the_newest_is_read(tmp_path):
    for number in range(5):
        checkpoint.save(tmp_path, made(number))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000003", "00000004"]
    assert value(checkpoint.newest(tmp_path, "k")) == 4


def truncate(path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_format(path) -> None:
    about = json.loads((path.parent / "about.json").read_text())
    (path.parent / "about.json").write_text(json.dumps({**about, "format": 0}))


@pytest.mark.parametrize("damage", [truncate, flip, os.unlink, other_format, lambda path: path.write_bytes(b"")])
def test_a_damaged_one_costs_a_step_back(tmp_path, damage):
    checkpoint.save(tmp_path, made(1))
    damage(checkpoint.save(tmp_path, made(2)) / "arrays.npz")
    assert value(checkpoint.newest(tmp_path, "k")) == 1


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"format": 1}'])
def test_what_is_said_about_it_may_be_damaged_too(tmp_path, text):
    (checkpoint.save(tmp_path, made(1)) / "about.json").write_text(text)
    assert checkpoint.newest(tmp_path, "k") is None


def test_another_training_s_is_not_taken(tmp_path):
    checkpoint.save(tmp_path, made(1))
    assert checkpoint.newest(tmp_path, "other") is None
    checkpoint.save(tmp_path, made(2, key="other"))
    assert value(checkpoint.newest(tmp_path, "other")) == 2 and value(checkpoint.newest(tmp_path, "k")) == 1


def test_what_a_killed_writer_left_is_neither_read_nor_kept(tmp_path):
    half = tmp_path / "partial.123"
    half.mkdir()
    (half / "arrays.npz").write_bytes(b"half")
    assert checkpoint.newest(tmp_path, "k") is None
    checkpoint.save(tmp_path, made(1))
    assert [path.name for path in tmp_path.iterdir()] == ["00000000"]


def test_a_full_disk_leaves_the_earlier_ones_as_they_were(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, made(1))

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(tmp_path, made(2))
    assert [path.name for path in tmp_path.iterdir()] == ["00000000"]
    assert value(checkpoint.newest(tmp_path, "k")) == 1


def test_an_object_is_refused_rather_than_pickled(tmp_path):
    with pytest.raises(ValueError, match="allow_pickle"):
        checkpoint.save(tmp_path, Checkpoint({"a": np.array([{}], object)}, {"key": "k"}))
    assert not list(tmp_path.iterdir())


def test_removing_forgets_everything(tmp_path):
    checkpoint.save(tmp_path / "m", made(1))
    checkpoint.remove(tmp_path / "m")
    assert checkpoint.newest(tmp_path / "m", "k") is None and not (tmp_path / "m").exists()
