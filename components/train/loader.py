"""Batches for training and validation: shuffled every epoch, augmented in threads, the same on every machine."""

import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import Augmenter
from components.train.examples import Examples, Targets, pad_boxes


class TrainingBatches:
    """Full batches of augmented examples in a new order every epoch; the remainder waits for the next epoch's order."""

    def __init__(self, examples: Examples, augmenter: Augmenter, batch_size: int, seed: int) -> None:
        self.examples = examples
        self.augmenter = augmenter
        self.batch_size = min(batch_size, len(examples))
        self.seed = seed

    def __len__(self) -> int:
        return len(self.examples) // self.batch_size

    def batch(self, epoch: int, index: int) -> tuple[NDArray[np.uint8], Targets]:
        """Batch `index` of an epoch: the same whenever and in whichever thread it is asked for."""
        picked = self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        shown = [self.augmenter(self.examples.example(i), epoch, int(self.examples.keys[i])) for i in picked]
        pixels = np.stack([example.pixels for example in shown])
        if not self.examples.has_boxes:
            return pixels, self.examples.targets[picked]
        return pixels, pad_boxes([example.boxes for example in shown], self.examples.targets.shape[1])

    def _order(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))


class ValidationBatches:
    """Every example once, in order, exactly as it is."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.examples = examples
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def batch(self, index: int) -> tuple[NDArray[np.uint8], Targets]:
        """Batch `index`; the last may be smaller."""
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return np.asarray(self.examples.pixels[rows]), self.examples.targets[rows]
