"""One worker of a training, as a process of its own: `python -m tests.components.train.worker FOLDER NAME KNOBS`.

Writes its weights to FOLDER/NAME.npz; ends with the exit codes of the command.
"""

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any


def main() -> int:
    """Train and answer the exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("knobs", type=json.loads)
    parser.add_argument("--devices", type=int, default=1, help="logical devices of this machine")
    parser.add_argument("--slow", action="store_true", help="leave time to be killed")
    arguments = parser.parse_args()
    wished: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: wished.append(number))

    from components.errors import VisionloopError

    try:
        train(arguments, wished)
    except VisionloopError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def train(arguments: argparse.Namespace, wished: list[int]) -> None:
    """Train `layered`, and save its weights."""
    import numpy as np

    from components.models.fused import fused
    from components.train.fit import Session, fit
    from components.train.step import read
    from tests.components.train.test_fit import GOAL, PRETRAINED, batches, config, layered, shapes

    wanted, replicas = config(**arguments.knobs), chosen(arguments.devices)

    def report(epoch: int, numbers: dict[str, float]) -> None:
        print("epoch", epoch, numbers["val/loss"], flush=True)

    def told(_done: int, _total: int) -> None:
        time.sleep(0.3 if arguments.slow else 0)

    with replicas.together():
        model = fused(layered())
    session = Session(report, arguments.folder / f"worker{replicas.worker}", "k", 0.0, lambda: bool(wished), told, replicas=replicas)
    fit(model, GOAL, batches(shapes(25), wanted, "strong"), wanted, PRETRAINED, session)
    np.savez(arguments.folder / f"{arguments.name}.npz", *[read(variable) for variable in model.variables])


def chosen(devices: int) -> Any:
    """Several logical devices, or those that TF_CONFIG names."""
    import tensorflow as tf

    from components.train.replicas import Replicas, choose

    if devices == 1:
        return choose("multi_worker", os.environ, print)
    [cpu] = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
    return Replicas(tf.distribute.MirroredStrategy([f"CPU:{number}" for number in range(devices)]))


if __name__ == "__main__":
    sys.exit(main())
