"""A training that was interrupted ends as if it had not been; one with a time budget ends in time."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from components.errors import UsageError
from components.train import checkpoint
from components.train.config import TrainConfig
from components.train.fit import Session, fit
from components.train.progress import Outcome
from components.train.step import Step, read
from tests.components.train.test_fit import GOAL, PRETRAINED, batches, config, layered, shapes

EVERYTHING = {
    "epochs": 4, "frozen_epochs": 2, "learning_rate": 0.01, "weight_decay": 1e-3, "schedule": "cosine", "warmup_epochs": 0.5,
    "ema_decay": 0.9, "clip_norm": 1.0,
}  # fmt: skip


class Training:
    """A training in a folder, run from whatever it finds there; stops before batch `stop` of this run, if told."""

    def __init__(self, folder, wanted: TrainConfig, key: str = "k", seconds: float = 0.0, **session) -> None:
        self.folder, self.wanted, self.told = folder, wanted, []
        self.session = Session(lambda epoch, _: self.told.append(epoch), folder / "checkpoints", key, seconds, **session)

    def run(self, stop: int | None = None) -> tuple[Outcome, list[dict[str, float]], list[np.ndarray]]:
        model, asked = layered(), itertools.count(1)
        session = replace(self.session, stopping=lambda: next(asked) == stop)
        outcome, rows = fit(model, GOAL, batches(shapes(24), self.wanted, "strong"), self.wanted, PRETRAINED, session)
        return outcome, rows, [read(variable) for variable in model.variables]


def equal(first: list[np.ndarray], second: list[np.ndarray]) -> bool:
    return all((a == b).all() for a, b in zip(first, second, strict=True))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return Training(tmp_path_factory.mktemp("whole"), config(**EVERYTHING)).run()


@pytest.mark.parametrize("stops", [[1], [5], [6], [3, 2, 4]])
def test_it_goes_on_to_equal_weights_and_tells_every_epoch_once(tmp_path, whole, stops):
    """3 batches an epoch: batch 6 is the last of the frozen phase."""
    training = Training(tmp_path, config(**EVERYTHING), seconds=1e9)
    for stop in stops:
        with pytest.raises(KeyboardInterrupt):
            training.run(stop)
    outcome, rows, weights = training.run()
    assert equal(weights, whole[2]) and rows == whole[1]
    assert training.told == [0, 1, 2, 3]
    assert (outcome.epochs, outcome.best_epoch, outcome.best_loss) == (4, whole[0].best_epoch, whole[0].best_loss)
    assert outcome.seconds > 0


@pytest.mark.slow
@pytest.mark.parametrize("changed", [{"keep": "last"}, {"schedule": "plateau", "patience": 2}, {"optimizer": "sgd", "accumulate": 2}])
def test_whatever_the_knobs(tmp_path, changed, stop=8):
    wanted = config(**{**EVERYTHING, **changed})
    expected = Training(tmp_path / "whole", wanted).run()
    training = Training(tmp_path / "cut", wanted)
    with pytest.raises(KeyboardInterrupt):
        training.run(stop)
    _, rows, weights = training.run()
    assert equal(weights, expected[2]) and rows == expected[1]


def test_the_second_newest_does_when_the_newest_is_damaged(tmp_path, whole):
    training = Training(tmp_path, config(**EVERYTHING))
    with pytest.raises(KeyboardInterrupt):
        training.run(stop=8)
    newest = max((tmp_path / "checkpoints").iterdir())
    (newest / "arrays.npz").write_bytes(b"")
    assert equal(training.run()[2], whole[2])


def test_another_training_s_checkpoint_is_not_continued(tmp_path, whole):
    with pytest.raises(KeyboardInterrupt):
        Training(tmp_path, config(**EVERYTHING), key="another").run(stop=5)
    training = Training(tmp_path, config(**EVERYTHING))
    assert equal(training.run()[2], whole[2])
    assert training.told == [0, 1, 2, 3]


def test_an_end_by_patience_is_remembered(tmp_path):
    """Interrupted after the batch with which patience ran out, it trains no further."""
    wanted = config(epochs=20, patience=1, learning_rate=0.0)  # only the statistics of the batch normalisation move
    expected, _, weights = Training(tmp_path / "whole", wanted).run()
    assert expected.stopped_early and expected.epochs < 20
    training = Training(tmp_path / "cut", wanted)
    with pytest.raises(KeyboardInterrupt):
        training.run(stop=3 * expected.epochs)
    outcome, _, found = training.run()
    assert (outcome.epochs, outcome.stopped_early, outcome.best_epoch) == (expected.epochs, True, expected.best_epoch)
    assert equal(found, weights)


class Clock:
    """A clock that a test moves on by hand, by `tick` seconds whenever it is asked for a batch."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def tick(self, *_: int) -> None:
        self.now += 1.0


