"""Apply a policy to images and boxes, in any number of threads, with the same result."""

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

from components.augment.batches import batch_policy
from components.augment.clipping import MIN_VISIBLE, Objects, led, visible
from components.augment.pipeline import Policy, compose
from components.augment.shapes import refuse_unbatchable

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]

NO_BOXES = np.zeros((0, 5), np.float32)
REDRAWS = 3


@dataclass(frozen=True)
class Example:
    """One training example: pixels (S, S, 3) uint8, boxes (N, 5) float32 rows [class, x_min, y_min, x_max, y_max], 0..1."""

    pixels: Pixels
    boxes: Boxes


class Augmenter:
    """A policy bound to a seed, from pictures of `image_size` pixels to pictures of `train_size`, the same when not said.

    Every example's randomness derives from (seed, epoch, image) alone, so neither the number of threads nor the
    order or the company of the images changes what an image becomes.

    A picture that had boxes and is left with none is drawn again, up to REDRAWS times; if every draw loses them all, it
    is shown as it is. So no picture is taught as background that still shows, at its edge, what its boxes marked.

    Raises UsageError for a policy that Albumentations does not know or whose pictures no batch can hold.
    """

    def __init__(self, policy: Policy, image_size: int, seed: int, train_size: int | None = None) -> None:
        self.policy = policy
        self.image_size = image_size
        self.train_size = train_size or image_size
        self.seed = seed
        self._local = threading.local()
        refuse_unbatchable(policy, self.image_size, self.train_size)
        self._batched = batch_policy(policy, self.image_size, self.train_size)

    def batch(self, pixels: Pixels, picked: NDArray[np.int64], epoch: int, image_keys: NDArray[np.int64]) -> Pixels:
        """Pictures `picked` (B,) of pixels (N, image_size, image_size, 3), without boxes, as this epoch shows them.

        `image_keys` (B,) name them. The answer is (B, train_size, train_size, 3).
        """
        if self._batched is not None:
            return self._batched(pixels, picked, image_keys, epoch, self.seed)
        return self._draws(pixels, picked, [Objects.whole(NO_BOXES)] * len(picked), epoch, image_keys, 0)[0]

    def with_boxes(
        self, pixels: Pixels, picked: NDArray[np.int64], objects: Sequence[Objects], epoch: int, image_keys: NDArray[np.int64]
    ) -> tuple[Pixels, list[Objects]]:
        """Pictures `picked` (B,) of pixels (N, image_size, image_size, 3), with the boxes of each, as this epoch shows them."""
        shown, after = self._draws(pixels, picked, objects, epoch, image_keys, 0)
        for attempt in range(1, REDRAWS + 2):
            empty = [row for row, own in enumerate(after) if len(objects[row].boxes) and not len(own.boxes)]
            if not empty:
                break
            before = [objects[row] for row in empty]
            if attempt <= REDRAWS:
                shown[empty], found = self._draws(pixels, picked[empty], before, epoch, image_keys[empty], attempt)
            else:
                shown[empty], found = _one_by_one(self._pipelines().unchanged, pixels, picked[empty], before)
            for row, own in zip(empty, found, strict=True):
                after[row] = own
        return shown, after

    def __call__(self, example: Example, epoch: int, image_key: int) -> Example:
        """The example as this epoch shows it; `image_key` is any non-negative integer that names the image."""
        return _single(self.with_boxes, example, epoch, image_key)

    def draw(self, example: Example, epoch: int, image_key: int, attempt: int = 0) -> Example:
        """One draw, whatever becomes of the boxes."""
        return _single(self._draws, example, epoch, image_key, attempt)

    def _draws(
        self, pixels: Pixels, picked: NDArray[np.int64], objects: Sequence[Objects], epoch: int, image_keys: NDArray[np.int64], attempt: int
    ) -> tuple[Pixels, list[Objects]]:
        if not self.policy and self.train_size == self.image_size:
            return np.array(pixels[picked]), list(objects)
        if self._batched is not None and self._batched.knows_boxes:
            numbers = self._batched.numbers(image_keys, epoch, self.seed, attempt)
            maps = self._batched.goes(numbers, self.image_size)
            return self._batched.shown(pixels, picked, numbers), led(objects, maps, self.image_size, self.train_size)
        drawn = []
        for row, own, key in zip(picked, objects, image_keys, strict=True):
            if self._batched is not None and not len(own.boxes):
                drawn.append((self._batched(pixels, row[None], key[None], epoch, self.seed)[0], own))
            else:
                drawn.append(_applied(self._seeded(epoch, int(key), attempt), np.asarray(pixels[row]), own))
        return np.stack([one for one, _ in drawn]), [own for _, own in drawn]

    def _seeded(self, epoch: int, image_key: int, attempt: int) -> A.Compose:
        numbers = np.random.SeedSequence([self.seed, epoch, image_key, attempt])
        pipeline = self._pipelines().policy
        # One state for all: a seed would give each transform the same numbers, and two with p 0.5 would always come together.
        pipeline.set_random_state(np.random.default_rng(numbers), random.Random(int(numbers.generate_state(1)[0])))
        return pipeline

    def _pipelines(self) -> "_Pipelines":
        # Compose keeps state while it runs: two threads sharing one change each other's results.
        if not hasattr(self._local, "pipelines"):
            unchanged = compose([], self.image_size, self.train_size)
            self._local.pipelines = _Pipelines(compose(self.policy, self.image_size, self.train_size), unchanged)
        pipelines: _Pipelines = self._local.pipelines
        return pipelines


@dataclass(frozen=True)
class _Pipelines:
    """A thread's own: the policy, and what only brings a picture to the training size."""

    policy: A.Compose
    unchanged: A.Compose


def _single(draws: Callable[..., tuple[Pixels, list[Objects]]], example: Example, epoch: int, image_key: int, *more: int) -> Example:
    given, key = [Objects.whole(example.boxes)], np.array([image_key], np.int64)
    pixels, objects = draws(example.pixels[None], np.zeros(1, np.int64), given, epoch, key, *more)
    return Example(pixels[0], objects[0].boxes)


def _one_by_one(pipeline: A.Compose, pixels: Pixels, picked: NDArray[np.int64], objects: Sequence[Objects]) -> tuple[Pixels, list[Objects]]:
    shown = [_applied(pipeline, np.asarray(pixels[row]), own) for row, own in zip(picked, objects, strict=True)]
    return np.stack([one for one, _ in shown]), [own for _, own in shown]


def _applied(pipeline: A.Compose, pixels: Pixels, objects: Objects) -> tuple[Pixels, Objects]:
    corners = objects.boxes[:, 1:]
    known = np.concatenate([corners, corners, objects.visible[:, None]], axis=1)  # the second ones become those before clipping
    result: dict[str, Any] = pipeline(image=pixels, bboxes=known, labels=objects.boxes[:, 0])
    found = np.asarray(result["bboxes"], np.float32).reshape(-1, known.shape[1])
    labels = np.asarray(result["labels"], np.float32).reshape(-1, 1)
    share = found[:, 8] * visible(found[:, 4:8])[1]
    kept = share >= MIN_VISIBLE
    return result["image"], Objects(np.concatenate([labels, found[:, :4]], axis=1)[kept], share[kept], objects.given)
