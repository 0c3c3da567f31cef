"""Learning curves are pictures, with metrics, without, and of no epoch at all."""

import cv2
import numpy as np
import pandas as pd
import pytest

from components.train.curves import draw_curves

HISTORY = pd.DataFrame(
    {
        "epoch": [0, 1, 2],
        "train/loss": [3.0, 2.0, 1.0],
        "val/loss": [3.0, float("nan"), 2.5],
        "train/accuracy": [0.1, 0.5, 0.9],
        "val/accuracy": [0.1, 0.4, 0.3],
        "learning_rate": [0.1, 0.05, 0.0],
    }
)


@pytest.mark.parametrize(
    ("history", "panels"), [(HISTORY, 3), (HISTORY.drop(columns=["train/accuracy", "val/accuracy"]), 2), (HISTORY[:1], 3), (HISTORY[:0], 3)]
)
def test_there_is_a_panel_a_measure_and_one_for_the_rate(tmp_path, history, panels):
    draw_curves(history, 1, "tiny", tmp_path / "curves.png")
    height, width, _ = cv2.imread(str(tmp_path / "curves.png")).shape
    assert (height, width) == (350, 500 * panels)


def test_the_same_history_gives_the_same_bytes_and_another_best_epoch_another_picture(tmp_path):
    for name, best in (("a", 1), ("b", 1), ("c", 2)):
        draw_curves(HISTORY, best, "tiny", tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert np.any(cv2.imread(str(tmp_path / "a.png")) != cv2.imread(str(tmp_path / "c.png")))
