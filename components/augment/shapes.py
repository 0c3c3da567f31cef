"""Which pictures a policy can end with: a batch holds pictures of one size, RGB uint8."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.augment.pipeline import Entry, Policy, alone, always, build, in_short, inner, is_composition, parts
from components.errors import UsageError

DRAWS = 6  # of a transform whose result may have one of several sizes
MOST = 12  # sizes followed at a time


@dataclass(frozen=True)
class Frame:
    """What a batch cares about in a picture."""

    height: int
    width: int
    channels: int
    kind: str

    def __str__(self) -> str:
        depth = "" if (self.channels, self.kind) == (3, "uint8") else f" with {self.channels} channels of {self.kind}"
        return f"{self.width}x{self.height} pixels{depth}"


def refuse_unbatchable(policy: Policy, image_size: int, train_size: int) -> None:
    """Raise UsageError when a policy may end with other pictures than (train_size, train_size, 3) uint8, or fails on some.

    Every transform is tried on blank pictures of each size that may reach it, with what is left to chance in its `p` or
    in a composition followed both ways; so a crop that happens once in a thousand pictures is found as well.
    """
    wanted, frames = Frame(train_size, train_size, 3, "uint8"), {Frame(image_size, image_size, 3, "uint8")}
    culprit = ""
    for entry in policy:
        before, frames = frames, _after(entry, frames, train_size)
        if frames != before:
            culprit = parts(entry)[0]
    if image_size != train_size:
        frames = {replace(frame, height=train_size, width=train_size) for frame in frames}
    odd = sorted(frames - {wanted}, key=str)
    if odd:
        raise UsageError(f"{culprit} makes pictures of {odd[0]}, {wanted} are wanted: {_remedy(odd[0], wanted)}")


def _remedy(found: Frame, wanted: Frame) -> str:
    if found.kind != wanted.kind:
        return "leave it out, the networks scale pixels inside"
    if found.channels != wanted.channels:
        return "leave it out, or let it keep three channels"
    return "end the policy with `- Resize: {}`, whose size is then the model's own"


def _after(entry: Entry, frames: set[Frame], size: int) -> set[Frame]:
    """The frames that may leave an entry when `frames` may reach it."""
    name, chance = parts(entry)[0], build(entry, size).p
    if chance <= 0:
        return frames
    if name in ("OneOf", "OneOrOther"):
        found = set().union(*(_after(always(one), frames, size) for one in inner(entry) if parts(one)[1].get("p", 1) > 0))
    elif is_composition(name) and name != "SelectiveChannelTransform":
        found = set(frames)
        for one in inner(entry):  # SomeOf and RandomOrder may leave any of theirs out
            found = _after(one, found, size) | (set() if name in ("Sequential", "Compose") else found)
    else:
        found = _applied(entry, frames, size)
    return found if chance >= 1 or name == "OneOrOther" else found | frames


def _applied(entry: Entry, frames: set[Frame], size: int) -> set[Frame]:
    pipeline = alone(build(always(entry), size))
    found = set()
    for frame in sorted(frames, key=str)[:MOST]:
        blank = np.full((frame.height, frame.width, frame.channels), 114, frame.kind)
        for seed in range(DRAWS):
            pipeline.set_random_seed(seed)
            pixels = _tried(pipeline, blank, parts(entry)[0], frame)
            found.add(Frame(pixels.shape[0], pixels.shape[1], pixels.shape[2] if pixels.ndim == 3 else 1, str(pixels.dtype)))
    return found


def _tried(pipeline: Any, blank: NDArray[Any], name: str, frame: Frame) -> NDArray[Any]:
    box = np.array([[0.25, 0.25, 0.75, 0.75]], np.float32)
    try:
        pixels: NDArray[Any] = pipeline(image=blank, bboxes=box, labels=np.zeros(1, np.float32))["image"]
    except Exception as error:  # whatever any of a hundred transforms may raise on a picture it cannot take
        raise UsageError(f"{name} fails on a picture of {frame}: {in_short(error)}") from None
    return pixels
