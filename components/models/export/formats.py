"""The formats a served model can be written in, and what runs each of them."""

import importlib.util
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.models.export import graph

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
OPSET = 17  # of ONNX, 2022: what runtimes of the last years know


@dataclass(frozen=True)
class Format:
    """One format: the end of its files' names, the packages that write and run it beside TensorFlow, and how.

    `write(parts, path)` makes a file, or a folder where `suffix` is empty; `load(path)` answers a function from
    photographs (1, H, W, 3) uint8 RGB upright to what the model answers, (1, C) or (1, K, 6) float32. `batch` is how many
    photographs of one size it takes at a time, None for any number.
    """

    suffix: str
    packages: tuple[str, ...]
    batch: int | None
    write: Callable[[graph.Parts, Path], None]
    load: Callable[[Path], Run]

    def missing(self) -> list[str]:
        """The packages it needs that are not installed."""
        return [name for name in self.packages if importlib.util.find_spec(name) is None]

    def megabytes(self, path: Path) -> float:
        """The size of what was written, in millions of bytes."""
        files = [path] if self.suffix else [file for file in path.rglob("*") if file.is_file()]
        return sum(file.stat().st_size for file in files) / 1e6


def _specification(batch: int | None) -> Any:
    import tensorflow as tf

    return tf.TensorSpec((batch, None, None, 3), tf.uint8, name="image")


def _write_saved_model(parts: graph.Parts, path: Path, answer: graph.Answer | None = None, batch: int | None = None) -> None:
    from keras.export import ExportArchive

    archive = ExportArchive()
    archive.track(parts.network)
    archive.add_endpoint("serve", answer or graph.as_saved(parts), input_signature=[_specification(batch)])
    archive.write_out(path, verbose=False)


def _write_tflite(parts: graph.Parts, path: Path) -> None:
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        _write_saved_model(parts, Path(folder), graph.of_one_photograph(parts), 1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        path.write_bytes(converter.convert())


def _write_onnx(parts: graph.Parts, path: Path) -> None:
    import tensorflow as tf
    import tf2onnx

    specification = [_specification(None)]
    function = tf.function(graph.without_antialias(parts), input_signature=specification, autograph=False)
    tf2onnx.convert.from_function(function, specification, opset=OPSET, output_path=str(path))


def _load_saved_model(path: Path) -> Run:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    return lambda image: np.asarray(next(iter(signature(tf.constant(image)).values())))


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {session.get_inputs()[0].name: image})[0]


def _load_tflite(path: Path) -> Run:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that it will be a package of its own
        interpreter = tf.lite.Interpreter(str(path), num_threads=os.cpu_count())
    (given,), (answered,) = interpreter.get_input_details(), interpreter.get_output_details()
    shape: list[int] = []

    def run(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        if shape != list(image.shape):
            shape[:] = image.shape
            interpreter.resize_tensor_input(given["index"], shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(answered["index"])

    return run


FORMATS = {
    "saved_model": Format("", (), None, _write_saved_model, _load_saved_model),
    "onnx": Format(".onnx", ("tf2onnx", "onnxruntime"), None, _write_onnx, _load_onnx),
    "tflite": Format(".tflite", (), 1, _write_tflite, _load_tflite),
}
