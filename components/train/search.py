"""A search for better knobs by Optuna, kept on disk so that it may be killed anywhere.

What is tried next depends on the seed, the trial's number and the trials before it alone: a search that was
interrupted proposes what it would have proposed otherwise.
"""

import hashlib
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from components.train.progress import Numbers
from components.train.space import Knob, number_type

State = Literal["complete", "pruned", "failed"]
STATES: dict[State, TrialState] = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
TELLING = 10  # complete trials, before they can tell which knob matters
DIGITS = 3  # of a proposed number: what is printed is what was tried


@dataclass(frozen=True)
class Rules:
    """How a search goes about it.

    `maximize` the measure or minimise it; the first `random_trials` are drawn at random, and none is ended early
    before so many are complete, nor before its epoch `prune_from` (counted from 0).
    """

    maximize: bool
    seed: int
    random_trials: int
    prune_from: int


@dataclass(frozen=True)
class Trial:
    """One training of a search: what was tried, each epoch's numbers, and how it ended; `value` is what it is judged by."""

    number: int
    state: State | Literal["unfinished"]
    params: dict[str, Any]
    value: float | None
    rows: list[Numbers] = field(default_factory=list)
    reason: str = ""


class Search:
    """A study in the folder `folder`, made there on first use; one process at a time works on it."""

    def __init__(self, folder: Path, space: dict[str, Knob], rules: Rules) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.rules = rules
        self.distributions = {name: _distribution(name, knob) for name, knob in space.items()}
        self.space = space
        self._storage = optuna.storages.RDBStorage(f"sqlite:///{folder.resolve() / 'study.db'}")
        pruner = optuna.pruners.MedianPruner(max(rules.random_trials, 1), rules.prune_from)
        self._study = optuna.create_study(
            storage=self._storage,
            sampler=optuna.samplers.RandomSampler(rules.seed),  # never asked: every proposal is made by `_proposal`
            pruner=pruner,
            study_name="search",
            direction=self._direction,
            load_if_exists=True,
        )

    @property
    def _direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.rules.maximize else "minimize"

    @property
    def trials(self) -> list[Trial]:
        """Every trial so far, in order."""
        return [_read(found) for found in self._study.get_trials(deepcopy=False)]

    @property
    def ended(self) -> int:
        """How many trials are complete, pruned or failed."""
        return len(self._finished())

    @property
    def best(self) -> Trial | None:
        """The complete trial with the best value, the first of them; None when none is complete."""
        done = [trial for trial in self.trials if trial.state == "complete" and trial.value is not None]
        sign = -1 if self.rules.maximize else 1
        return min(done, key=lambda trial: sign * (trial.value or 0.0), default=None)

    def remembered(self, name: str, value: Any) -> Any:
        """What the study was told under this name the first time, `value` now."""
        if name not in self._study.user_attrs:
            self._study.set_user_attr(name, value)
        return self._study.user_attrs[name]

    def begin(self, present: dict[str, Any]) -> Trial:
        """The trial that was left unfinished, or the next one; the first tries the `present` values, as far as the space holds them."""
        number = self.ended
        if len(self._study.get_trials(deepcopy=False)) == number:
            fixed = {name: value for name, value in present.items() if number == 0 and name in self.space and self.space[name].holds(value)}
            params = {**self._proposal(number), **fixed}
            # One write: a trial has all its values, or is not there.
            self._study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, params=params, distributions=self.distributions))
        return self.trials[number]

    def report(self, number: int, epoch: int, numbers: Numbers, value: float | None) -> bool:
        """Keep an epoch's numbers; answers whether its value is so bad that the trial should end.

        It should when its best value so far is worse than the median of the other trials' at the same epoch (the
        median stopping rule of Golovin et al. 2017, Google Vizier, https://doi.org/10.1145/3097983.3098043).
        """
        self._storage.set_trial_user_attr(self._id(number), f"epoch/{epoch:06d}", numbers)
        if value is None or not math.isfinite(value):
            return False
        self._storage.set_trial_intermediate_value(self._id(number), epoch, value)
        return self._study.pruner.prune(self._study, self._storage.get_trial(self._id(number)))

    def end(self, number: int, state: State, value: float | None = None, reason: str = "") -> None:
        """Note how a trial ended; `value` is that of a complete one."""
        if reason:
            self._storage.set_trial_user_attr(self._id(number), "reason", reason)
        self._study.tell(number, value if state == "complete" else None, state=STATES[state])

    def importance(self) -> dict[str, float]:
        """Share of the value's variance that each knob explains (fANOVA, Hutter et al. 2014); empty before it can be told."""
        values = [trial.value for trial in self.trials if trial.state == "complete"]
        if len(values) < TELLING or len(set(values)) < 2 or len(self.space) < 2:
            return {}
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=self.rules.seed)
        found = optuna.importance.get_param_importances(self._study, evaluator=evaluator)
        return {name: float(share) for name, share in found.items()}

    def _proposal(self, number: int) -> dict[str, Any]:
        """Tree-structured Parzen estimator (Bergstra et al. 2011), asked on a copy with a generator of this trial's own."""
        digest = hashlib.sha256(f"{self.rules.seed} {number}".encode()).digest()
        sampler = optuna.samplers.TPESampler(n_startup_trials=self.rules.random_trials, seed=int.from_bytes(digest[:4], "big"))
        copy = optuna.create_study(sampler=sampler, direction=self._direction)
        copy.add_trials(self._finished())
        return {name: _rounded(value, self.space[name]) for name, value in copy.ask(self.distributions).params.items()}

    def _finished(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=tuple(STATES.values()))

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._storage.get_study_id_from_name("search"), number)


def _read(found: FrozenTrial) -> Trial:
    state: State | Literal["unfinished"] = next((name for name, state in STATES.items() if state == found.state), "unfinished")
    rows = [found.user_attrs[name] for name in sorted(found.user_attrs) if name.startswith("epoch/")]
    value = found.value if state == "complete" else None
    return Trial(found.number, state, dict(found.params), value, rows, found.user_attrs.get("reason", ""))


def _distribution(name: str, knob: Knob) -> BaseDistribution:
    if knob.choices is not None:
        return CategoricalDistribution(knob.choices)
    assert knob.low is not None and knob.high is not None
    if number_type(name) is int:
        return IntDistribution(int(knob.low), int(knob.high), log=knob.log)
    return FloatDistribution(float(knob.low), float(knob.high), log=knob.log)


def _rounded(value: Any, knob: Knob) -> Any:
    if not isinstance(value, float) or knob.choices is not None:
        return value
    assert knob.low is not None and knob.high is not None
    return min(max(float(f"{value:.{DIGITS}g}"), float(knob.low)), float(knob.high))
