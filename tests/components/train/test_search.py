"""A search whose trainings are formulas: what is proposed, kept, ended early, and found again after any interruption."""

from pathlib import Path

import pytest

from components.train.search import Rules, Search, Trial
from components.train.search_picture import draw_search
from components.train.space import Knob

SPACE = {
    "learning_rate": Knob(1e-4, 1e-1, log=True),
    "batch_size": Knob(choices=[8, 16]),
    "frozen_epochs": Knob(0, 3),
    "dropout": Knob(0.0, 0.5),
}
RULES = Rules(maximize=True, seed=3, random_trials=3, prune_from=1)
OWN = {"learning_rate": 0.01, "batch_size": 16, "frozen_epochs": 1, "dropout": 0.25, "epochs": 30}


def worth(params: dict) -> float:
    return params["dropout"] - abs(params["learning_rate"] - 0.003) * 10


def train(search: Search, trial: Trial, epochs: range = range(4)) -> None:
    """Report a curve that rises to the trial's worth, from the first of `epochs`; leave it unfinished before the last of four."""
    for epoch in epochs:
        value = worth(trial.params) * (epoch + 1) / 4
        if search.report(trial.number, epoch, {"val/accuracy": value, "learning_rate": 0.1}, value):
            search.end(trial.number, "pruned")
            return
    if epochs.stop == 4:
        search.end(trial.number, "complete", worth(trial.params))


def whole(folder: Path, trials: int, rules: Rules = RULES) -> Search:
    search = Search(folder, SPACE, rules)
    for _ in range(trials):
        train(search, search.begin(OWN))
    return search


def test_a_search_left_at_any_place_goes_on_as_if_it_had_never_been(tmp_path: Path) -> None:
    expected = whole(tmp_path / "whole", 8).trials
    folder = tmp_path / "broken"
    for number in range(8):
        told = number % 4  # epochs, before the process dies
        search = Search(folder, SPACE, RULES)
        begun = search.begin(OWN)
        train(search, begun, range(0, told))
        again = Search(folder, SPACE, RULES)
        assert len(again.trials) == number + 1
        if again.trials[-1].state == "unfinished":
            assert again.ended == number and again.begin(OWN).params == begun.params
            train(again, begun, range(max(told - 1, 0), 4))  # from a checkpoint, an epoch before what was told last
    assert Search(folder, SPACE, RULES).trials == expected
    assert {trial.state for trial in expected} == {"complete", "pruned"}


def test_the_first_trial_has_the_models_own_values_where_the_space_holds_them(tmp_path: Path) -> None:
    first = Search(tmp_path / "a", SPACE, RULES).begin(OWN)
    assert first.params == {name: OWN[name] for name in SPACE}
    beyond = Search(tmp_path / "b", SPACE, RULES).begin({**OWN, "dropout": 0.9})
    assert 0 <= beyond.params["dropout"] <= 0.5 and beyond.params["learning_rate"] == 0.01


def test_proposals_lie_in_the_space_are_short_numbers_and_follow_the_seed(tmp_path: Path) -> None:
    one, two = whole(tmp_path / "one", 6).trials, whole(tmp_path / "two", 4, Rules(True, 4, 3, 1)).trials
    for trial in one:
        assert all(SPACE[name].holds(value) for name, value in trial.params.items())
        assert all(len(f"{value:.2e}") >= len(f"{value:g}") or value == float(f"{value:.3g}") for value in trial.params.values())
        assert isinstance(trial.params["frozen_epochs"], int)
    assert [trial.params for trial in one[1:4]] != [trial.params for trial in two[1:]]


def test_a_trial_is_ended_early_when_its_best_is_below_the_median_of_the_others(tmp_path: Path) -> None:
    """Worked by hand: at epoch 1 the complete trials had 0.2, 0.5 and 0.6, of which 0.5 is the median."""
    search = Search(tmp_path, SPACE, RULES)
    for curve in ((0.1, 0.2), (0.4, 0.5), (0.3, 0.6)):
        number = search.begin(OWN).number
        assert not any(search.report(number, epoch, {}, value) for epoch, value in enumerate(curve))
        search.end(number, "complete", curve[-1])
    ends = []
    for curve in ((0.0, 0.49), (0.0, 0.51), (0.55, 0.1)):
        number = search.begin(OWN).number
        ends.append([search.report(number, epoch, {}, value) for epoch, value in enumerate(curve)])
        search.end(number, "failed")
    assert ends == [[False, True], [False, False], [False, False]]  # epoch 0 lies before `prune_from`; the last was good once


def test_where_less_is_better_the_median_counts_from_below(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, Rules(False, 0, 1, 0))
    first = search.begin(OWN).number
    assert not search.report(first, 0, {}, 0.5)
    search.end(first, "complete", 0.5)
    second = search.begin(OWN).number
    assert search.report(second, 0, {}, 0.6) and not search.report(second, 1, {}, None)
    search.end(second, "failed", reason="the loss became nan")
    third = search.begin(OWN).number
    search.end(third, "complete", 0.4)
    assert search.best is not None and search.best.number == third
    assert (search.trials[1].reason, search.trials[1].value) == ("the loss became nan", None)


def test_no_trial_of_a_failed_search_is_best(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, RULES)
    search.end(search.begin(OWN).number, "failed", reason="no")
    assert search.best is None and search.importance() == {} and search.ended == 1


def test_what_is_remembered_first_stays(tmp_path: Path) -> None:
    assert Search(tmp_path, SPACE, RULES).remembered("batch_size", 64) == 64
    assert Search(tmp_path, SPACE, RULES).remembered("batch_size", 8) == 64


def test_the_knob_that_decides_is_called_the_important_one(tmp_path: Path) -> None:
    search = Search(tmp_path, SPACE, Rules(True, 0, 14, 9))
    for _ in range(14):
        trial = search.begin({})
        search.end(trial.number, "complete", trial.params["dropout"])
    found = search.importance()
    assert max(found, key=lambda name: found[name]) == "dropout" and found["dropout"] > 0.5
    assert sum(found.values()) == pytest.approx(1)
    draw_search(search.trials, SPACE, found, ("a title", "val/accuracy", True), tmp_path / "search.png")
    assert (tmp_path / "search.png").read_bytes().startswith(b"\x89PNG")
