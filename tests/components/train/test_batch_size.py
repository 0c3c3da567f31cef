"""The batch size that memory bears: the arithmetic by hand, the estimate against what a process really takes."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import pytest
import tensorflow as tf
from keras import layers

from components.errors import ResourceError, UsageError
from components.train import batch_size
from components.train.batch_size import Need, explained, free_memory, largest, step_memory
from tests.imports import ROOT
from tests.project import environment

CONFIG: Any = SimpleNamespace(optimizer="adamw", ema_decay=0.0, accumulate=1)


@pytest.mark.parametrize(
    ("free", "images", "accumulate", "expected"),
    [
        (10_000, 10**6, 1, 32),  # (5,000 - 1,000) / 100 = 40
        (8_400, 10**6, 1, 32),  # exactly 32
        (8_399, 10**6, 1, 16),
        (10_000, 10**6, 4, 128),  # each part is 32
        (10**9, 10**6, 1, 1024),
        (10**9, 2_000, 1, 128),  # 250 would leave 8 updates
        (10**9, 100, 1, 16),  # 12 would, but 16 are few enough
        (10**9, 5, 1, 4),
        (2_200, 10**6, 1, 1),
    ],
)
def test_it_is_the_largest_power_of_two_whose_step_takes_half_of_what_is_free(
    free: int, images: int, accumulate: int, expected: int
) -> None:
    assert largest(Need(1_000, 100), free, images, accumulate) == expected


def test_less_than_one_image_is_refused_with_what_to_lower() -> None:
    with pytest.raises(ResourceError, match=r"found 0\.0 GB of memory free, a single image needs 4\.0 GB: lower batch_size") as refused:
        largest(Need(10**9, 10**9), 10**6, 100, 1)
    assert refused.value.exit_code == 5


def network(policy: str) -> keras.Model:
    pixels = keras.Input((8, 8, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255, dtype=policy)(pixels)
    x = layers.Conv2D(5, 3, padding="same", use_bias=False, dtype=policy)(x)
    x = layers.ReLU(dtype=policy)(layers.BatchNormalization(dtype=policy)(x))
    return keras.Model(pixels, layers.Dense(2, dtype=policy)(layers.Flatten(dtype=policy)(x)))


def test_the_need_of_a_small_network_worked_by_hand() -> None:
    """Kept: 192 rescaled + 320 convolved + 320 activated + 2 logits; the largest, 320, three times more. 797 weights."""
    weights = 3 * 3 * 3 * 5 + 4 * 5 + 320 * 2 + 2
    numbers = 192 + 320 + 320 + 2 + 3 * 320
    assert step_memory(network("float32"), CONFIG) == Need(4 * 4 * weights, 4 * numbers)
    assert step_memory(network("mixed_bfloat16"), CONFIG) == Need(4 * 4 * weights, 2 * numbers)
    less: Any = SimpleNamespace(optimizer="sgd", ema_decay=0.9, accumulate=2)
    assert step_memory(network("float32"), less).fixed == (1 + 1 + 1 + 1 + 1) * 4 * weights


STEP = """
import json, resource, sys
import keras, numpy as np
from types import SimpleNamespace
from components.models.catalog import Design, build
from components.train import precision
from components.train.batch_size import step_memory
from components.train.class_loss import ClassLoss
from components.train.step import Goal, Step
name, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
precision.prepare("float32", 0)
network, _ = build(Design("classification", name, 10, size, 0.0), None)
step = Step(network, Goal(ClassLoss(10).call, {}), keras.optimizers.AdamW(), 0.0, 1)
for _ in range(3):
    step.train(np.zeros((count, size, size, 3), np.uint8), np.zeros(count, np.int32), 1e-3)
need = step_memory(network, SimpleNamespace(optimizer="adamw", ema_decay=0.0, accumulate=1))
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, need.image]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "few", "many"), [("cnn", 96, 32, 128), ("efficientnet_lite0", 128, 8, 40)])
def test_the_estimate_is_within_a_factor_of_two_of_what_a_process_really_takes(name: str, size: int, few: int, many: int) -> None:
    peaks, images = [], []
    for count in (few, many):
        done = subprocess.run(
            [sys.executable, "-c", STEP, name, str(size), str(count)],
            env=environment(CUDA_VISIBLE_DEVICES=""), cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        peak, image = json.loads(done.stdout.splitlines()[-1])
        peaks.append(peak)
        images.append(image)
    measured = (peaks[1] - peaks[0]) / (many - few)
    assert images[0] == images[1]
    assert 0.5 < images[0] / measured < 2, (images[0], measured)


def test_what_is_free_is_no_more_than_the_control_group_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_size, "CGROUP", tmp_path)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    monkeypatch.setattr(batch_size.psutil, "virtual_memory", lambda: SimpleNamespace(available=5000))
    assert free_memory() == 5000
    (tmp_path / "memory.max").write_text("3000\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert free_memory() == 2000
    (tmp_path / "memory.max").write_text("max\n")
    assert free_memory() == 5000


def test_of_several_gpus_the_fullest_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [object(), object()])
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 700\necho 500\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert free_memory() == 500 * 2**20
    tool.write_text("#!/bin/sh\nexit 9\n")
    with pytest.raises(UsageError, match="set batch_size to a number"):
        free_memory()


def test_a_device_out_of_memory_is_explained() -> None:
    with pytest.raises(ResourceError, match="ran out at a batch of 64 images: lower batch_size"), explained(64):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
