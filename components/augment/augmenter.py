"""Apply a policy to images and boxes, in any number of threads, with the same result."""

import threading
from dataclasses import dataclass
from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

from components.augment.policies import Policy, compose, refuse_other_sizes

Pixels = NDArray[np.uint8]
Boxes = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """One training example: pixels (S, S, 3) uint8, boxes (N, 5) float32 rows [class, x_min, y_min, x_max, y_max], 0..1."""

    pixels: Pixels
    boxes: Boxes


class Augmenter:
    """A policy bound to a seed, from pictures of `image_size` pixels to pictures of `train_size`, the same when not said.

    Every example's randomness derives from (seed, epoch, image) alone, so neither the number of threads nor the
    order of the images changes what an image becomes.
    """

    def __init__(self, policy: Policy, image_size: int, seed: int, train_size: int | None = None) -> None:
        self.policy = policy
        self.image_size = image_size
        self.train_size = train_size or image_size
        self.seed = seed
        self._local = threading.local()
        refuse_other_sizes(policy, self._try_out(), self.train_size)

    def __call__(self, example: Example, epoch: int, image_key: int) -> Example:
        """The example as this epoch shows it; `image_key` is any non-negative integer that names the image."""
        if not self.policy and self.train_size == self.image_size:
            return example
        pipeline = self._pipeline()
        pipeline.set_random_seed(int(np.random.SeedSequence([self.seed, epoch, image_key]).generate_state(1)[0]))
        result: dict[str, Any] = pipeline(image=example.pixels, bboxes=example.boxes[:, 1:], labels=example.boxes[:, 0])
        corners = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        labels = np.asarray(result["labels"], np.float32).reshape(-1, 1)
        return Example(result["image"], np.concatenate([labels, corners], axis=1))

    def _pipeline(self) -> A.Compose:
        # Compose keeps state while it runs: two threads sharing one change each other's results.
        if not hasattr(self._local, "pipeline"):
            self._local.pipeline = compose(self.policy, self.image_size, self.train_size)
        pipeline: A.Compose = self._local.pipeline
        return pipeline

    def _try_out(self) -> tuple[int, ...]:
        blank = Example(np.zeros((self.image_size, self.image_size, 3), np.uint8), np.zeros((0, 5), np.float32))
        return self(blank, 0, 0).pixels.shape