@pytest.mark.parametrize(("budget", "rows"), [("9s", 3), ("10s", 4), ("2s", 2)])
def test_a_budget_is_used_up_whatever_the_epochs(tmp_path, budget, rows):
    """A batch takes a second, an epoch 3 of them; the schedule follows the time, and a partial epoch counts as one."""
    clock, rates = Clock(), []
    wanted = config(budget=budget, epochs=2, schedule="linear")
    session = Session(lambda _, numbers: rates.append(numbers["learning_rate"]), tmp_path, clock=clock, told=clock.tick)
    outcome, found = fit(layered(), GOAL, batches(shapes(24), wanted), wanted, [], session)
    assert clock.now == outcome.seconds
    assert abs(clock.now - float(budget[:-1])) <= 1 and len(found) == outcome.epochs
    assert rates == sorted(rates, reverse=True)


def test_a_budget_is_shared_by_the_phases_as_their_epochs_are(tmp_path):
    clock, wanted = Clock(), config(budget="12s", epochs=4, frozen_epochs=1, learning_rate=0.5, fine_tune_learning_rate=0.25)
    seen = []
    session = Session(lambda _, numbers: seen.append((clock.now, numbers["learning_rate"])), tmp_path, clock=clock, told=clock.tick)
    fit(layered(), GOAL, batches(shapes(24), wanted), wanted, PRETRAINED, session)
    assert {rate for now, rate in seen if now <= 3} == {0.5} and {rate for now, rate in seen if now > 3} == {0.25}


def test_parts_of_a_batch_add_up_to_the_whole(tmp_path):
    """Without batch normalisation the gradient of a batch is the mean of its parts' gradients."""
    from tests.components.train.test_fit import Run, small, snapshot

    whole = Run(tmp_path / "1", small(), config(epochs=2, batch_size=24, learning_rate=0.01, optimizer="sgd"))
    parts = Run(tmp_path / "2", small(), config(epochs=2, batch_size=24, learning_rate=0.01, optimizer="sgd", accumulate=4))
    np.testing.assert_allclose(snapshot(parts.model)["logits"][0], snapshot(whole.model)["logits"][0], rtol=1e-5)
    assert parts.numbers[0]["train/loss"] == pytest.approx(whole.numbers[0]["train/loss"], rel=1e-6)


def test_a_batch_that_cannot_be_parted_is_refused(tmp_path):
    with pytest.raises(UsageError, match="24 images cannot be computed in 5 equal parts"):
        Training(tmp_path, config(batch_size=24, accumulate=5)).run()


def test_sgd_is_nesterov_s(tmp_path):
    """Two steps on f(w) = w, by hand: v1 = -r, w1 = w0 + m v1 - r; v2 = m v1 - r, w2 = w1 + m v2 - r."""
    import keras

    from components.train.optimizers import build_optimizer

    weight = keras.Variable(1.0)
    optimizer = build_optimizer(config(optimizer="sgd", momentum=0.5, learning_rate=0.1))
    for expected in (1 - 0.15, 1 - 0.15 - 0.175):
        optimizer.apply([keras.ops.ones(())], [weight])
        assert float(weight) == pytest.approx(expected)


def test_a_step_s_arrays_are_copies(tmp_path):
    from components.train.optimizers import build_optimizer

    step = Step(layered(), GOAL, build_optimizer(config()), 0.9, 1)
    before = step.arrays()
    step.train(shapes(8).pixels, shapes(8).targets, 0.1)
    after = step.arrays()
    assert any((before[name] != after[name]).any() for name in before if name.startswith("model/"))
    step.restore(before)
    assert all((step.arrays()[name] == before[name]).all() for name in before)
    assert checkpoint.newest(tmp_path, "") is None
