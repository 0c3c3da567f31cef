"""What the project's own normalisation and depthwise convolution save, beside the same networks of Keras' layers.

    python -m benchmarks.kernels [--networks MobileNetV2 EfficientNetB0] [--size 160] [--batch 16] [--rounds 5] [--precision bfloat16]

Each network of keras.applications, with random weights, and its twin by `components.models.fused` predict a batch, and
take the gradients of one with batch normalisation frozen (as in fine-tuning) and learning. One thread; medians of
interleaved rounds, in CPU milliseconds an image, and how many times faster the twin is. Seed 0.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]


def jobs(model: Any, pixels: Any) -> dict[str, Call]:
    """Prediction and gradients of a network, as compiled calls that end when the numbers are there."""
    import keras
    import tensorflow as tf

    def gradients(frozen: bool) -> Any:
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = not frozen

        def compute() -> Any:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(tf.square(tf.cast(model(pixels, training=True), tf.float32)))
            found = tape.gradient(loss, [weight.value for weight in model.trainable_weights])
            return tf.add_n([tf.reduce_sum(gradient) for gradient in found])

        return tf.function(compute).get_concrete_function()

    calls = {"predict": tf.function(lambda: tf.reduce_sum(model(pixels, training=False))).get_concrete_function()}
    calls |= {"train, frozen": gradients(frozen=True), "train, learning": gradients(frozen=False)}
    return {name: lambda call=call: call().numpy() for name, call in calls.items()}


def measure(name: str, arguments: argparse.Namespace) -> None:
    """Print one line a job."""
    import keras
    import numpy as np
    import tensorflow as tf

    from components.models.fused import fused

    plain = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(arguments.size, arguments.size, 3))
    shape = (arguments.batch, arguments.size, arguments.size, 3)
    pixels = tf.constant(np.random.default_rng(0).integers(0, 256, shape).astype(np.float32))
    theirs, ours = jobs(plain, pixels), jobs(fused(plain), pixels)
    for job in theirs:
        taken: dict[str, list[float]] = {"theirs": [], "ours": []}
        for round_ in range(arguments.rounds + 1):  # the first warms up
            for side, call in (("theirs", theirs[job]), ("ours", ours[job])):
                start = time.process_time()
                call()
                taken[side] += [1e3 * (time.process_time() - start) / arguments.batch] if round_ else []
        ratio = statistics.median(their / own for their, own in zip(taken["theirs"], taken["ours"], strict=True))
        print(
            f"{name:16} {job:16} {statistics.median(taken['theirs']):8.1f} {statistics.median(taken['ours']):8.1f} {ratio:6.2f}", flush=True
        )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=["MobileNetV2", "EfficientNetB0"])
    parser.add_argument("--size", type=int, default=160, help="pixels")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", default="auto", help="auto, float32 or bfloat16")
    arguments = parser.parse_args()

    from pipelines.environment import prepare_environment

    prepare_environment()
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}

    from components.train import precision

    print(f"{precision.prepare(arguments.precision, 0)}, CPU ms an image")
    print(f"{'':33} {'Keras':>8} {'ours':>8} {'ratio':>6}")
    for name in arguments.networks:
        measure(name, arguments)


if __name__ == "__main__":
    main()
