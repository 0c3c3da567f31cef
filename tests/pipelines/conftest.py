"""The registry of a test's project."""

import pytest

from pipelines.paths import Paths
from pipelines.registry import Registry


@pytest.fixture
def registry(paths: Paths) -> Registry:
    return Registry(paths)
