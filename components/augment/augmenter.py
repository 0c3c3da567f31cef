"""Apply a policy to images and boxes, in any number of threads, with the same result."""

import random
import threading
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

from components.augment.batches import batch_policy
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
        pairs = zip(picked.tolist(), image_keys.tolist(), strict=True)
        return np.stack([self._drawn(Example(np.asarray(pixels[row]), NO_BOXES), epoch, key, 0).pixels for row, key in pairs])

    def __call__(self, example: Example, epoch: int, image_key: int) -> Example:
        """The example as this epoch shows it; `image_key` is any non-negative integer that names the image."""
        shown = self.draw(example, epoch, image_key)
        if len(shown.boxes) or not len(example.boxes):
            return shown
        for attempt in range(1, REDRAWS + 1):
            shown = self.draw(example, epoch, image_key, attempt)
            if len(shown.boxes):
                return shown
        return _applied(self._pipelines().unchanged, example)

    def draw(self, example: Example, epoch: int, image_key: int, attempt: int = 0) -> Example:
        """One draw, whatever becomes of the boxes."""
        if not len(example.boxes):
            return Example(self.batch(example.pixels[None], np.zeros(1, np.int64), epoch, np.array([image_key]))[0], example.boxes)
        return self._drawn(example, epoch, image_key, attempt)

    def _drawn(self, example: Example, epoch: int, image_key: int, attempt: int) -> Example:
        if not self.policy and self.train_size == self.image_size:
            return example
        numbers = np.random.SeedSequence([self.seed, epoch, image_key, attempt])
        pipeline = self._pipelines().policy
        # One state for all: a seed would give each transform the same numbers, and two with p 0.5 would always come together.
        pipeline.set_random_state(np.random.default_rng(numbers), random.Random(int(numbers.generate_state(1)[0])))
        return _applied(pipeline, example)

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


def _applied(pipeline: A.Compose, example: Example) -> Example:
    result: dict[str, Any] = pipeline(image=example.pixels, bboxes=example.boxes[:, 1:], labels=example.boxes[:, 0])
    corners = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    labels = np.asarray(result["labels"], np.float32).reshape(-1, 1)
    return Example(result["image"], np.concatenate([labels, corners], axis=1))
