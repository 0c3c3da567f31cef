"""Learning rates against Keras' own and hand-worked shares, and the counting of patience."""

import math

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.train.schedule import SCHEDULES, Patience, Plateau, constant, cosine, linear, one_cycle


@pytest.mark.parametrize(
    ("done", "rate"), [(0, 0.1), (0.05, 0.55), (0.1, 1), (0.325, (1 + math.cos(math.pi / 4)) / 2), (0.55, 0.5), (1, 0)]
)
def test_cosine_warms_up_from_a_tenth_and_falls_to_zero(done, rate):
    assert cosine(done, 0.1) == pytest.approx(rate)


@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_every_step_is_that_of_keras_cosine_decay(warmup):
    start, target = (0.002, 0.02) if warmup else (0.02, None)
    keras_own = keras.optimizers.schedules.CosineDecay(start, 40 - warmup, warmup_target=target, warmup_steps=warmup)
    ours = [0.02 * cosine(step / 40, warmup / 40) for step in range(41)]
    assert ours == pytest.approx([float(keras_own(step)) for step in range(41)], abs=1e-8)


@pytest.mark.parametrize(("done", "rate"), [(0, 0.1), (0.1, 0.55), (0.2, 1), (0.4, 0.75), (0.6, 0.5), (1, 0)])
def test_linear_rises_and_falls_in_lines(done, rate):
    assert linear(done, 0.2) == pytest.approx(rate)


def pytorch_one_cycle(step: int, total: int, share: float) -> float:
    """torch.optim.lr_scheduler.OneCycleLR of max_lr 1 and its defaults, by its own arithmetic."""

    def annealed(start: float, end: float, done: float) -> float:
        return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)

    rise = share * total - 1
    start = 1 / 25
    return annealed(start, 1, step / rise) if step <= rise else annealed(1, start / 1e4, (step - rise) / (total - 1 - rise))


@pytest.mark.parametrize("step", range(11))
def test_one_cycle_is_pytorch_s(step):
    assert one_cycle(step / 10, 0.34) == pytest.approx(pytorch_one_cycle(step, 11, 0.4))


@pytest.mark.parametrize(("done", "rate"), [(0, 0.1), (0.05, 0.55), (0.1, 1), (0.7, 1), (1, 1)])
def test_the_constant_schedule_holds_the_peak_once_warm(done, rate):
    assert constant(done, 0.1) == pytest.approx(rate)


@given(name=st.sampled_from(sorted(SCHEDULES)), done=st.floats(0, 1), warm=st.floats(0, 1))
def test_a_rate_is_never_negative_nor_above_the_peak(name, done, warm):
    assert 0 <= SCHEDULES[name](done, warm) <= 1 + 1e-12


@pytest.mark.parametrize(
    ("losses", "factors"), [([5, 4, 3], [1, 1, 1]), ([1, 2, 2, 2, 2], [1, 1, 0.1, 0.1, 0.01]), ([1, 2, 0.5, 2, 2], [1, 1, 1, 1, 0.1])]
)
def test_a_plateau_divides_by_ten_after_its_epochs_without_a_better_value(losses, factors):
    plateau, found = Plateau(2), []
    for epoch, loss in enumerate(losses):
        plateau.heard(epoch, loss)
        found.append(plateau.factor)
    assert found == pytest.approx(factors)


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
