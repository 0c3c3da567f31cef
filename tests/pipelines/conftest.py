"""A project of its own for each test that asks for one."""

from pathlib import Path

import pytest

from pipelines.paths import Paths
from pipelines.registry import Registry
from tests.pipelines.fabricate import project


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """An empty project with an empty store, while the test works elsewhere."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    return project(tmp_path / "project")


@pytest.fixture
def registry(paths: Paths) -> Registry:
    """Its registry."""
    return Registry(paths)
