"""`visionloop stage NAME`: what dvc.yaml calls."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from components.errors import UsageError
from pipelines import settings
from pipelines.paths import Paths
from pipelines.stages.watchdog import watch_parent


def run_stage(paths: Paths, name: str, model: str | None) -> None:
    """Run one stage. Raises UsageError when a model is missing or named where none is meant."""
    watch_parent()
    knobs = settings.load(paths.params)
    if name in ("train", "evaluate"):
        if model is None:
            raise UsageError(f"`visionloop stage {name}` needs --model, one of {', '.join(knobs.models)}")
        _run_model_stage(paths, knobs, name, model)
        return
    if model is not None:
        raise UsageError(f"`visionloop stage {name}` is for all models: leave --model {model} out")
    _run_data_stage(paths, knobs, name)


def _run_data_stage(paths: Paths, knobs: settings.Settings, name: str) -> None:
    if name == "validate":
        from pipelines.stages.validate import run
    elif name == "split":
        from pipelines.stages.split import run
    else:
        from pipelines.stages.augment import run
    run(paths, knobs)


def _run_model_stage(paths: Paths, knobs: settings.Settings, name: str, model: str) -> None:
    with silent_stderr():
        import tensorflow  # noqa: F401
    if name == "train":
        from pipelines.stages.train import run
    else:
        from pipelines.stages.evaluate import run
    from components.train.stores import trim

    try:
        run(paths, knobs, model)
    finally:
        trim(paths.pixels, knobs.run.cache_gigabytes * 1e9)


@contextmanager
def silent_stderr() -> Iterator[None]:
    """TensorFlow writes notices to the file descriptor while it loads, before any log level applies."""
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
