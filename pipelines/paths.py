"""Where everything lies, relative to the project's root folder."""

import os
from dataclasses import dataclass
from pathlib import Path

from components.errors import UsageError


@dataclass(frozen=True)
class Paths:
    """The folders of one project; nothing is created by asking."""

    root: Path

    @property
    def data(self) -> Path:
        """The user's images."""
        return self.root / "data"

    @property
    def params(self) -> Path:
        """Every knob."""
        return self.root / "params.yaml"

    @property
    def expectations(self) -> Path:
        """The suites of expectations: what a dataset must be."""
        return self.root / "expectations"

    @property
    def outputs(self) -> Path:
        """What the stages write."""
        return self.root / "outputs"

    @property
    def private(self) -> Path:
        """Machine-local state that no one else should read: caches, locks, downloaded weights."""
        return self.root / ".visionloop"

    @property
    def mlflow_store(self) -> Path:
        """The embedded MLflow store and the ledger."""
        return self.root / "mlflow" / "store"

    @property
    def prefect_home(self) -> Path:
        """The Prefect server's records of this project."""
        return self.root / ".prefect"

    def validate(self, task: str) -> Path:
        """What the validate stage writes of a task."""
        return self.outputs / "validate" / task

    def split(self, task: str) -> Path:
        """What the split stage writes of a task."""
        return self.outputs / "split" / task

    def augment(self, task: str) -> Path:
        """What the augment stage writes of a task."""
        return self.outputs / "augment" / task

    @property
    def pixels(self) -> Path:
        """Where decoded images are kept."""
        return self.private / "pixels"

    def checkpoints(self, model: str) -> Path:
        """Where a training of a model that was interrupted goes on from."""
        return self.private / "checkpoints" / model

    def searches(self, model: str) -> Path:
        """The searches for a model's better knobs, one folder each, with what goes on from there."""
        return self.private / "tune" / model

    def tune(self, model: str) -> Path:
        """What a search for a model's better knobs writes."""
        return self.outputs / "tune" / model

    def train(self, model: str) -> Path:
        """What the train stage writes of a model."""
        return self.outputs / "train" / model

    def evaluate(self, model: str) -> Path:
        """What the evaluate stage writes of a model."""
        return self.outputs / "evaluate" / model


def find_root(start: Path | None = None) -> Path:
    """The nearest folder at or above `start` that holds dvc.yaml and params.yaml.

    VISIONLOOP_ROOT names it outright. Raises UsageError when there is none.
    """
    named = os.environ.get("VISIONLOOP_ROOT")
    if named:
        return Path(named).resolve()
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / "dvc.yaml").is_file() and (folder / "params.yaml").is_file():
            return folder
    raise UsageError(f"no project found at {here} or above it: expected a folder holding dvc.yaml and params.yaml; change into your clone")
