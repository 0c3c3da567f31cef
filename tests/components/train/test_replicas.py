"""How replicas share batches, and that what several devices or processes train together is what one trains alone."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest

from components.errors import UsageError
from components.train import checkpoint
from components.train.checkpoint import Checkpoint
from components.train.fit import Session, fit
from components.train.replicas import Replicas, alone, choose, synchronised
from tests.components.train.test_cluster import free_address
from tests.components.train.test_fit import GOAL, PRETRAINED, batches, config, layered, shapes, small
from tests.project import ROOT, environment


@dataclass
class Devices:
    """All that `rows` and `share` ask of a strategy."""

    num_replicas_in_sync: int


def crew(workers: int, devices: int) -> list[Replicas]:
    return [Replicas(Devices(workers * devices), worker, workers) for worker in range(workers)]


@pytest.mark.parametrize(("workers", "devices"), [(1, 1), (1, 4), (3, 1), (2, 2)])
def test_every_row_and_every_validation_batch_is_one_worker_s(workers, devices):
    together = crew(workers, devices)
    rows = np.concatenate([np.arange(24)[replicas.rows(24)] for replicas in together])
    assert rows.tolist() == list(range(24))
    for count in range(12):
        shares = [replicas.share(count) for replicas in together]
        assert sorted(number for share in shares for number in share) == list(range(count))
        assert max(map(len, shares)) - min(map(len, shares)) <= devices


def test_a_batch_that_cannot_be_shared_equally_is_refused_in_words():
    with pytest.raises(UsageError, match="32 images cannot be shared equally by 3 devices: set batch_size to 30 or 33"):
        crew(3, 1)[0].rows(32)
    with pytest.raises(UsageError, match="set batch_size to 4, or"):
        crew(2, 2)[1].rows(3)


def test_a_batch_size_found_by_memory_is_lowered_to_one_that_can_be_shared():
    assert [crew(1, 3)[0].shareable(size) for size in (64, 3, 1)] == [63, 3, 3]


def test_batches_in_parts_are_refused_where_batch_norms_would_have_to_exchange_within():
    with (
        pytest.raises(UsageError, match="accumulate: 2 is not for batch normalisation on 2 devices"),
        synchronised(layered(), crew(2, 1)[0], 2),
    ):
        pass
    with synchronised(small(), crew(2, 1)[0], 2):
        pass


def test_batch_norms_are_synchronised_only_among_several_and_only_meanwhile():
    model = layered()
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    with synchronised(model, alone(), 1):
        assert not any(norm.synchronized for norm in norms)
    with synchronised(model, crew(2, 1)[0], 1):
        assert all(norm.synchronized for norm in norms)
    assert not any(norm.synchronized for norm in norms)


def test_several_workers_without_tf_config_are_refused():
    with pytest.raises(UsageError, match="TF_CONFIG"):
        choose("multi_worker", {}, print)


def test_a_checkpoint_survives_being_sent():
    arrays = {"model/0000": np.float32([[1.5, np.nan]]), "sums/0000": np.float64([2.0]), "empty": np.zeros((0, 3), np.int64)}
    found = checkpoint.from_bytes(checkpoint.to_bytes(Checkpoint(arrays, {"key": "k", "progress": {"batch": 7, "best": float("inf")}})))
    assert found is not None and found.about == {"key": "k", "progress": {"batch": 7, "best": float("inf")}}
    assert found.arrays.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found.arrays[name], array, strict=True)
    assert checkpoint.from_bytes(checkpoint.to_bytes(None)) is None


# From here on in processes of their own: TensorFlow knows its devices and its cluster before anything else.

EVERYTHING = {
    "epochs": 4, "frozen_epochs": 2, "learning_rate": 0.01, "weight_decay": 1e-3, "schedule": "cosine", "warmup_epochs": 0.5,
    "ema_decay": 0.9, "clip_norm": 0.05, "threads": 1,
}  # fmt: skip


def worker(folder: Path, name: str, wanted: dict[str, object], *options: str, **changed: str) -> "subprocess.Popen[str]":
    line = [sys.executable, "-m", "tests.components.train.worker", str(folder), name, json.dumps(wanted), *options]
    return subprocess.Popen(line, cwd=ROOT, env=environment(**changed), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def two_workers(folder: Path, wanted: dict[str, object], *options: str) -> "list[subprocess.Popen[str]]":
    addresses = [free_address(), free_address()]
    tasks = [{"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}} for index in (0, 1)]
    return [worker(folder, f"worker{index}", wanted, *options, TF_CONFIG=json.dumps(task)) for index, task in enumerate(tasks)]


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    return process.returncode, out + err


def weights(folder: Path, name: str) -> list[np.ndarray]:
    with np.load(folder / f"{name}.npz") as found:
        return [found[key] for key in found.files]


def furthest(first: list[np.ndarray], second: list[np.ndarray]) -> float:
    return max(float(np.abs(a - b).max()) for a, b in zip(first, second, strict=True))


def trained_alone(folder: Path, wanted: dict[str, object]) -> list[np.ndarray]:
    """What one device makes of it, in this process; the weights it began with must be far from these."""
    model, asked = layered(), config(**wanted)
    before = [variable.numpy() for variable in model.variables]
    fit(model, GOAL, batches(shapes(25), asked, "strong"), asked, PRETRAINED, Session(lambda *_: None, folder / "alone"))
    after = [variable.numpy() for variable in model.variables]
    assert furthest(before, after) > 0.01
    return after


@pytest.mark.slow
@pytest.mark.ci
def test_two_workers_on_loopback_end_with_the_weights_of_one(tmp_path):
    """Clipped gradients, batch norms, averages, two phases, and a validation of 4 batches, the last a single image."""
    expected = trained_alone(tmp_path, EVERYTHING)
    for process in two_workers(tmp_path, EVERYTHING):
        code, said = ended(process)
        assert code == 0, said
    assert furthest(weights(tmp_path, "worker0"), expected) < 1e-5
    assert furthest(weights(tmp_path, "worker0"), weights(tmp_path, "worker1")) == 0
    assert not (tmp_path / "worker1").exists()  # only the chief writes


@pytest.mark.slow
def test_two_devices_of_a_machine_end_with_the_weights_of_one(tmp_path):
    code, said = ended(worker(tmp_path, "mirrored", {**EVERYTHING, "optimizer": "sgd"}, "--devices", "2"))
    assert code == 0, said
    assert furthest(weights(tmp_path, "mirrored"), trained_alone(tmp_path, {**EVERYTHING, "optimizer": "sgd"})) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("victim", "number", "codes"), [(1, signal.SIGKILL, (4, -9)), (1, signal.SIGTERM, (130, 130)), (0, signal.SIGKILL, (-9, 4))]
)
def test_whichever_worker_goes_none_hangs_and_both_go_on_from_the_checkpoint(tmp_path, victim, number, codes):
    wanted = {**EVERYTHING, "epochs": 40, "frozen_epochs": 0}
    processes = two_workers(tmp_path, wanted, "--slow")
    assert processes[0].stdout is not None
    for line in processes[0].stdout:
        if line.startswith("epoch 3 "):
            break
    os.kill(processes[victim].pid, number)
    assert tuple(ended(process)[0] for process in processes) == codes
    assert not (tmp_path / "worker0.npz").exists()

    told = [ended(process) for process in two_workers(tmp_path, wanted)]
    assert [code for code, _ in told] == [0, 0], told
    epochs = [line.split()[1] for line in told[0][1].splitlines() if line.startswith("epoch ")]
    assert 3 <= int(epochs[0]) < 39 and epochs[-1] == "39"
    assert furthest(weights(tmp_path, "worker0"), trained_alone(tmp_path, wanted)) < 1e-4
