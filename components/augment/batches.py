"""A policy of common transforms, executed on whole batches: the same pictures, equally likely, without the cost of asking each image.

Albumentations spends most of its time, on small pictures, not on pixels. A policy that consists of what is known here
(flips, turns, zooms, shifts, padding and cropping, resized crops, brightness and contrast, hue and saturation) is read from the
transforms that Albumentations made of it; every other policy goes through Albumentations.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.augment import moves
from components.augment.crops import Resized, ResizedCrop
from components.augment.maps import Maps, same
from components.augment.moves import Index, Move, Numbers
from components.augment.numbers import spread, uniforms
from components.augment.pipeline import Policy, build, is_composition, parts
from components.augment.tones import BrightnessContrast, HueSaturationValue, Range, between
from components.augment.turns import ELEMENTS, Turns, Zoom

Pixels = NDArray[np.uint8]
AT_ONCE = 1 << 19  # bytes
TONES = (BrightnessContrast, HueSaturationValue)
FREE = (*TONES, Zoom, ResizedCrop, Resized)  # whose numbers are not spread over the epochs
Tone = BrightnessContrast | HueSaturationValue
Step = Move | Turns | Zoom | ResizedCrop | Resized | Tone


@dataclass(frozen=True)
class Moves:
    """Moves one after the other, as one."""

    moves: list[Move]

    @property
    def draws(self) -> int:
        """Numbers an image needs."""
        return sum(1 + move.draws for move in self.moves)

    def __call__(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        """The pictures (B, S, S, 3) after them."""
        return moves.moved(pixels, self.moves, numbers)

    @property
    def after(self) -> int:
        """Pixels a side of what they leave."""
        return self.moves[-1].after

    def alternating(self) -> list[int]:
        """Which of their numbers are spread over the epochs."""
        places = np.cumsum([0, *(1 + move.draws for move in self.moves)])
        return [int(place) for place, move in zip(places, self.moves, strict=False) if move.alternates]

    def goes(self, numbers: Numbers, size: int) -> Maps:
        """Where they lead, (B, 3, 3)."""
        return moves.goes(self.moves, numbers)


@dataclass(frozen=True)
class BatchPolicy:
    """What happens to a batch, step by step, until its pictures have `after` pixels a side."""

    after: int
    steps: Sequence[Moves | Turns | Zoom | ResizedCrop | Resized | Tone]

    def __call__(self, pixels: Pixels, picked: NDArray[np.int64], keys: NDArray[np.int64], epoch: int, seed: int) -> Pixels:
        """Pictures `picked` (B,) of pixels (N, S, S, 3) as this epoch shows the images of those keys (B,)."""
        return self.shown(pixels, picked, self.numbers(keys, epoch, seed))

    def numbers(self, keys: NDArray[np.int64], epoch: int, seed: int, attempt: int = 0) -> Numbers:
        """What is left to chance, (B, n) in 0..1, of the images of those keys (B,), others in each attempt."""
        count, alternating, used = sum(step.draws for step in self.steps), [], 0
        for step in self.steps:
            alternating += [] if isinstance(step, FREE) else [used + place for place in step.alternating()]
            used += step.draws
        numbers = uniforms(seed, epoch, keys, count, attempt * count)
        numbers[:, alternating] = spread(uniforms(seed, 0, keys, count, attempt * count)[:, alternating], epoch)
        return numbers

    def shown(self, pixels: Pixels, picked: NDArray[np.int64], numbers: Numbers) -> Pixels:
        """Pictures `picked` (B,) of pixels (N, S, S, 3) by the numbers (B, n)."""
        # A few pictures at a time, so that what lies between two steps is still in the processor's cache.
        few = max(AT_ONCE // pixels[0].nbytes, 1)
        shown = np.empty((len(picked), self.after, self.after, 3), np.uint8)
        for start in range(0, len(picked), few):
            part = slice(start, start + few)
            shown[part] = self._stepped(pixels[picked[part]], numbers[part])
        return shown

    @property
    def knows_boxes(self) -> bool:
        """Whether `goes` can tell where boxes go."""
        return all(move.goes for step in self.steps if isinstance(step, Moves) for move in step.moves)

    def goes(self, numbers: Numbers, size: int) -> Maps:
        """Where pictures of `size` pixels go by the numbers (B, n), as maps (B, 3, 3) of pixels."""
        led, used = same(len(numbers)), 0
        for step in self.steps:
            if not isinstance(step, TONES):
                led = step.goes(numbers[:, used : used + step.draws], size) @ led
                size = getattr(step, "after", size)
            used += step.draws
        return led

    def _stepped(self, pixels: Pixels, numbers: Numbers) -> Pixels:
        used = 0
        for step in self.steps:
            pixels = step(pixels, numbers[:, used : used + step.draws])
            used += step.draws
        return pixels


def batch_policy(policy: Policy, image_size: int, train_size: int) -> BatchPolicy | None:
    """The policy for batches, or None where it holds what only Albumentations knows."""
    steps: list[Step] = []
    size = image_size
    for entry in policy:
        name, arguments = parts(entry)
        if arguments.get("p", 1) == 0:
            continue
        if is_composition(name) or name not in READERS:
            return None
        step = READERS[name](build(entry, train_size), size)
        if step is None:
            return None
        steps.append(step)
        size = getattr(step, "after", size)
    return BatchPolicy(train_size, _fused([*steps, *([Resized(train_size)] if size != train_size else [])]))


def _fused(steps: list[Step]) -> list[Any]:
    """Neighbouring moves as one step, as long as they fill by one colour."""
    found: list[Any] = []
    for step in steps:
        if not isinstance(step, Move):
            found.append(step)
        elif found and isinstance(found[-1], Moves) and len({move.fill for move in [*found[-1].moves, step]} - {None}) < 2:
            found[-1].moves.append(step)
        else:
            found.append(Moves([step]))
    return found


def _flip(transform: Any, size: int) -> Step | None:
    return moves.flip(transform.p, size, horizontal=type(transform).__name__ == "HorizontalFlip")


def _affine(transform: Any, size: int) -> Step | None:
    """An affine map that neither turns nor shears: a shift, which goes by whole pixels, or a zoom."""
    turns = any(transform.rotate) or any(map(any, transform.shear.values()))
    fill = _gray(transform.fill)
    if turns or transform.fit_output or fill is None:
        return None
    if transform.translate_px is not None:
        limits, whole = [transform.translate_px[axis] for axis in "yx"], _pixels
    else:
        shares = transform.translate_percent or {"x": (0, 0), "y": (0, 0)}
        limits, whole = [(shares[axis][0] * size, shares[axis][1] * size) for axis in "yx"], _cut
    if all(tuple(scales) == (1, 1) for scales in transform.scale.values()):
        furthest = int(max(abs(limit) for pair in limits for limit in pair))

        def offset(numbers: Numbers) -> tuple[Index, Index]:
            return whole(numbers[:, 0], limits[0]), whole(numbers[:, 1], limits[1])

        return moves.shift(transform.p, size, offset, furthest, transform.border_mode, fill)
    if transform.balanced_scale or transform.border_mode != cv2.BORDER_CONSTANT or transform.interpolation != cv2.INTER_LINEAR:
        return None
    scale = (tuple(transform.scale["x"]), tuple(transform.scale["y"]))
    return Zoom(transform.p, scale, (partial(whole, limits=limits[1]), partial(whole, limits=limits[0])), transform.keep_ratio, fill)


def _turn(transform: Any, size: int) -> Step | None:
    few = {"RandomRotate90": ("e", "r90", "r180", "r270"), "Transpose": ("t",)}
    return Turns(transform.p, few.get(type(transform).__name__, tuple(ELEMENTS)))


def _pixels(numbers: Numbers, limits: Range) -> Index:
    return (limits[0] + np.floor(numbers * (limits[1] - limits[0] + 1))).astype(np.int32)


def _cut(numbers: Numbers, limits: Range) -> Index:
    return between(numbers, limits).astype(np.int32)  # cut towards 0, as Albumentations does


def _pad(transform: Any, size: int) -> Step | None:
    fill, padding = _gray(transform.fill), transform.padding
    if type(transform).__name__ == "PadIfNeeded":
        wanted = (transform.min_height, transform.min_width, transform.pad_height_divisor, transform.pad_width_divisor)
        if transform.position != "center" or wanted[2:] != (None, None) or wanted[0] != wanted[1]:
            return None
        before, after = max(wanted[0] - size, 0) // 2, -(-max(wanted[0] - size, 0) // 2)
    elif not isinstance(padding, int):
        return None
    else:
        before = after = padding
    if fill is None or transform.p < 1:
        return None
    return moves.pad(size, (before, after, before, after), transform.border_mode, fill)


def _crop(transform: Any, size: int) -> Step | None:
    fits = transform.height == transform.width <= size
    return moves.crop(size, transform.height) if fits and transform.p >= 1 else None


def _resized_crop(transform: Any, size: int) -> Step | None:
    after, side = transform.size
    whole = transform.ratio[0] <= 1 <= transform.ratio[1]  # what is taken when no draw fits
    if after != side or not whole or transform.area_for_downscale or (transform.p < 1 and after != size):
        return None
    return ResizedCrop(after, transform.scale, transform.ratio, transform.interpolation, transform.p)


def _brightness(transform: Any, size: int) -> Step | None:
    if transform.ensure_safe_range:
        return None
    return BrightnessContrast(transform.p, transform.brightness_limit, transform.contrast_limit, transform.brightness_by_max)


def _hue(transform: Any, size: int) -> Step | None:
    return HueSaturationValue(transform.p, transform.hue_shift_limit, transform.sat_shift_limit, transform.val_shift_limit)


def _gray(fill: Any) -> int | None:
    """A fill that is the same in all channels, or None."""
    levels = {fill} if isinstance(fill, int | float) else set(fill)
    return int(next(iter(levels))) if len(levels) == 1 and next(iter(levels)) == int(next(iter(levels))) else None


READERS: dict[str, Callable[[Any, int], Step | None]] = {
    "HorizontalFlip": _flip,
    "VerticalFlip": _flip,
    "D4": _turn,
    "RandomRotate90": _turn,
    "Transpose": _turn,
    "Affine": _affine,
    "Pad": _pad,
    "PadIfNeeded": _pad,
    "RandomCrop": _crop,
    "RandomResizedCrop": _resized_crop,
    "RandomBrightnessContrast": _brightness,
    "HueSaturationValue": _hue,
}
