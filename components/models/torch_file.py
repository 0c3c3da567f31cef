"""Read the tensors of a legacy PyTorch `.pth` file without PyTorch and without running anything it holds.

Format: five pickles (magic number, protocol, system, state dict, storage keys), then each storage as a
little-endian int64 element count followed by its raw values (torch/serialization.py, `_legacy_save`).
"""

import pickle
import struct
from collections import OrderedDict
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import numpy as np
from numpy.typing import NDArray

from components.errors import DataError

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_DAMAGED = (
    pickle.UnpicklingError, struct.error, OSError, EOFError, ValueError, TypeError, AttributeError, LookupError, OverflowError,
    AssertionError, RecursionError, MemoryError,
)  # fmt: skip
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor:
    """Where a tensor lies in its storage; what `_rebuild_tensor_v2` is given."""

    def __init__(self, storage: tuple[str, ...], offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> None:
        self.dtype, self.key = DTYPES[storage[1]], storage[2]
        self.offset, self.size, self.stride = offset, size, stride

    def read(self, storages: dict[str, NDArray[Any]]) -> NDArray[Any]:
        values = storages[self.key]
        last = self.offset + sum((count - 1) * step for count, step in zip(self.size, self.stride, strict=True))
        if min((self.offset, *self.size, *self.stride)) < 0 or max(last + 1, prod(self.size)) > len(values):
            # as_strided would read foreign memory
            raise ValueError(f"a tensor of size {self.size} reaches beyond its storage of {len(values)} values")
        steps = [step * values.itemsize for step in self.stride]
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.size, steps).copy()


class _TensorsOnly(pickle._Unpickler):
    """Knows ordered dictionaries and tensors; everything else is refused.

    The one written in Python: that in C makes room for as many memos as a damaged byte says, up to tens of gigabytes.
    """

    allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _Tensor,
        ("torch", "FloatStorage"): "FloatStorage",
        ("torch", "LongStorage"): "LongStorage",
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no tensor, and is refused")
        return self.allowed[module, name]

    def persistent_load(self, reference: Any) -> Any:
        return reference


def read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    """Every tensor of the file by its name, in PyTorch's own layout (convolutions are OIHW).

    Raises DataError when the file is not a legacy PyTorch file or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except _DAMAGED as error:
        raise DataError(f"{path} is not a PyTorch weights file: {error}") from None


def _read(file: BinaryIO, path: Path) -> dict[str, NDArray[Any]]:
    magic, protocol, _, tensors, keys = (_TensorsOnly(file).load() for _ in range(5))
    if (magic, protocol) != (MAGIC, PROTOCOL):
        raise DataError(f"{path} starts with {magic!r} and protocol {protocol!r}, expected {MAGIC} and {PROTOCOL}")
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {key: _read_storage(file, dtypes[key], path) for key in keys}
    return {name: tensor.read(storages) for name, tensor in tensors.items()}


def _read_storage(file: BinaryIO, dtype: np.dtype[Any], path: Path) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little", signed=True)
    data = file.read(min(count * dtype.itemsize, path.stat().st_size)) if count >= 0 else b""
    if len(data) != count * dtype.itemsize:
        raise DataError(f"{path} ends early: a storage of {count} values holds {len(data)} bytes")
    return np.frombuffer(data, dtype)
