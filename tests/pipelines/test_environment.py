"""What the entries give the libraries: nothing leaves the machine, and TensorFlow keeps the memory it has."""

import os
import subprocess
import sys

import pytest

from pipelines.environment import prepare_environment

MAP = 64 * 2**20  # bytes: more than malloc ever keeps
SCRIPT = """
import resource
from pipelines.environment import prepare_environment

prepare_environment()
import tensorflow as tf

ones = tf.ones({floats})
double = tf.function(lambda: tf.reduce_sum(tf.exp(ones) * ones))
for _ in range(3):
    double().numpy()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    double().numpy()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**chosen: str) -> int:
    """Pages that the system gave to a process that computes five maps of MAP bytes, after it had computed three."""
    environment = {**{name: value for name, value in os.environ.items() if not name.startswith("TF_")}, **chosen}
    command = [sys.executable, "-c", SCRIPT.format(floats=MAP // 4)]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="counts the page faults of Linux")
def test_tensorflow_keeps_the_memory_of_its_maps_unless_the_user_says_otherwise() -> None:
    a_map = MAP // os.sysconf("SC_PAGE_SIZE")
    assert faults() < a_map / 10
    assert faults(TF_CPU_ALLOCATOR_USE_BFC="0") > 4 * a_map  # or the check above could not fail


def test_it_may_take_all_the_memory_that_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.delenv("TF_CPU_BFC_MEM_LIMIT_IN_MB", raising=False)
    prepare_environment()
    assert int(os.environ["TF_CPU_BFC_MEM_LIMIT_IN_MB"]) == psutil.virtual_memory().total >> 20
