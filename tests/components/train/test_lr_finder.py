"""The range test on a parabola, where gradient descent at a rate above 2 / curvature diverges."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from components.train.lr_finder import draw_sweeps, suggestion, sweep


def parabola(curvature: float) -> Callable[[int, float], float]:
    """Gradient descent on curvature / 2 * x**2 from x = 1."""
    place = [1.0]

    def train(_: int, rate: float) -> float:
        loss = curvature / 2 * place[0] ** 2
        place[0] -= rate * curvature * place[0]
        return loss

    return train


def noisy(train: Callable[[int, float], float], share: float) -> Callable[[int, float], float]:
    rng = np.random.default_rng(0)
    return lambda number, rate: train(number, rate) * (1 + share * float(rng.standard_normal()))


@pytest.mark.parametrize("curvature", [0.5, 10.0, 2000.0])
def test_it_stops_soon_after_the_rate_at_which_a_parabola_diverges_and_suggests_one_well_below(curvature: float) -> None:
    limit = 2 / curvature
    found = sweep(parabola(curvature), limit * 1e-4, limit * 1e3, 140)
    assert found.diverged and limit < found.rates[-1] < 20 * limit
    suggested = suggestion(found)
    assert suggested is not None and limit / 100 < suggested < limit / 2


def test_a_suggestion_scales_with_the_problem() -> None:
    one, ten = (suggestion(sweep(parabola(curvature), 1e-5 / curvature, 1e3 / curvature, 160)) for curvature in (1.0, 10.0))
    assert one is not None and ten is not None and one / ten == pytest.approx(10)


def test_noise_moves_a_suggestion_little() -> None:
    plain, rough = suggestion(sweep(parabola(1.0), 1e-4, 1e3, 140)), suggestion(sweep(noisy(parabola(1.0), 0.05), 1e-4, 1e3, 140))
    assert plain is not None and rough is not None and 1 / 4 < rough / plain < 4 and rough < 1


def test_a_loss_that_creeps_down_after_its_fall_moves_no_suggestion() -> None:
    """Images learned by heart: the loss falls by half with every batch from a rate of 1e-4 on, and is next to nothing at any later one."""
    found = sweep(lambda number, rate: 1.0 if rate < 1e-4 else 0.5 ** (40 * np.log10(rate / 1e-4)) + 0.001 / (1 + number), 1e-6, 10.0, 141)
    suggested = suggestion(found)
    assert suggested is not None and 1e-4 < suggested < 1e-3


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    assert suggestion(sweep(lambda number, rate: 1.0, steps=50)) is None
    assert suggestion(sweep(lambda number, rate: 1.0 + number / 50, steps=50)) is None
    assert suggestion(sweep(lambda number, rate: float("nan"), steps=50)) is None


def test_a_loss_that_is_no_number_ends_it() -> None:
    found = sweep(lambda number, rate: 2.0 - number / 100 if number < 20 else float("nan"), 1e-3, 1.0, 50)
    assert found.diverged and len(found.rates) == len(found.losses) == 20


def test_rates_grow_by_one_factor_and_are_those_that_were_used() -> None:
    used: list[float] = []
    found = sweep(lambda number, rate: used.append(rate) or 1.0, 1e-4, 1.0, 41)
    assert found.rates[0] == pytest.approx(1e-4) and found.rates[-1] == pytest.approx(1.0)
    assert np.diff(np.log10(found.rates)) == pytest.approx(0.1)
    assert list(found.rates) == used and not found.diverged


def test_the_picture_is_drawn_with_and_without_a_suggestion(tmp_path: Path) -> None:
    flat = sweep(lambda number, rate: 1.0, steps=20)
    draw_sweeps({"learning_rate": (sweep(parabola(1.0)), 0.1, 0.01), "other": (flat, None, 0.1)}, "a title", tmp_path / "lr.png")
    assert (tmp_path / "lr.png").read_bytes().startswith(b"\x89PNG")
