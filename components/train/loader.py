"""Batches for training and validation: shuffled every epoch, augmented in threads, the same on every machine."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import Augmenter
from components.augment.mixing import Mixing
from components.train.balance import balanced, shuffled
from components.train.config import TrainConfig
from components.train.examples import Examples, Targets, pad_boxes

Batch = tuple[NDArray[np.uint8], Targets]
MIXED = 1  # what a batch's random numbers are for, beside the order of the epoch


def training_batches(
    examples: Examples, augmenter: Augmenter, batch_size: int, config: TrainConfig, num_classes: int, seed: int
) -> "TrainingBatches":
    """Batches as the knobs `class_balance`, `mixup` and `cutmix` want them."""
    mixing = Mixing(config.mixup, config.cutmix, num_classes) if config.mixup > 0 or config.cutmix > 0 else None
    order = balanced if config.class_balance == "sampling" else shuffled
    return TrainingBatches(examples, augmenter, batch_size, seed, mixing, order)


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
    ) -> None:
        self.examples = examples
        self.augmenter = augmenter
        self.batch_size = min(batch_size, len(examples))
        self.seed = seed
        self.mixing = mixing
        # Two: what is made ahead may belong to the next epoch.
        self._order = lru_cache(maxsize=2)(lambda epoch: order(examples.targets, np.random.default_rng([seed, epoch])))

    def __len__(self) -> int:
        return len(self.examples) // self.batch_size

    def batch(self, epoch: int, index: int, rows: slice = slice(None)) -> Batch:
        """Batch `index` of an epoch, or some rows of it: the same whenever and in whichever thread it is asked for."""
        picked = self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        if self.examples.has_boxes:
            return self._with_boxes(picked[rows], epoch)
        if self.mixing is None:
            return self._augmented(picked[rows], epoch)
        rng = np.random.default_rng([self.seed, epoch, index, MIXED])
        pixels, soft = self.mixing(*self._augmented(picked, epoch), rng)  # any row may be mixed into any other
        return pixels[rows], soft[rows]

    def _augmented(self, picked: NDArray[np.int64], epoch: int) -> Batch:
        return self.augmenter.batch(self.examples.pixels, picked, epoch, self.examples.keys[picked]), self.examples.targets[picked]

    def _with_boxes(self, picked: NDArray[np.int64], epoch: int) -> Batch:
        shown = [self.augmenter(self.examples.example(i), epoch, int(self.examples.keys[i])) for i in picked]
        return np.stack([one.pixels for one in shown]), pad_boxes([one.boxes for one in shown], self.examples.targets.shape[1])


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
