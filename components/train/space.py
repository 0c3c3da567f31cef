"""What a search for better knobs may try, and how it goes about it, as params.yaml says it."""

from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, Literal, get_args, get_type_hints

from components.errors import UsageError
from components.train.config import TrainConfig


@dataclass(frozen=True)
class Knob:
    """A field of TrainConfig and its values: from `low` to `high`, both included, or one of `choices`.

    With `log` each factor of ten is as likely as another.
    """

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: list[Any] | None = None

    @property
    def edges(self) -> list[Any]:
        """Values that must be possible, for all the others to be."""
        return [self.low, self.high] if self.choices is None else self.choices

    def holds(self, value: Any) -> bool:
        """Whether the search may try this very value."""
        if self.choices is not None:
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        if self.choices is not None:
            return " | ".join(map(str, self.choices))
        return f"{self.low} .. {self.high}{', log' if self.log else ''}"


@dataclass(frozen=True)
class Space:
    """By what measure of the validation images the models of one task are compared, and which fields of TrainConfig are searched."""

    metric: Literal["val/accuracy", "val/loss"]
    space: dict[str, Knob]


@dataclass(frozen=True)
class Tune:
    """How better knobs are searched for; every field is explained in params.yaml."""

    trials: int
    random_trials: int
    prune_from: float
    classification: Space
    detection: Space


def number_type(name: str) -> type[int] | type[float] | None:
    """Whether a knob counts (int), measures (float) or names (None)."""
    hint = get_type_hints(TrainConfig)[name]
    kinds = {hint, *get_args(hint)}
    return int if int in kinds else float if float in kinds else None


def refuse_impossible(tune: Tune, where: str) -> None:
    """Raise UsageError for a search that cannot be, its place named after `where`."""
    if min(tune.trials, tune.random_trials) < 1 or not 0 <= tune.prune_from <= 1:
        raise UsageError(f"{where}: trials and random_trials must be 1 or more, prune_from lie in 0..1")
    for task, searched in (("classification", tune.classification), ("detection", tune.detection)):
        if not searched.space:
            raise UsageError(f"{where}.{task}.space is empty, expected knobs such as learning_rate: {{low: 0.0001, high: 0.01, log: true}}")
        for name, knob in searched.space.items():
            _refuse_unknown(name, f"{where}.{task}.space")
            _refuse_impossible_knob(name, knob, f"{where}.{task}.space.{name}")
    if tune.detection.metric != "val/loss":
        raise UsageError(f"{where}.detection.metric is {tune.detection.metric}, expected val/loss: what a detector's training measures")


def _refuse_unknown(name: str, where: str) -> None:
    known = [field.name for field in fields(TrainConfig)]
    if name not in known:
        near = get_close_matches(name, known, n=1)
        raise UsageError(f"{where}: unknown knob {name}" + (f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"))


def _refuse_impossible_knob(name: str, knob: Knob, where: str) -> None:
    said = f"{where} is {{{', '.join(f'{key}: {value}' for key, value in vars(knob).items() if value not in (None, False))}}}"
    if knob.choices is not None:
        if (
            not knob.choices
            or len(knob.choices) != len(set(map(repr, knob.choices)))
            or (knob.low, knob.high, knob.log) != (None, None, False)
        ):
            raise UsageError(f"{said}: expected different values in `choices`, and nothing beside them")
        return
    kind = number_type(name)
    if kind is None:
        raise UsageError(f"{said}: this knob is no number, expected `choices: [...]`")
    if knob.low is None or knob.high is None or not knob.low < knob.high:
        raise UsageError(f"{said}: expected `low` below `high`, or `choices: [...]`")
    if knob.log and knob.low <= 0:
        raise UsageError(f"{said}: with `log: true` expected `low` above 0")
    if kind is int and (knob.low != int(knob.low) or knob.high != int(knob.high)):
        raise UsageError(f"{said}: expected whole numbers")
