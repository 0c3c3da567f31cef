"""Temperatures: known ones found again, scipy's minimum, and what no temperature may do."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from components.evaluate.calibration import FEWEST, LEAST, MOST, at_temperature, fit_temperature


def answers(count: int, classes: int = 5, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and truth drawn from the probabilities that they stand for: calibrated by making."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, classes))
    drawn = softmax(logits, axis=1).cumsum(axis=1) > random.random(count)[:, None]
    return logits, drawn.argmax(axis=1)


@pytest.mark.parametrize("known", [0.3, 1.0, 2.5])
def test_a_temperature_is_found_again(known: float) -> None:
    logits, truth = answers(20_000)
    assert fit_temperature(logits * known, truth) == pytest.approx(known, rel=0.04)


def test_it_is_the_minimum_that_scipy_finds() -> None:
    logits, truth = answers(4000, seed=1)

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(3 * logits / np.exp(log_temperature), axis=1)[np.arange(4000), truth].mean())

    expected = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded").x)
    assert fit_temperature(3 * logits, truth) == pytest.approx(expected, rel=0.01)


def test_few_images_say_nothing_and_perfect_ones_not_that_all_is_sure() -> None:
    truth = np.arange(FEWEST) % 2
    logits = np.eye(2)[truth]
    assert fit_temperature(logits[:-1], truth[:-1]) == 1.0
    perfect = fit_temperature(logits, truth)
    # As sure as one who was right 30 times in 30 should be: Platt's 31 of 32.
    assert softmax(logits / perfect, axis=1).max(axis=1) == pytest.approx(31 / 32, abs=0.001)


def test_it_stays_within_its_bounds_and_is_the_same_for_shifted_logits() -> None:
    logits, truth = answers(200)
    assert fit_temperature(logits * 1e-4, truth) == LEAST
    assert fit_temperature(logits * 1e4, truth) == MOST
    assert fit_temperature(logits + 100, truth) == fit_temperature(logits, truth)


def test_probabilities_at_a_temperature_are_those_of_the_logits_and_go_back() -> None:
    logits, _ = answers(50)
    found = at_temperature(softmax(logits, axis=1), 1.7)
    assert found == pytest.approx(softmax(logits / 1.7, axis=1))
    assert at_temperature(found, 1 / 1.7) == pytest.approx(softmax(logits, axis=1))
    assert (found.argmax(axis=1) == logits.argmax(axis=1)).all()
