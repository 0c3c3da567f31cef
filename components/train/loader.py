"""Batches for training and validation: shuffled every epoch, augmented in threads, the same on every machine."""

from functools import lru_cache

import keras
import numpy as np
from numpy.typing import NDArray

from components.augment.augmenter import Augmenter
from components.train.examples import Examples, Targets, pad_boxes


class TrainingBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Full batches of augmented examples in a new order every epoch; the remainder waits for the next epoch's order."""

    def __init__(self, examples: Examples, augmenter: Augmenter, batch_size: int, seed: int, threads: int) -> None:
        super().__init__(workers=threads, use_multiprocessing=False, max_queue_size=4 * threads)
        self.examples = examples
        self.augmenter = augmenter
        self.batch_size = min(batch_size, len(examples))
        self.seed = seed
        self.epoch = 0
        self._order = lru_cache(maxsize=2)(self._drawn)  # two: what is made ahead may belong to the next epoch

    def __len__(self) -> int:
        return len(self.examples) // self.batch_size

    def batch(self, epoch: int, index: int) -> tuple[NDArray[np.uint8], Targets]:
        """Batch `index` of an epoch: the same whenever and in whichever thread it is asked for."""
        picked = self._order(epoch)[index * self.batch_size : (index + 1) * self.batch_size]
        if not self.examples.has_boxes:
            shown = self.augmenter.batch(self.examples.pixels, picked, epoch, self.examples.keys[picked])
            return shown, self.examples.targets[picked]
        examples = [self.augmenter(self.examples.example(i), epoch, int(self.examples.keys[i])) for i in picked]
        pixels = np.stack([example.pixels for example in examples])
        return pixels, pad_boxes([example.boxes for example in examples], self.examples.targets.shape[1])

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Targets]:
        return self.batch(self.epoch, index)

    def on_epoch_end(self) -> None:
        """Move on to the next epoch's order and augmentations; called by Keras."""
        self.epoch += 1

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        return np.random.default_rng([self.seed, epoch]).permutation(len(self.examples))


class ValidationBatches(keras.utils.PyDataset):  # type: ignore[misc]
    """Every example once, in order, exactly as it is."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        super().__init__()
        self.examples = examples
        self.batch_size = batch_size

    def __len__(self) -> int:
        return -(-len(self.examples) // self.batch_size)

    def batch(self, index: int) -> tuple[NDArray[np.uint8], Targets]:
        """Batch `index`; the last one may be smaller."""
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        return np.asarray(self.examples.pixels[rows]), self.examples.targets[rows]

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], Targets]:
        return self.batch(index)
