"""Files written opcode by opcode: tensors come out right, and nothing else comes out at all."""

import os
import pickle
import resource
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from components.errors import DataError
from components.models.torch_file import read_tensors
from tests.components.models.legacy_pth import MAGIC, file_of, legacy_file, number, state, storage, tensor, text, write

VALUES = np.arange(12, dtype=np.float32)
GOOD = file_of({"a.weight": VALUES.reshape(3, 4), "count": np.array(7, np.int64)})


def one(size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    return legacy_file(state({"t": tensor("0", b"FloatStorage", 12, size, stride, offset)}), {"0": storage(VALUES)})


def test_tensors_come_back_by_name_with_shape_type_and_values(tmp_path):
    found = read_tensors(write(tmp_path / "w.pth", GOOD))
    assert list(found) == ["a.weight", "count"]
    assert found["a.weight"].dtype == np.float32 and (found["a.weight"] == VALUES.reshape(3, 4)).all()
    assert found["count"].dtype == np.int64 and found["count"].shape == () and found["count"] == 7


def test_strides_and_offsets_are_honoured(tmp_path):
    found = read_tensors(write(tmp_path / "w.pth", one((2, 3), (1, 4), offset=1)))
    assert found["t"].tolist() == [[1, 5, 9], [2, 6, 10]]


def test_two_tensors_may_share_a_storage(tmp_path):
    views = {name: tensor("0", b"FloatStorage", 12, (6,), (1,), offset) for name, offset in (("low", 0), ("high", 6))}
    found = read_tensors(write(tmp_path / "w.pth", legacy_file(state(views), {"0": storage(VALUES)})))
    assert found["low"].tolist() == [0, 1, 2, 3, 4, 5] and found["high"].tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize(
    ("size", "stride", "offset"),
    [
        ((13,), (1,), 0),
        ((6,), (1,), 7),
        ((3, 4), (5, 1), 0),
        ((2,), (10**9,), 0),
        ((2,), (-1,), 0),
        ((1,), (1,), -1),
        ((-3,), (1,), 0),
        ((10**6, 10**6), (0, 0), 0),
    ],
)
def test_a_tensor_beyond_its_storage_reads_no_foreign_memory(tmp_path, size, stride, offset):
    with pytest.raises(DataError, match="beyond its storage"):
        read_tensors(write(tmp_path / "w.pth", one(size, stride, offset)))


def test_a_command_in_the_file_is_refused_and_not_run(tmp_path):
    marker = tmp_path / "ran"
    command = b"cposix\nsystem\n(" + text(f"touch {marker}") + b"tR0"
    with pytest.raises(DataError, match=r"posix\.system"):
        read_tensors(write(tmp_path / "w.pth", legacy_file(state({}, extra=command), {})))
    assert not marker.exists()


class Command:
    def __reduce__(self):
        return os.system, ("exit 3",)


@pytest.mark.parametrize("place", range(4))
def test_a_command_is_refused_in_every_one_of_the_pickles(tmp_path, place):
    parts = [MAGIC, 1001, {}, {}, []]
    parts[place] = Command()
    with pytest.raises(DataError, match="refused"):
        read_tensors(write(tmp_path / "w.pth", b"".join(pickle.dumps(part, 2) for part in parts)))


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "builtins\ngetattr",
        "__builtin__\nexec",
        "torch\nDoubleStorage",
        "collections\ndeque",
        "torch._utils\n_rebuild_parameter",
    ],
)
def test_any_other_global_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="refused"):
        read_tensors(write(tmp_path / "w.pth", legacy_file(b"\x80\x02c" + name.encode() + b"\n.", {})))


@pytest.mark.parametrize("length", [0, 1, 5, 20, 60, 150, 300, len(GOOD) - 60, len(GOOD) - 9, len(GOOD) - 1])
def test_a_truncated_file_is_refused_by_name(tmp_path, length):
    with pytest.raises(DataError, match=r"w\.pth"):
        read_tensors(write(tmp_path / "w.pth", GOOD[:length]))


CRAFTED = {
    "another magic number": legacy_file(state({}), {}, magic=1),
    "a zip archive, as newer PyTorch writes": b"PK\x03\x04" + bytes(60),
    "text": b"these are no weights\n",
    "a storage of more values than memory holds": legacy_file(
        state({"t": tensor("0", b"FloatStorage", 12, (1,), (1,))}), {"0": struct.pack("<q", 2**62) + VALUES.tobytes()}
    ),
    "a storage of a negative count": legacy_file(state({"t": tensor("0", b"FloatStorage", 12, (1,), (1,))}), {"0": struct.pack("<q", -1)}),
    "a storage that no tensor uses": legacy_file(state({}), {"0": storage(VALUES)}),
    "a tensor without its storage": legacy_file(state({"t": tensor("0", b"FloatStorage", 12, (1,), (1,))}), {}),
    "values that are no tensors": legacy_file(state({"t": number(3)}), {}),
    "a list for a dictionary": legacy_file(pickle.dumps([1], 2), {}),
}


@pytest.mark.parametrize("case", CRAFTED)
def test_what_is_no_weights_file_is_refused_by_name(tmp_path, case):
    with pytest.raises(DataError, match=r"w\.pth"):
        read_tensors(write(tmp_path / "w.pth", CRAFTED[case]))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.pth"):
        read_tensors(tmp_path / "none.pth")


def test_a_memo_of_a_huge_number_takes_no_memory(tmp_path):
    huge = b"\x80\x02K\x01r" + struct.pack("<I", 2**32 - 1) + b"."  # one wrong byte makes such an opcode of a small one
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match=r"w\.pth"):
        read_tensors(write(tmp_path / "w.pth", huge))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255))
@example(place=0, value=0)
def test_one_wrong_byte_anywhere_gives_tensors_or_a_refusal(tmp_path, place, value):
    damaged = GOOD[:place] + bytes([value]) + GOOD[place + 1 :]
    try:
        found = read_tensors(write(tmp_path / "w.pth", damaged))
    except DataError:
        return
    assert all(isinstance(array, np.ndarray) and array.size <= 12 for array in found.values())
