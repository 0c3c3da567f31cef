"""What holds for every test."""

import sys
from pathlib import Path

import absl.logging
import pytest

from pipelines.environment import prepare_environment
from pipelines.paths import Paths

prepare_environment()

# TensorFlow's log would write to what pytest captures at that moment, and close it when Prefect configures logging anew.
absl.logging.get_absl_handler().python_handler.stream = sys.__stderr__


@pytest.fixture
def project_name() -> str:
    """The folder of `paths`; a module that has a reason names another."""
    return "project"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project_name: str) -> Paths:
    """A project with an empty store, while the test works elsewhere."""
    from tests.pipelines.fabricate import project

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return project(tmp_path / project_name)
