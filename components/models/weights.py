"""Pretrained weights: where they come from and how they enter a network.

A weights file is an `.npz` whose entries are named `<layer>/<weight>` (`stem/kernel`, `stem_bn/gamma`), arrays in
Keras' layout, float32. No pickle is ever read.
"""

import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from components.errors import DataError
from components.models.torch_file import read_tensors

BATCH_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
BLOCK_PARTS = {
    "_expand_conv": "expand",
    "_bn0": "expand_bn",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise_bn",
    "_project_conv": "project",
    "_bn2": "project_bn",
}
TOP_PARTS = {"_conv_stem": "stem", "_bn0": "stem_bn", "_conv_head": "head", "_bn1": "head_bn", "_fc": "classes"}


def _layer(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "_blocks":
        return f"block{int(parts[1]) + 1}_{BLOCK_PARTS[parts[2]]}"
    return TOP_PARTS[parts[0]]


def _entry(name: str, tensor: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """The Keras name and layout of one PyTorch tensor (OIHW -> HWIO; depthwise O1HW -> HWO1; dense OI -> IO)."""
    layer, kind = _layer(name), name.rsplit(".", 1)[1]
    if layer.endswith("_bn"):
        return f"{layer}/{BATCH_NORM[kind]}", tensor
    if kind == "bias":
        return f"{layer}/bias", tensor
    if tensor.ndim == 2:
        return f"{layer}/kernel", tensor.T
    return f"{layer}/kernel", tensor.transpose(2, 3, 0, 1) if layer.endswith("_depthwise") else tensor.transpose(2, 3, 1, 0)


def convert_efficientnet_lite0(source: Path, destination: Path) -> None:
    """Write the `.npz` of an EfficientNet-Lite0 `.pth` (the lukemelas naming: `_blocks.0._bn1.weight`).

    The same source gives the same bytes. Raises DataError when the source holds anything but its tensors.
    """
    tensors = {name: value for name, value in read_tensors(source).items() if not name.endswith("num_batches_tracked")}
    try:
        entries = dict(_entry(name, value) for name, value in tensors.items())
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(f"{source} is not an EfficientNet-Lite0 of the expected naming: {error}") from None
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_suffix(".partial.npz")
    np.savez(partial, allow_pickle=False, **{name: np.ascontiguousarray(value, np.float32) for name, value in sorted(entries.items())})
    partial.replace(destination)


def load_into(model: keras.Model, path: Path) -> list[str]:
    """Fill every layer of the model that the file knows by name; returns the names of the layers filled.

    Raises DataError when the file is missing, fits no layer, or a layer's shape disagrees.
    """
    if not path.is_file():
        raise DataError(f"pretrained weights {path} do not exist: run `visionloop data sample`, or name a file in `weights:`")
    filled = []
    entries = _read(path)
    for layer in model.layers:
        if layer.name in entries and layer.weights:
            _fill(layer, entries[layer.name], path)
            filled.append(layer.name)
    if not filled:
        raise DataError(f"{path} fits no layer of {model.name}: it holds {sorted(entries)[:5]} …")
    return filled


def _read(path: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """The arrays by layer and weight."""
    entries: dict[str, dict[str, NDArray[Any]]] = {}
    try:
        with np.load(path, allow_pickle=False) as archive:
            for name in archive.files:
                layer, _, weight = name.rpartition("/")
                entries.setdefault(layer, {})[weight] = archive[name]
    except (ValueError, OSError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an .npz of weights ({error}): expected arrays named <layer>/<weight>") from None
    return entries


def _fill(layer: keras.Layer, values: dict[str, NDArray[Any]], path: Path) -> None:
    for variable in layer.weights:
        value = values.get(variable.name)
        if value is None or value.shape != tuple(variable.shape):
            found = "nothing" if value is None else f"shape {value.shape}"
            raise DataError(f"{path}: {layer.name}/{variable.name} holds {found}, expected shape {tuple(variable.shape)}")
        variable.assign(value)
