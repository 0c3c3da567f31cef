"""Which number format is chosen on which device."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from components.train import precision


@pytest.fixture
def cpu(tmp_path, monkeypatch):
    def pretend(flags: str | None) -> None:
        monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [])
        place = tmp_path / "cpuinfo"
        if flags is not None:
            place.write_text(f"processor\t: 0\nflags\t\t: fpu {flags} sse\n")
        monkeypatch.setattr(precision, "CPU_FLAGS", place)

    return pretend


@pytest.mark.parametrize(
    ("flags", "policy"),
    [("avx512_bf16", "mixed_bfloat16"), ("amx_bf16 amx_tile", "mixed_bfloat16"), ("avx2 avx512f", "float32"), (None, "float32")],
)
def test_auto_is_bfloat16_where_the_cpu_multiplies_it(cpu, flags, policy):
    cpu(flags)
    assert precision.choose("auto") == policy


@pytest.mark.parametrize(
    ("capability", "policy"), [((7, 5), "float32"), ((8, 0), "mixed_bfloat16"), ((9, 0), "mixed_bfloat16"), (None, "float32")]
)
def test_auto_is_bfloat16_from_ampere_on(monkeypatch, capability, policy):
    details = {} if capability is None else {"compute_capability": capability}
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: ["GPU:0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda device: details)
    assert precision.choose("auto") == policy


@pytest.mark.parametrize(("wanted", "policy"), [("float32", "float32"), ("bfloat16", "mixed_bfloat16"), ("float16", "mixed_float16")])
def test_a_named_format_is_taken_at_its_word(monkeypatch, wanted, policy):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: pytest.fail("the device was asked"))
    assert precision.choose(wanted) == policy


@pytest.mark.parametrize(
    ("flags", "policy", "emulated"),
    [
        ("avx2", "mixed_bfloat16", True),
        ("avx512_bf16", "mixed_bfloat16", False),
        ("avx2", "float32", False),
        ("avx2", "mixed_float16", False),
    ],
)
def test_bfloat16_that_the_cpu_cannot_multiply_is_told_from_the_rest(cpu, flags, policy, emulated):
    cpu(flags)
    assert precision.is_emulated(policy) is emulated


def test_a_prepared_process_draws_the_same_numbers_and_has_the_policy(deterministic):
    drawn = []
    for seed in (3, 3, 4):
        assert precision.prepare("bfloat16", seed) == "mixed_bfloat16"
        drawn.append((np.random.random(3).tolist(), keras.random.normal((3,)).numpy().tolist(), keras.layers.Dense(2).dtype_policy.name))
    assert drawn[0] == drawn[1] != drawn[2]
    assert drawn[0][2] == "mixed_bfloat16"
