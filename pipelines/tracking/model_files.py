"""The folder MLflow loads a model from, around the very file that was evaluated."""

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

REQUIREMENTS = ("tensorflow", "keras", "numpy", "mlflow")
ANY_SIZE = 64


def write_model_files(model_file: Path, folder: Path, model_id: str, run_id: str, report: Mapping[str, Any]) -> None:
    """Write `folder`: MLmodel with signature and input example, requirements, and data/model.keras.

    MLmodel's metadata names the classes by their index and, for a detector, the confidence from which a box of each
    counts: whoever loads the model from the registry alone needs both.

    MLflow saves models again, which gives other bytes, and pickles every registered class; the evaluated file takes
    the place of the first, and the second is left out: layers of this project are found by importing it.
    """
    import mlflow.tensorflow
    from mlflow.models import Model, infer_signature

    from components.predict import load_model

    model = load_model(model_file)
    example = _example(model)
    signature = infer_signature(example, _plain(model(example, training=False)))
    mlflow.tensorflow.save_model(
        model,
        str(folder),
        mlflow_model=Model(model_id=model_id, run_id=run_id, artifact_path="model", metadata=_metadata(report)),
        signature=signature,
        input_example=example,
        pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
    )
    shutil.copyfile(model_file, folder / "data" / "model.keras")
    for pickled in (folder / "data").glob("*.cloudpickle"):
        pickled.unlink()


def _metadata(report: Mapping[str, Any]) -> dict[str, Any]:
    return {name: report[name] for name in ("classes", "operating_points") if name in report}


def _example(model: Any) -> np.ndarray:
    """One mid-gray image of the model's input shape, a free height or width being 64 pixels."""
    inputs = model.inputs[0]
    shape = [1, *(size or ANY_SIZE for size in inputs.shape[1:])]
    return np.full(shape, 127, np.dtype(inputs.dtype))


def _plain(outputs: Any) -> Any:
    if isinstance(outputs, dict):
        return {name: np.asarray(value) for name, value in outputs.items()}
    if isinstance(outputs, (list, tuple)):
        return {f"output_{index}": np.asarray(value) for index, value in enumerate(outputs)}
    return np.asarray(outputs)
