"""Learning rates at hand-worked steps, and the counting of patience."""

import math

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.train.schedule import Patience, learning_rate


def at(schedule, step: int) -> float:
    return float(schedule(step))


def test_cosine_warms_up_from_a_tenth_and_falls_to_zero():
    rate = learning_rate("cosine", 1.0, steps=110, warmup_steps=10)
    assert at(rate, 0) == pytest.approx(0.1)
    assert at(rate, 5) == pytest.approx(0.55)
    assert at(rate, 10) == pytest.approx(1.0)
    assert at(rate, 60) == pytest.approx(0.5, abs=1e-6)
    assert at(rate, 35) == pytest.approx((1 + math.cos(math.pi / 4)) / 2, rel=1e-5)
    assert at(rate, 110) == pytest.approx(0.0, abs=1e-6)


def test_without_warmup_cosine_starts_at_the_peak():
    rate = learning_rate("cosine", 0.3, steps=10, warmup_steps=0)
    assert (at(rate, 0), at(rate, 5), at(rate, 10)) == pytest.approx((0.3, 0.15, 0.0), abs=1e-6)


@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_every_step_is_that_of_keras_cosine_decay(warmup):
    ours = learning_rate("cosine", 0.02, steps=40, warmup_steps=warmup)
    start, target = (0.002, 0.02) if warmup else (0.02, None)
    keras_own = keras.optimizers.schedules.CosineDecay(start, 40 - warmup, warmup_target=target, warmup_steps=warmup)
    assert [at(ours, step) for step in range(45)] == pytest.approx([float(keras_own(step)) for step in range(45)], abs=1e-8)


@pytest.mark.parametrize("name", ["constant", "plateau"])
def test_the_other_schedules_hold_the_peak(name):
    assert learning_rate(name, 0.02, 100, 10) == 0.02


@given(steps=st.integers(1, 50), warmup=st.integers(0, 100))
def test_a_rate_is_never_negative_nor_above_the_peak(steps, warmup):
    rate = learning_rate("cosine", 0.5, steps, warmup)
    assert all(-1e-9 <= at(rate, step) <= 0.5 + 1e-6 for step in range(0, steps + 1, 7))


def run(losses: list[float], patience: int) -> tuple[int, Patience]:
    counted = Patience(patience)
    for epoch, loss in enumerate(losses):
        counted.improved(epoch, loss)
        if counted.exhausted:
            return epoch + 1, counted
    return len(losses), counted


@pytest.mark.parametrize(
    ("losses", "patience", "ran", "best"),
    [
        ([3, 2, 1], 2, 3, 2),
        ([1, 2, 3, 0], 2, 3, 0),
        ([1, 2, 0.5, 2, 2], 2, 5, 2),
        ([1, 1, 1], 2, 3, 0),
        ([1, 9, 9, 9, 9], 0, 5, 0),
        ([math.nan, 2, math.nan, math.nan, 1], 2, 4, 1),
        ([math.nan, math.nan], 2, 2, -1),
        ([math.inf, 5], 3, 2, 1),
    ],
)
def test_patience_counts_epochs_since_the_best(losses, patience, ran, best):
    found, counted = run(losses, patience)
    assert (found, counted.best_epoch) == (ran, best)
    if best >= 0:
        assert counted.best == losses[best]


@given(st.lists(st.floats(allow_nan=True), max_size=20))
def test_without_patience_the_best_is_the_first_least_number(losses):
    _, counted = run(losses, 0)
    finite = [loss for loss in losses if loss < math.inf]
    assert counted.best_epoch == (losses.index(min(finite)) if finite else -1)
