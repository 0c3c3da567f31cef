from typing import Any

import pytest

from components.errors import UsageError
from components.train.space import Knob, Space, Tune, refuse_impossible

RATE = Knob(0.001, 0.1, log=True)


def tune(space: dict[str, Knob], **changed: Any) -> Tune:
    plain = Space("val/loss", {"learning_rate": RATE})
    return Tune(
        **{"trials": 9, "random_trials": 3, "prune_from": 0.5, "classification": Space("val/accuracy", space), "detection": plain} | changed
    )


@pytest.mark.parametrize(
    ("name", "knob", "said"),
    [
        ("learning_rat", RATE, r"tune\.classification\.space: unknown knob learning_rat; did you mean learning_rate\?"),
        ("learning_rate", Knob(0.1, 0.001), r"learning_rate is \{low: 0\.1, high: 0\.001\}: expected `low` below `high`"),
        ("learning_rate", Knob(0.1), "expected `low` below `high`, or `choices"),
        ("learning_rate", Knob(0.0, 0.1, log=True), "expected `low` above 0"),
        ("frozen_epochs", Knob(0.5, 3), "expected whole numbers"),
        ("schedule", Knob(0, 1), r"no number, expected `choices: \[\.\.\.\]`"),
        ("batch_size", Knob(choices=[]), "expected different values"),
        ("batch_size", Knob(choices=[8, 8]), "expected different values"),
        ("batch_size", Knob(low=1, choices=[8, 16]), "nothing beside them"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_in_words(name: str, knob: Knob, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        refuse_impossible(tune({name: knob}), "params.yaml: tune")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"trials": 0}, "trials and random_trials must be 1 or more"),
        ({"prune_from": 1.5}, "prune_from lie in 0..1"),
        ({"classification": Space("val/accuracy", {})}, "space is empty"),
        ({"detection": Space("val/accuracy", {"learning_rate": RATE})}, "expected val/loss"),
    ],
)
def test_a_search_that_cannot_be_is_refused(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        refuse_impossible(tune({"learning_rate": RATE}, **changed), "tune")


def test_a_range_includes_both_ends_and_a_choice_its_members() -> None:
    assert [RATE.holds(value) for value in (0.001, 0.1, 0.2, None)] == [True, True, False, False]
    assert [Knob(choices=["cosine", None]).holds(value) for value in ("cosine", None, "linear")] == [True, True, False]
