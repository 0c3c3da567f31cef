"""What the trainings of these tests share."""

from collections.abc import Iterator

import keras
import pytest
from tensorflow.python.framework import config


@pytest.fixture
def deterministic() -> Iterator[None]:
    """Afterwards the process computes as before: in float32, and without TensorFlow's determinism."""
    yield
    keras.config.set_dtype_policy("float32")
    config.disable_op_determinism()
