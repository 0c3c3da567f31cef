"""Which number format a training computes in, on the device at hand."""

from pathlib import Path

import keras
import tensorflow as tf

CPU_FLAGS = Path("/proc/cpuinfo")
AMPERE = (8, 0)  # the first compute capability with bfloat16


def choose(wanted: str) -> str:
    """Keras' dtype policy for `auto`, `float32`, `bfloat16` or `float16`.

    `auto` is bfloat16 where the device multiplies it natively (NVIDIA Ampere or later; a CPU with AVX512_BF16 or
    AMX_BF16), float32 otherwise.
    """
    named = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
    return named[wanted] if wanted in named else "mixed_bfloat16" if has_bfloat16() else "float32"


def has_bfloat16() -> bool:
    """Whether this machine's training device computes bfloat16 natively."""
    devices = tf.config.list_physical_devices("GPU")
    if devices:
        capability = tf.config.experimental.get_device_details(devices[0]).get("compute_capability", (0, 0))
        return bool(capability >= AMPERE)
    flags = CPU_FLAGS.read_text(encoding="utf-8") if CPU_FLAGS.is_file() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def is_emulated(policy: str) -> bool:
    """Whether the device has no arithmetic for the policy's bfloat16, and takes several times as long as with float32."""
    return policy == "mixed_bfloat16" and not has_bfloat16()


def prepare(wanted: str, seed: int) -> str:
    """Make the process deterministic by `seed`, set the number format, and answer its policy's name."""
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    policy = choose(wanted)
    keras.config.set_dtype_policy(policy)
    return policy
