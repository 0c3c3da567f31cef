"""How many images an update may take, from the memory that a training step needs and the memory that is free."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

import keras
import numpy as np
import psutil
import tensorflow as tf

from components.errors import ResourceError, UsageError
from components.train.config import TrainConfig

LEAST, MOST = 16, 1024  # images an update
UPDATES_AN_EPOCH = 8  # at least, where that leaves LEAST images for each: fewer learn too little from an epoch
SHARE = 0.5  # of the free memory
WORKING_COPIES = 3  # of the largest output: its gradient, and what the kernels around it hold meanwhile
CGROUP = Path("/sys/fs/cgroup")
REMEDY = "lower batch_size (or set it to auto), raise accumulate, lower image_size or train_size, or set mixed_precision: bfloat16"


@dataclass(frozen=True)
class Need:
    """Bytes that a training step holds: whatever the batch, and for each image of it."""

    fixed: int
    image: int


def step_memory(network: keras.Model, config: TrainConfig) -> Need:
    """Estimate what a training step of a network with known sizes needs; measured within a factor of 2 on a CPU.

    Kept for the way back are the outputs of all layers in their number format, those of batch normalisations excepted:
    the activation that follows keeps its own. Weights come with their gradient, the optimizer's moments and the average.
    """
    outputs = [_bytes(layer) for layer in network._flatten_layers(include_self=False) if not isinstance(layer, keras.Model)]
    moments = 1 if config.optimizer == "sgd" else 2
    copies = 2 + moments + (config.ema_decay > 0) + (config.accumulate > 1)
    weights = sum(prod(weight.shape) * np.dtype(weight.dtype).itemsize for weight in network.weights)
    return Need(copies * weights, sum(outputs) + WORKING_COPIES * max(outputs))


def _bytes(layer: keras.Layer) -> int:
    if isinstance(layer, keras.layers.InputLayer | keras.layers.BatchNormalization | keras.layers.Flatten):
        return 0
    size = tf.as_dtype(layer.compute_dtype).size
    return int(sum(size * prod(tensor.shape[1:]) for node in layer._inbound_nodes for tensor in node.output_tensors))


def largest(need: Need, free: int, images: int, accumulate: int) -> int:
    """The largest power of two (times `accumulate`, the parts of a batch) whose step takes at most half of `free` bytes.

    At most 1024, and beyond 16 few enough for 8 updates an epoch of so many `images`. Raises ResourceError when one image is too many.
    """
    affordable = (SHARE * free - need.fixed) / need.image
    if affordable < 1:
        needed = (need.fixed + need.image) / SHARE
        raise ResourceError(
            f"batch_size: auto found {free / 1e9:.1f} GB of memory free, a single image needs {needed / 1e9:.1f} GB: {REMEDY}"
        )
    most = min(MOST, max(images // UPDATES_AN_EPOCH, min(LEAST, images))) // accumulate
    return accumulate * _power_of_two(min(affordable, max(most, 1)))


def _power_of_two(most: float) -> int:
    return 1 << (int(most).bit_length() - 1)


def free_memory() -> int:
    """Bytes that are free on the device that trains: the fullest GPU, or this machine within its control group's limit.

    Raises UsageError when nothing tells.
    """
    return _free_on_gpus() if tf.config.list_physical_devices("GPU") else min(psutil.virtual_memory().available, _left_in_cgroup())


def _free_on_gpus() -> int:
    query = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits"]
    try:
        told = subprocess.run(query, capture_output=True, text=True, check=True, timeout=30).stdout
        return min(int(line) for line in told.split()) * 2**20
    except (OSError, subprocess.SubprocessError, ValueError):
        raise UsageError(
            "batch_size: auto asks nvidia-smi how much memory is free, and it did not answer: set batch_size to a number"
        ) from None


def _left_in_cgroup() -> float:
    try:
        limit, used = ((CGROUP / name).read_text(encoding="utf-8").strip() for name in ("memory.max", "memory.current"))
        return float("inf") if limit == "max" else int(limit) - int(used)
    except (OSError, ValueError):
        return float("inf")


@contextmanager
def explained(batch_size: int) -> Iterator[None]:
    """Turn TensorFlow's out-of-memory error into a ResourceError that says what to lower."""
    try:
        yield
    except tf.errors.ResourceExhaustedError:
        raise ResourceError(f"the training device's memory ran out at a batch of {batch_size} images: {REMEDY}") from None
