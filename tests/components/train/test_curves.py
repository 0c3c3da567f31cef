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


BLUE, STEEL = (31, 119, 180), (176, 196, 222)  # training; frozen, before it is made pale


def drawn(tmp_path, history, **how):
    draw_curves(history, 0, "tiny", tmp_path / "c.png", **how)
    return cv2.imread(str(tmp_path / "c.png"))[:, :, ::-1].astype(int)


def test_wide_losses_have_a_logarithmic_axis(tmp_path):
    """On it a loss that falls by the same factor every epoch falls by the same height; on a linear one it would not."""
    epochs = np.arange(5)
    plain = {"epoch": epochs, "learning_rate": 0.1}
    wide = pd.DataFrame({**plain, "train/loss": 100.0 * 0.1**epochs, "val/loss": 100.0})
    near = pd.DataFrame({**plain, "train/loss": 1.0 * 0.9**epochs, "val/loss": 1.0})
    for history, first_half in ((wide, 0.5), (near, 0.5)):
        rows = np.argwhere(np.abs(drawn(tmp_path, history)[:, :480] - BLUE).max(axis=2) <= 12)
        line = rows[(rows[:, 1] > 40) & (rows[:, 0] > 60)]
        left, right = line[:, 1].min(), line[:, 1].max()
        middle = line[np.abs(line[:, 1] - (left + right) / 2) <= 1, 0].mean()
        low, high = line[line[:, 1] <= left + 2, 0].mean(), line[line[:, 1] >= right - 2, 0].mean()
        assert (middle - low) / (high - low) == pytest.approx(first_half, abs=0.08)


@pytest.mark.parametrize(("frozen", "shaded"), [(None, False), (0, False), (1, True), (2, True), (3, False)])
def test_the_epochs_with_frozen_layers_are_shaded(tmp_path, frozen, shaded):
    picture = drawn(tmp_path, HISTORY, fine_tuned_from=frozen)
    pale = np.round(np.array(STEEL) * 0.35 + 255 * 0.65)
    share = (np.abs(picture[40:300] - pale).max(axis=2) <= 2).mean()
    assert (share > 0.1) == shaded
    if shaded:
        assert share == pytest.approx(frozen / 3 * 0.88, abs=0.1)


def test_losses_that_are_no_number_are_left_out(tmp_path):
    nothing = HISTORY.assign(**{"train/loss": np.nan, "val/loss": np.inf})
    assert drawn(tmp_path, nothing).shape == (350, 1500, 3)
