"""What is done about classes with few images: they count more, or are shown more often."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[Any]
Order = NDArray[np.int64]


def class_weights(classes: Classes, num_classes: int) -> NDArray[np.float32]:
    """A weight for each class (num_classes,), inverse to how many of the class indices (N,) are its own.

    N / (classes present * images of the class), scikit-learn's "balanced" (King, Zeng 2001): the mean over all images
    is 1. A class without images weighs 0.
    """
    counts = np.bincount(classes, minlength=num_classes)
    return np.where(counts > 0, len(classes) / (max((counts > 0).sum(), 1) * np.maximum(counts, 1)), 0).astype(np.float32)


def shuffled(classes: Classes, rng: np.random.Generator) -> Order:
    """Every image once, in a random order (N,)."""
    return rng.permutation(len(classes))


def balanced(classes: Classes, rng: np.random.Generator) -> Order:
    """As many images as there are (N,), each class as often as any other give or take one, in a random order.

    Of a class with fewer images than it has places each is shown once before any is shown again; of one with more, other
    ones are shown in another epoch.
    """
    present = rng.permutation(np.unique(classes))  # so that what cannot be divided evenly goes to another class each time
    places = np.full(len(present), len(classes) // len(present)) + (np.arange(len(present)) < len(classes) % len(present))
    drawn = [_repeated(np.flatnonzero(classes == one), count, rng) for one, count in zip(present, places, strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _repeated(images: Order, count: int, rng: np.random.Generator) -> Order:
    rounds = -(-count // len(images))
    return np.concatenate([rng.permutation(images) for _ in range(rounds)])[:count]
