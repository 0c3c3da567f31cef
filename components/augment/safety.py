"""Label safety: what a policy can do to pictures, judged by measurement, against what a dataset says must not happen.

Every transform is measured alone and always applied (see `probe`), then the policy as a whole, since two transforms may
do together what neither does alone: two flips are half a turn. For a refusal the argument to blame is measured too: the
one that, set to nothing, takes the effect away.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from components.augment import probe
from components.augment.effects import RULES, breaks, effects
from components.augment.pipeline import Entry, Policy, always, build, compose, inner, is_composition, leaves, parts
from components.errors import UsageError

Sides = tuple[int, int]  # pixels of a side before and after augmentation

SIDE = 96  # pixels: what no argument counts in pixels is measured on small pictures
IN_PIXELS = re.compile(r"height|width|size|px|[xy]_m|pad|length|radius|delta")
NOTHING: tuple[Any, ...] = (0, [1, 1], [0, 0], False)
SLOW = {"PiecewiseAffine": 4, "Superpixels": 4}  # draws of transforms that take a tenth of a second a picture
FEWER_DRAWS = 20


@dataclass(frozen=True)
class Judged:
    """What a transform (or, with several entries, the whole policy beyond them) can do: rule -> what happens, in words."""

    entries: Policy
    effects: dict[str, str]

    @property
    def name(self) -> str:
        """The transforms' names."""
        return " + ".join(parts(entry)[0] for entry in self.entries)


def judge(policy: Policy, models: list[Sides]) -> list[Judged]:
    """Each transform of a policy, in order, then what the whole of it does beyond them.

    `models`: the sides before and after augmentation of the models that train with it. Raises UsageError for a transform
    that Albumentations does not know.
    """
    sides = _sides(policy, models)
    every = list(leaves(policy))
    alone = [Judged([entry], effects(_draws([always(entry)], sides))) for entry in every]
    if len(every) < 2:
        return alone
    known = {"no_erase"} | {rule for one in alone for rule in one.effects}  # a corner cut off twice looks like a hole
    together = {rule: what for rule, what in effects(_whole(policy, sides)).items() if rule not in known}
    return [*alone, Judged(policy, together)] if together else alone


def refuse(policy: Policy, judged: Iterable[Judged], declared: Mapping[str, str], models: list[Sides], keys: tuple[str, str]) -> None:
    """Raise UsageError when the policy can do what the dataset has declared as changing a label.

    `declared` as `effects.declared` gives it; `keys`: where params.yaml holds the policy and the declaration. Everything
    that is wrong is told at once: the transform, its argument, the reason, the remedy, and what is left of the policy.
    """
    wrong = {id(one): (one, [rule for rule in one.effects if rule in declared]) for one in judged}
    found = [(one, rules) for one, rules in wrong.values() if rules]
    if not found:
        return
    sides = _sides(policy, models)
    told = [line for one, rules in found for line in _lines(one, {rule: declared[rule] for rule in rules}, sides)]
    raise UsageError(
        "\n  - ".join([f"{keys[0]} could change labels, which {keys[1]} rules out:", *told])
        + _left(policy, [one for one, _ in found], keys[0])
    )


def _left(policy: Policy, found: list[Judged], key: str) -> str:
    """What the policy is without the transforms that are refused, ready to be put into params.yaml."""
    unwanted = [one for one in found if len(one.entries) == 1]
    if not unwanted:
        return ""
    rest = yaml.safe_dump(_without(policy, [one.entries[0] for one in unwanted]), default_flow_style=True, width=100_000, sort_keys=False)
    task = key.rpartition(".")[2]
    return f"\nwithout {', '.join(one.name for one in unwanted)} it is\n  {task}: {rest.strip()}"


