"""Memory that is taken within a block is seen, and what was let go before is not."""

import sys

import keras
import numpy as np
import pytest

from components.evaluate.cost import load_measured, peak_memory
from components.train.saving import save_model


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets an earlier peak")
def test_the_peak_within_the_block_counts_and_no_earlier_one() -> None:
    np.ones(40_000_000)  # 320 MB, touched and let go
    with peak_memory() as grown:
        np.ones(20_000_000)
    assert 150e6 < grown() < 260e6


def test_a_model_is_loaded_and_costs_something(tmp_path) -> None:
    pixels = keras.Input((16, 16, 3), dtype="uint8")
    model = keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Rescaling(1.0)(pixels))))
    save_model(model, tmp_path / "model.keras")
    loaded, megabytes = load_measured(tmp_path / "model.keras", 16)
    assert loaded.output_shape == (None, 2) and 0 <= megabytes < 500
