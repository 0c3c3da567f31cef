"""What a transform does to a picture, measured on made pictures, so that any transform is judged by its results.

The transform is drawn many times; each draw is applied, with the same random state, to pictures that differ in one
thing only, and the results are compared:

- with and without a bright square at one of nine places: the difference shows where that place has gone (or that it is
  gone), whatever the transform does to colours. The affine map that fits the places best (least squares) says whether
  the picture is mirrored (negative determinant), how far it is turned (polar decomposition), zoomed and stretched, how
  much of it is still in the frame, and what no affine map explains;
- pictures that differ everywhere: where the results agree, what was there is hidden;
- ten known colours at the first five places: hue, colourfulness and lightness before and after.

Half of the draws push every random number to an end of its range half of the time, so that `Rotate(limit=140)` is seen
to turn by 140 degrees and not only by what some draws happen to give.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]

DRAWS = 40
PLACES = np.array([[0.28, 0.31], [0.72, 0.28], [0.3, 0.71], [0.7, 0.7], [0.5, 0.5]])  # x, y in fractions of the frame
NEARER = np.array([[0.41, 0.43], [0.58, 0.42], [0.42, 0.59], [0.59, 0.57]])  # where the others have left the frame
DARK, MIDDLE, LIGHT = (50, 50, 50), (128, 128, 128), (205, 205, 205)
COLOURS = (  # far from black and white, so that more or less light does not cut them off
    ((170, 60, 60), (170, 155, 60), (60, 150, 70), (65, 80, 170), DARK),
    ((60, 150, 160), (165, 65, 150), (170, 110, 60), LIGHT, MIDDLE),
)
SQUARE = 240  # gray value of the square on a picture of 60 to 100
SEEN = 40  # gray values by which the square must still stand out
SAME = 5  # gray values within which two results agree
HOLE = 0.005  # of the frame
UNMOVED = 0.03  # of a side
FADED = 0.3  # of a colour's distance from gray
GRID = np.stack(np.meshgrid(np.linspace(0.02, 0.98, 25), np.linspace(0.02, 0.98, 25)), axis=-1).reshape(-1, 2)
NO_BOXES = {"bboxes": np.zeros((0, 4), np.float32), "labels": np.zeros(0, np.float32)}
NO_POINT = np.full(2, np.nan)


@dataclass(frozen=True)
class Map:
    """Where the picture went: mirrored left to right first or not, then turned by `turn` degrees (-180..180).

    `zoom`: sides after to sides before; `stretch`: the longer to the shorter axis of what was a circle; `bent`: the
    largest distance from the affine map, in sides of the frame; `visible`: share of the picture still in the frame.
    """

    mirrored: bool
    turn: float
    zoom: float
    stretch: float
    bent: float
    visible: float


@dataclass(frozen=True)
class Draw:
    """What one draw did; NaN, or no map, where too little of the picture was left to say.

    `hidden`: share of the frame, without its margins, in holes at least a twentieth of its side wide; `hue`: degrees by
    which any colour turned that did not fade; `colour`: share of the colours' distance from gray that is left, at the
    median; `light`: change of the mean of three grays (-1..1); `inverted`: dark became as light as light; `cut`: how many
    of the first five places are gone.
    """

    map: Map | None
    hidden: float
    hue: float
    colour: float
    light: float
    inverted: bool
    cut: int


def measure(pipeline: Any, side: int, draws: int = DRAWS) -> Iterator[Draw]:
    """Draws of an Albumentations pipeline on square pictures of `side` pixels, one by one, the same each time."""
    shown = _Pictures(side)
    for number in range(draws):
        yield _draw(pipeline, shown, number, edges=bool(number % 2))


class _Edges(random.Random):
    """Random numbers half of which lie at an end of their range."""

    def random(self) -> float:
        value, where = super().random(), super().random()
        return value if where < 0.5 else 0.0 if where < 0.75 else 1.0 - 1e-9


class _Pictures:
    """The pictures a transform is tried on, (side, side, 3) uint8."""

    def __init__(self, side: int) -> None:
        self.side = side
        grain = np.random.default_rng(0).random((5, 5, 1)).astype(np.float32)
        texture = np.asarray(cv2.resize(grain, (side, side), interpolation=cv2.INTER_CUBIC)).clip(0, 1)[:, :, None]
        self.dim: Pixels = np.repeat(60 + 40 * texture, 3, axis=2).astype(np.uint8)
        self.bright = np.repeat(190 - 40 * texture, 3, axis=2).astype(np.uint8)
        self.between = np.repeat(110 + 40 * texture, 3, axis=2).astype(np.uint8)
        self.places = np.round(np.concatenate([PLACES, NEARER]) * side) / side
        self.squares = [_with_square(self.dim, place, (SQUARE,) * 3) for place in self.places]
        self.colours = [self._discs(colours) for colours in COLOURS]

    def _discs(self, colours: tuple[tuple[int, int, int], ...]) -> Pixels:
        picture = self.dim
        for place, colour in zip(self.places, colours, strict=False):
            picture = _with_square(picture, place, colour)
        return picture


def _with_square(picture: Pixels, place: Points, colour: tuple[int, ...]) -> Pixels:
    half, middle = max(2, round(len(picture) / 12)), np.round(place * len(picture)).astype(int)
    low, high = middle - half, middle + half
    changed = picture.copy()
    changed[low[1] : high[1], low[0] : high[0]] = colour
    return changed


def _draw(pipeline: Any, shown: _Pictures, seed: int, *, edges: bool) -> Draw:
    def applied(picture: Pixels) -> Pixels:
        pipeline.set_random_state(np.random.default_rng(seed), _Edges(seed) if edges else random.Random(seed))
        after: Pixels = pipeline(image=picture, **NO_BOXES)["image"]
        return after

    dim = applied(shown.dim)
    found = np.array([_place_of(applied(picture), dim) for picture in shown.squares[: len(PLACES)]])
    cut = int(np.isnan(found[:, 0]).sum())
    if cut > 1:
        found = np.concatenate([found, [_place_of(applied(picture), dim) for picture in shown.squares[len(PLACES) :]]])
    affine, bent = _fit(shown.places[: len(found)], found)
    where = _map(affine, bent)
    hidden = _hidden(dim, applied(shown.bright), affine)
    if hidden:  # two pictures may agree by chance, where light is turned to dark
        hidden = min(hidden, _hidden(dim, applied(shown.between), affine))
    reach = max(1, round(len(dim) / 24 * (where.zoom if where else 1)))
    colours = _colours(found, [applied(picture) for picture in shown.colours], reach)
    return Draw(where, hidden, *colours, cut)


def _place_of(after: Pixels, without: Pixels) -> Points:
    """Centre of what the square became, x and y in fractions of the frame; NaN when it is gone or cut by the border."""
    difference = np.asarray(cv2.cvtColor(cv2.absdiff(after, without), cv2.COLOR_RGB2GRAY), np.float32)
    height, width = difference.shape
    grain = max(3, round(height / 16))
    change = np.asarray(cv2.blur(difference - np.median(difference[::4, ::4]), (grain, grain)))
    _, peak, _, (x, y) = cv2.minMaxLoc(change)
    if peak < SEEN:
        return NO_POINT
    bright = (change > peak / 2).astype(np.uint8)
    _, _, _, (left, upper, wide, high) = cv2.floodFill(bright, None, (x, y), 2)
    if left <= 0 or upper <= 0 or left + wide >= width or upper + high >= height:
        return NO_POINT
    rows, columns = np.nonzero(bright == 2)
    return np.array([(columns.mean() + 0.5) / width, (rows.mean() + 0.5) / height])


def _fit(before: Points, after: Points) -> tuple[Points | None, float]:
    """The affine map (3, 2) of [x, y, 1] that takes places to where they went, and its largest error.

    It takes four places, or two of which none has moved: the others are hidden then.
    """
    known = ~np.isnan(after[:, 0])
    if known.sum() >= 4:
        given = np.column_stack([before[known], np.ones(known.sum())])
        affine, *_ = np.linalg.lstsq(given, after[known], rcond=None)
        return affine, float(np.linalg.norm(given @ affine - after[known], axis=1).max())
    if known.sum() >= 2 and np.abs(after[known] - before[known]).max() < UNMOVED:
        return np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]), 0.0
    return None, math.nan


def _map(affine: Points | None, bent: float) -> Map | None:
    if affine is None:
        return None
    linear = affine[:2].T
    mirrored = bool(np.linalg.det(linear) < 0)
    left, sizes, right = np.linalg.svd(linear @ np.diag([-1.0, 1.0]) if mirrored else linear)
    turned = left @ right
    turn = math.degrees(math.atan2(turned[1, 0], turned[0, 0]))
    went = np.column_stack([GRID, np.ones(len(GRID))]) @ affine
    visible = float(((went >= 0) & (went <= 1)).all(axis=1).mean())
    return Map(mirrored, turn, math.sqrt(sizes.prod()), float(sizes[0] / max(sizes[1], 1e-6)), bent, visible)


def _hidden(dim: Pixels, bright: Pixels, affine: Points | None) -> float:
    height, width = dim.shape[:2]
    agree = np.asarray(cv2.inRange(cv2.absdiff(dim, bright), (0, 0, 0), (SAME, SAME, SAME)), np.uint8) // 255
    if affine is None and agree.mean() < 0.9:
        return 0.0  # where the picture ends is not known: it may have been moved out of the frame
    if agree.any() and affine is not None:
        corners = np.array([[0.03, 0.03, 1], [0.97, 0.03, 1], [0.97, 0.97, 1], [0.03, 0.97, 1]]) @ affine * (width, height)
        frame = cv2.fillConvexPoly(np.zeros_like(agree), np.round(corners).astype(np.int32), 1)
        agree = agree * np.asarray(frame, np.uint8)  # what lies beyond never showed the picture
    least = max(3, round(height / 20))
    return float(cv2.morphologyEx(agree, cv2.MORPH_OPEN, np.ones((least, least), np.uint8)).mean())


def _colours(found: Points, after: list[Pixels], reach: int) -> tuple[float, float, float, bool]:
    turned, kept, grays = [0.0], [], {}
    for picture, colours in zip(after, COLOURS, strict=True):
        for place, colour in zip(found, colours, strict=False):
            if np.isnan(place[0]):
                continue
            now = _middle_of(picture, place, reach)
            if len(set(colour)) == 1:
                grays[colour] = float(now.mean())
                continue
            (hue, saturation), (new_hue, new_saturation) = _hue(np.array(colour, float)), _hue(now)
            kept.append(new_saturation / saturation)
            if new_saturation > FADED * saturation:
                turned.append(abs((new_hue - hue + 180) % 360 - 180))
    light = float(np.mean([now - colour[0] for colour, now in grays.items()])) / 255 if len(grays) == 3 else math.nan
    inverted = DARK in grays and LIGHT in grays and grays[DARK] > grays[LIGHT] - 10
    return max(turned), float(np.median(kept)) if kept else math.nan, light, inverted


def _middle_of(picture: Pixels, place: Points, reach: int) -> Points:
    height, width = picture.shape[:2]
    x, y = int(place[0] * width), int(place[1] * height)
    window = picture[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
    middle: Points = np.median(window.reshape(-1, 3), axis=0)
    return middle


def _hue(colour: Points) -> tuple[float, float]:
    """Angle in degrees (red 0, yellow 60, green 120) and distance from gray, relative to lightness, of an RGB colour."""
    red, green, blue = (float(value) for value in colour)
    along, across = red - (green + blue) / 2, (green - blue) * math.sqrt(3) / 2
    return math.degrees(math.atan2(across, along)) % 360, math.hypot(along, across) / (1 + (red + green + blue) / 3)
