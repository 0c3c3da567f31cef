"""Spreads over seeds, worked out by hand."""

from typing import Any

import pytest

from components.evaluate.seeds import Number, spreads

NAMES = {"classification": ("val/accuracy", "test/accuracy"), "detection": ("test/map50",)}


def report(model: str, seed: int, accuracy: float | None, **changes: Any) -> dict[str, Any]:
    known = {"task": "classification", "data_digest": "d", "test_digest": "t"}
    params = {"epochs": 2, "seed": seed, **changes.pop("params", {})}
    return {"model": model, **known, "params": params, "metrics": {"val/accuracy": 0.5, "test/accuracy": accuracy}, **changes}


def test_mean_and_deviation_of_the_seeds_of_one_block() -> None:
    reports = [report("cnn", 3, 0.75), report("longer", 2, 0.9, params={"epochs": 3}), report("again", 1, 0.85)]
    (found,) = spreads(reports, NAMES)
    assert (found.task, found.models, found.seeds) == ("classification", ["cnn", "again"], [1, 3])
    # The deviation of 0.75 and 0.85 is 0.1 / sqrt(2).
    assert found.metrics["test/accuracy"] == Number(pytest.approx(0.8), pytest.approx(0.1 / 2**0.5))
    assert found.in_words() == "cnn, again: 2 seeds, val/accuracy 0.500 ± 0.000, test/accuracy 0.800 ± 0.071"


@pytest.mark.parametrize(
    "other",
    [
        report("other", 1, 0.85),
        report("other", 2, 0.85, data_digest="e"),
        report("other", 2, 0.85, test_digest="u"),
        {**report("other", 2, 0.85), "params": {"epochs": 2}},
        {"model": "other", "task": "classification"},
    ],
    ids=["the same seed", "other data", "other test images", "no seed told", "no params told"],
)
def test_what_differs_in_more_than_the_seed_or_not_in_it_is_no_sibling(other: dict[str, Any]) -> None:
    assert spreads([report("cnn", 1, 0.75), other], NAMES) == []


def test_one_training_under_two_names_counts_once() -> None:
    (found,) = spreads([report("cnn", 1, 0.7), report("copy", 1, 0.7), report("again", 2, 0.8)], NAMES)
    assert (found.models, found.seeds) == (["cnn", "copy", "again"], [1, 2])
    assert found.metrics["test/accuracy"].mean == pytest.approx(0.75)


def test_a_metric_that_one_seed_lacks_is_left_out() -> None:
    (found,) = spreads([report("cnn", 1, None), report("again", 2, 0.8)], NAMES)
    assert found.in_words() == "cnn, again: 2 seeds, val/accuracy 0.500 ± 0.000"
