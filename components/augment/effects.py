"""What can happen to a picture that may change its label: a small vocabulary, each word with the measure behind it.

A dataset declares what must not happen to its pictures (`no_horizontal_flip`), and an effect is that which then is
forbidden. Whether a transform has an effect is decided on the draws that `probe.measure` makes of it: one draw beyond
the limit is enough, since what can happen will. The limits leave room for what no label depends on.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from components.augment.probe import HOLE, PLACES, Draw, Map
from components.errors import UsageError

UNFIT = 0.12  # of the side: beyond it no affine map describes what has happened
Measure = Callable[[Draw], float]


@dataclass(frozen=True)
class Rule:
    """One word of the vocabulary.

    `size` tells how far a draw goes, a draw beyond `limit` has the effect; `can` says so in words with the size in its
    `{}`; `example`: a label that it changes.
    """

    size: Measure
    limit: float
    can: str
    example: str


def effects(draws: Iterable[Draw]) -> dict[str, str]:
    """The rules that some draw breaks, each with what can happen, in words."""
    every = list(draws)
    worst = {name: max((size for size in map(rule.size, every) if not math.isnan(size)), default=0.0) for name, rule in RULES.items()}
    return {name: RULES[name].can.format(size) for name, size in worst.items() if size > RULES[name].limit}


def breaks(draws: Iterable[Draw], name: str) -> bool:
    """Whether some draw breaks the rule; no more draws are made than are needed to know."""
    rule = RULES[name]
    return any(rule.size(draw) > rule.limit for draw in draws)


def declared(words: str | list[str] | None, where: str) -> dict[str, str]:
    """The rules that a dataset's `label_safety` names or that its presets stand for, each with the word that named it.

    Raises UsageError for a word that is neither, naming `where` it stands.
    """
    found: dict[str, str] = {}
    for word in [words] if isinstance(words, str) else words or []:
        if word not in RULES and word not in PRESETS:
            near = get_close_matches(str(word), [*PRESETS, *RULES], n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{where} holds {word!r}; known are the presets {', '.join(PRESETS)} and the rules {', '.join(RULES)}.{hint}")
        found |= dict.fromkeys(PRESETS.get(word, [word]), word)
    return found


def _of_map(value: Callable[[Map], float]) -> Measure:
    """A measure of where the picture went; 0 for draws that no affine map describes."""

    def size(draw: Draw) -> float:
        known = draw.map is not None and draw.map.bent <= UNFIT and draw.map.stretch <= 2.5
        return value(draw.map) if known and draw.map is not None else 0.0

    return size


def _unless_hidden(value: Measure) -> Measure:
    """Holes shift what is measured around them: such draws tell of nothing but their holes."""
    return lambda draw: value(draw) if draw.hidden <= HOLE else 0.0


def _tilt(where: Map) -> float:
    turn = abs(where.turn)
    return min(turn, 180 - turn) if where.mirrored else turn


def _bent(draw: Draw) -> float:
    return 0.0 if draw.map is None else max(draw.map.bent / 0.08, draw.map.stretch / 1.3)


def _cut(draw: Draw) -> float:
    return 1 - draw.map.visible if draw.map else min(draw.cut / len(PLACES), 0.9)


RULES: Mapping[str, Rule] = {
    "no_horizontal_flip": Rule(
        _of_map(lambda where: float(where.mirrored and abs(where.turn) <= 120)), 0, "mirror the picture left to right", "a b becomes a d"
    ),
    "no_vertical_flip": Rule(
        _of_map(lambda where: float(where.mirrored and abs(where.turn) >= 60)), 0, "mirror the picture top to bottom", "a b becomes a p"
    ),
    "no_rotation": Rule(_unless_hidden(_of_map(_tilt)), 12, "turn the picture by {:.0f} degrees", "a clock shows another time"),
    "no_rotation_90": Rule(
        _of_map(lambda where: abs(where.turn) if 60 <= abs(where.turn) <= 120 else 0.0),
        0,
        "turn the picture on its side ({:.0f} degrees)",
        "an N becomes a Z",
    ),
    "no_rotation_180": Rule(
        _of_map(lambda where: 0.0 if where.mirrored else abs(where.turn)),
        135,
        "turn the picture upside down ({:.0f} degrees)",
        "a 6 becomes a 9",
    ),
    "no_hue": Rule(
        _unless_hidden(lambda draw: draw.hue), 25, "turn hues by {:.0f} degrees (red to yellow is 60)", "a red light becomes a green one"
    ),
    "no_gray": Rule(
        _unless_hidden(lambda draw: 1 - draw.colour),
        0.7,
        "take {:.0%} of the colours' strength",
        "a red light cannot be told from a green one",
    ),
    "no_brightness": Rule(_unless_hidden(lambda draw: abs(draw.light)), 0.3, "change lightness by {:.0%} of its range", "day becomes dusk"),
    "no_invert": Rule(lambda draw: float(draw.inverted), 0, "make dark light and light dark", "a negative becomes a positive"),
    "no_erase": Rule(lambda draw: draw.hidden, HOLE, "hide {:.0%} of the picture", "what tells one label from another is hidden"),
    "no_crop": Rule(_unless_hidden(_cut), 0.25, "cut away {:.0%} of the picture", "what tells one label from another is cut away"),
    "no_zoom": Rule(
        _unless_hidden(_of_map(lambda where: max(where.zoom, 1 / max(where.zoom, 1e-3)))),
        1.25,
        "change sizes by a factor of {:.2f}",
        "a small coin becomes a large one",
    ),
    "no_distortion": Rule(_unless_hidden(_bent), 1, "bend or stretch shapes", "a circle becomes an ellipse"),
}

PRESETS: Mapping[str, list[str]] = {
    "digits": ["no_horizontal_flip", "no_vertical_flip", "no_rotation_180"],
    "text": ["no_horizontal_flip", "no_vertical_flip", "no_rotation_180", "no_rotation_90"],
    "traffic_lights": ["no_hue", "no_gray", "no_invert", "no_horizontal_flip", "no_vertical_flip", "no_rotation_90", "no_rotation_180"],
    "traffic_signs": ["no_hue", "no_gray", "no_invert", "no_horizontal_flip", "no_vertical_flip", "no_rotation_90", "no_rotation_180"],
}
