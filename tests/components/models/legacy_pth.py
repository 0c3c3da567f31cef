"""Legacy PyTorch files written opcode by opcode, after torch/serialization.py: what a reader must and must not accept."""

import pickle
import struct
from pathlib import Path

import numpy as np

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"
STORAGES = {np.dtype(np.float32): b"FloatStorage", np.dtype(np.int64): b"LongStorage"}
LITE0_STAGES = ((3, 1, 16, 1), (3, 6, 24, 2), (5, 6, 40, 2), (3, 6, 80, 3), (5, 6, 112, 3), (5, 6, 192, 4), (3, 6, 320, 1))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def tensor(key: str, storage: bytes, count: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """`torch._utils._rebuild_tensor_v2(persistent storage, offset, size, stride, requires_grad, hooks)`."""
    persistent = b"(" + text("storage") + b"ctorch\n" + storage + b"\n" + text(key) + text("cpu") + number(count) + b"NtQ"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + persistent
        + number(offset)
        + numbers(size)
        + numbers(stride)
        + b"\x89"
        + ORDERED_DICT
        + b"tR"
    )


def state(entries: dict[str, bytes], extra: bytes = b"") -> bytes:
    """The pickle of an ordered dictionary of already pickled values, with `_metadata` as PyTorch attaches it."""
    items = b"".join(text(name) + value for name, value in entries.items())
    metadata = b"}" + text("_metadata") + ORDERED_DICT + b"sb"
    return b"\x80\x02" + ORDERED_DICT + b"(" + items + b"u" + metadata + extra + b"."


def legacy_file(state_pickle: bytes, storages: dict[str, bytes], magic: int = MAGIC) -> bytes:
    """The whole file; a storage is its int64 element count and its raw values."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    head = pickle.dumps(magic, 2) + pickle.dumps(PROTOCOL, 2) + pickle.dumps(system, 2)
    return head + state_pickle + pickle.dumps(list(storages), 2) + b"".join(storages.values())


def storage(values: np.ndarray) -> bytes:
    return struct.pack("<q", values.size) + values.tobytes()


def contiguous(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(np.prod(shape[place + 1 :])) for place in range(len(shape)))


def file_of(tensors: dict[str, np.ndarray]) -> bytes:
    """Every tensor contiguous in a storage of its own, as `torch.save(model.state_dict())` leaves them."""
    keys = {name: str(94_000_000 + place) for place, name in enumerate(tensors)}
    entries = {
        name: tensor(keys[name], STORAGES[array.dtype], array.size, array.shape, contiguous(array.shape)) for name, array in tensors.items()
    }
    return legacy_file(state(entries), {keys[name]: storage(array) for name, array in tensors.items()})


def lite0_tensors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Random tensors under every name of the published EfficientNet-Lite0 `.pth`, in PyTorch's layout."""
    found: dict[str, np.ndarray] = {}

    def convolution(name: str, *shape: int) -> None:
        found[f"{name}.weight"] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)

    def batch_norm(name: str, channels: int) -> None:
        for part, low, high in (("weight", 0.8, 1.2), ("bias", -0.2, 0.2), ("running_mean", -0.2, 0.2), ("running_var", 0.5, 1.5)):
            found[f"{name}.{part}"] = rng.uniform(low, high, channels).astype(np.float32)
        found[f"{name}.num_batches_tracked"] = np.array(7, np.int64)

    convolution("_conv_stem", 32, 3, 3, 3)
    batch_norm("_bn0", 32)
    inputs, block = 32, 0
    for kernel, expansion, channels, repeats in LITE0_STAGES:
        for _ in range(repeats):
            inner, name = inputs * expansion, f"_blocks.{block}"
            if expansion > 1:
                convolution(f"{name}._expand_conv", inner, inputs, 1, 1)
                batch_norm(f"{name}._bn0", inner)
            convolution(f"{name}._depthwise_conv", inner, 1, kernel, kernel)
            batch_norm(f"{name}._bn1", inner)
            convolution(f"{name}._project_conv", channels, inner, 1, 1)
            batch_norm(f"{name}._bn2", channels)
            inputs, block = channels, block + 1
    convolution("_conv_head", 1280, 320, 1, 1)
    batch_norm("_bn1", 1280)
    convolution("_fc", 1000, 1280)
    found["_fc.bias"] = rng.normal(0, 0.01, 1000).astype(np.float32)
    return found


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
