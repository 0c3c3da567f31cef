"""Scripted validation losses: which epoch is kept, when it ends, what is told."""

import math

import keras
import numpy as np
import pytest

from components.errors import UsageError
from components.train.callbacks import BestWeights, RefuseNaN, TellEpoch
from components.train.schedule import Patience


def model_saying(value: float) -> keras.Model:
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="dense")(inputs))
    model.compile("sgd", "mse")
    model.set_weights([np.array([[value]])])
    return model


def play(losses: list[float], patience: Patience, place, first_epoch: int = 0) -> tuple[keras.Model, int]:
    """Epochs whose weight is the number of the epoch; returns the model and how many ran."""
    model, callback = model_saying(-1.0), BestWeights(patience, place, first_epoch)
    callback.set_model(model)
    model.stop_training = False
    for epoch, loss in enumerate(losses):
        model.set_weights([np.array([[float(first_epoch + epoch)]])])
        callback.on_epoch_end(epoch, {"val_loss": loss, "loss": 0.0})
        if model.stop_training:
            return model, epoch + 1
    return model, len(losses)


def kept(place) -> float:
    model = model_saying(-5.0)
    model.load_weights(place)
    return float(model.get_weights()[0][0, 0])


@pytest.mark.parametrize(
    ("losses", "ran", "best"),
    [([5, 4, 3, 4, 5, 1], 5, 2), ([1, 2, 3, 0], 3, 0), ([5, 6, 4, 6, 3, 6], 6, 4), ([math.nan, 4, math.nan, math.nan, 1], 4, 1)],
)
def test_the_best_epoch_s_weights_are_in_the_file_when_patience_ends_the_run(tmp_path, losses, ran, best):
    patience, place = Patience(2), tmp_path / "deep" / "a.weights.h5"
    assert play(losses, patience, place)[1] == ran
    assert (patience.best_epoch, kept(place)) == (best, best)
    assert [path.name for path in place.parent.iterdir()] == ["a.weights.h5"]


def test_a_second_phase_counts_on_and_keeps_the_first_when_it_is_not_beaten(tmp_path):
    patience, place = Patience(2), tmp_path / "a.weights.h5"
    play([3, 2, 4], patience, place)
    patience.waited = 0
    play([2.5, 2.2, 0.1], patience, place, first_epoch=3)
    assert (patience.best_epoch, kept(place)) == (1, 1.0)
    patience.waited = 0
    play([2.5, 1.9], patience, place, first_epoch=5)
    assert (patience.best_epoch, kept(place)) == (6, 6.0)


def test_a_save_that_breaks_off_leaves_the_best_so_far_whole(tmp_path, monkeypatch):
    patience, place = Patience(0), tmp_path / "a.weights.h5"
    play([3.0], patience, place)

    def half(self, path, **_):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(keras.Model, "save_weights", half)
    with pytest.raises(OSError, match="disk full"):
        play([2.0], patience, place, first_epoch=1)
    monkeypatch.undo()
    assert kept(place) == 0.0


def test_two_models_that_train_at_once_in_one_folder_never_share_a_file(tmp_path, monkeypatch):
    written = []
    whole = keras.Model.save_weights
    monkeypatch.setattr(keras.Model, "save_weights", lambda self, path, **_: (written.append(path.name), whole(self, path))[1])
    for name in ("a", "b"):
        play([1.0], Patience(0), tmp_path / f"{name}.weights.h5")
    assert len(set(written)) == 2


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_training_in_words(loss):
    with pytest.raises(UsageError, match=rf"loss became {loss} at batch 7: lower learning_rate"):
        RefuseNaN().on_train_batch_end(7, {"loss": loss})


def test_a_loss_that_is_a_number_goes_on():
    assert RefuseNaN().on_train_batch_end(7, {"loss": 1e30}) is None


def test_an_epoch_is_told_with_its_number_and_the_rate():
    heard = []
    teller = TellEpoch(lambda epoch, numbers: heard.append((epoch, numbers)), first_epoch=4)
    model = model_saying(0.0)
    model.optimizer.learning_rate = 0.25
    teller.set_model(model)
    teller.on_epoch_end(1, {"loss": np.float32(2), "val_loss": np.float32(3)})
    assert heard == [(5, {"loss": 2.0, "val_loss": 3.0, "learning_rate": 0.25})]