def _lines(one: Judged, rules: Mapping[str, str], sides: list[Sides]) -> Iterator[str]:
    if len(one.entries) > 1:
        for rule, word in rules.items():
            names = " + ".join(parts(entry)[0] for entry in _fewest(one.entries, rule, sides))
            yield f"{names} together can {_what(one, rule, word)}; leave one of them out"
        return
    by_remedy: dict[tuple[str, str], list[str]] = {}
    for rule, word in rules.items():
        by_remedy.setdefault(_remedy(one, rule, sides), []).append(_what(one, rule, word))
    for (culprit, remedy), whats in by_remedy.items():
        yield f"{culprit} can {', '.join(whats)}; {remedy}"


def _what(one: Judged, rule: str, word: str) -> str:
    said = rule if word == rule else f"{rule} of {word}"
    return f"{one.effects[rule]} ({said}: {RULES[rule].example})"


def _remedy(one: Judged, rule: str, sides: list[Sides]) -> tuple[str, str]:
    blamed = _blame(one.entries[0], rule, set(one.effects), sides)
    if blamed is None:
        return one.name, f"leave {one.name} out"
    argument, value, harmless = blamed
    return f"{one.name}({argument}={value})", f"set {argument} to {harmless}, or leave {one.name} out"


def _blame(entry: Entry, rule: str, known: set[str], sides: list[Sides]) -> tuple[str, Any, Any] | None:
    """The argument that, set to nothing, takes the effect away and brings no other, with its value and that nothing."""
    name, given = parts(entry)
    defaults = {key: one.default for key, one in inspect.signature(type(build(entry, SIDE))).parameters.items()}
    for argument in [*given, *(key for key in defaults if key not in given)]:
        for nothing in NOTHING if argument != "p" else ():
            changed = [always({name: {**given, argument: nothing}})]
            try:
                if not breaks(_draws(changed, sides, FEWER_DRAWS), rule) and effects(_draws(changed, sides, FEWER_DRAWS)).keys() < known:
                    return argument, given.get(argument, defaults.get(argument)), nothing
            except Exception:  # most arguments take only some kinds of nothing, and some of them fail only on a picture
                continue
    return None


def _sides(policy: Policy, models: list[Sides]) -> list[Sides]:
    """Small pictures where nothing is counted in pixels, else those of the smallest and the largest model."""
    if any(_counts_pixels(entry) for entry in leaves(policy)):
        return sorted({min(models), max(models)})
    return [(SIDE, round(SIDE * min(after / before for before, after in models)))]


def _counts_pixels(entry: Entry) -> bool:
    def whole(value: Any) -> bool:
        return any(map(whole, value)) if isinstance(value, list | tuple) else isinstance(value, int) and abs(value) > 1

    return any(IN_PIXELS.search(key) and whole(value) for key, value in parts(entry)[1].items())


def _draws(policy: Policy, sides: list[Sides], draws: int = probe.DRAWS) -> Iterator[probe.Draw]:
    most = min([draws, *(SLOW[name] for entry in leaves(policy) if (name := parts(entry)[0]) in SLOW)])
    for before, after in sides:
        yield from probe.measure(compose(policy, before, after), before, most)


def _whole(policy: Policy, sides: list[Sides]) -> Iterator[probe.Draw]:
    """Everything that can happen at once, then what need not happen half of the time, so that few draws hold most combinations."""
    can = [entry for entry in policy if parts(entry)[1].get("p", 1) > 0]
    yield from _draws([always(entry) for entry in can], sides)
    by_chance = [{name: {**given, "p": 0.5}} if given.get("p", 0.5) < 1 else {name: given} for name, given in map(parts, can)]
    yield from _draws(by_chance, sides, FEWER_DRAWS)


def _fewest(policy: Policy, rule: str, sides: list[Sides]) -> Policy:
    """As few entries of the policy as still break the rule together."""
    kept = list(policy)
    for entry in policy:
        rest = [one for one in kept if one is not entry]
        if breaks(_whole(rest, sides), rule):
            kept = rest
    return kept


def _without(policy: Policy, unwanted: Policy) -> Policy:
    left = []
    for entry in policy:
        name, given = parts(entry)
        if is_composition(name):
            rest = _without(inner(entry), unwanted)
            left += [{name: {**given, "transforms": rest}}] if rest else []
        elif not any(entry is one for one in unwanted):
            left.append(entry)
    return left
