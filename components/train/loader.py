"""Batches for training and validation: shuffled every epoch, augmented in threads, the same on every machine."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import Augmenter
from components.augment.clipping import BoxCounts, Objects
from components.augment.composing import Composing
from components.augment.mixing import Mixing
from components.train.balance import balanced, shuffled
from components.train.config import TrainConfig
from components.train.examples import Examples, Targets, pad_boxes

Batch = tuple[NDArray[np.uint8], Targets]
MIXED = 1  # what a batch's random numbers are for, beside the order of the epoch


def training_batches(
    examples: Examples, augmenter: Augmenter, batch_size: int, config: TrainConfig, num_classes: int, seed: int
) -> "TrainingBatches":
    """Batches as the knobs `class_balance`, `mixup` and `cutmix`, or `mosaic` and `box_mixup`, want them."""
    mixing = Mixing(config.mixup, config.cutmix, num_classes) if config.mixup > 0 or config.cutmix > 0 else None
    order = balanced if config.class_balance == "sampling" else shuffled
    composing = Composing(config.mosaic, config.box_mixup, seed) if config.mosaic > 0 or config.box_mixup > 0 else None
    return TrainingBatches(examples, augmenter, batch_size, seed, mixing, order, composing)


class Made(NamedTuple):
    """A batch, and what became of its boxes."""

    pixels: NDArray[np.uint8]
    targets: Targets
    box_counts: BoxCounts


class TrainingBatches:
    """Full batches of augmented examples in a new order every epoch; the remainder waits for the next epoch's order.

    Pixels are (B, S, S, 3) uint8. Targets are the examples' own; mixed ones are shares of the classes (B, C) float32.
    `order` draws an epoch's order of the images from their targets.
    """

    def __init__(
        self,
        examples: Examples,
        augmenter: Augmenter,
        batch_size: int,
        seed: int,
        mixing: Mixing | None = None,
        order: Callable[[Targets, np.random.Generator], NDArray[np.int64]] = shuffled,
        composing: Composing | None = None,
    ) -> None:
        self.examples = examples
        self.augmenter = augmenter
        self.batch_size = min(batch_size, len(examples))
        self.seed = seed
        self.mixing = mixing
        self.composing = composing
        # Two: what is made ahead may belong to the next epoch.
        self._order = lru_cache(maxsize=2)(lambda epoch: order(examples.targets, np.random.default_rng([seed, epoch])))

    def __len__(self) -> int:
        return len(self.examples) // self.batch_size

    def batch(self, epoch: int, index: int, rows: slice = slice(None)) -> Batch:
        """Batch `index` of an epoch, or some rows of it: the same whenever and in whichever thread it is asked for."""
        pixels, targets, _ = self.made(epoch, index, rows)
        return pixels, targets

    def made(self, epoch: int, index: int, rows: slice = slice(None), composes: bool = True) -> Made:
        """What `batch` gives, and what became of its boxes; unless it `composes`, each picture is made of one."""
        picked = self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        if self.examples.has_boxes:
            return self._with_boxes(picked[rows], epoch, composes)
        if self.mixing is None:
            return Made(*self._augmented(picked[rows], epoch), BoxCounts())
        rng = np.random.default_rng([self.seed, epoch, index, MIXED])
        pixels, soft = self.mixing(*self._augmented(picked, epoch), rng)  # any row may be mixed into any other
        return Made(pixels[rows], soft[rows], BoxCounts())

    def _augmented(self, picked: NDArray[np.int64], epoch: int) -> Batch:
        return self.augmenter.batch(self.examples.pixels, picked, epoch, self.examples.keys[picked]), self.examples.targets[picked]

    def _with_boxes(self, picked: NDArray[np.int64], epoch: int, composes: bool) -> Made:
        given, keys = self.examples, self.examples.keys[picked]
        if self.composing is not None and composes:
            pixels, before = self.composing(given.example, len(given), picked, epoch, keys)
            picked = np.arange(len(pixels))
        else:
            pixels, before = given.pixels, [Objects.whole(given.boxes(row)) for row in picked]
        shown, after = self.augmenter.with_boxes(pixels, picked, before, epoch, keys)
        most = given.targets.shape[1] * (2 if self.composing else 1)
        return Made(shown, pad_boxes([one.boxes for one in after], most), BoxCounts.of(after))


class ValidationBatches:
    """Every example once, in order, exactly as it is."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.examples = examples
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def batch(self, index: int) -> Batch:
        """Batch `index`; the last one may be smaller."""
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return np.asarray(self.examples.pixels[rows]), self.examples.targets[rows]
