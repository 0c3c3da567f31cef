"""Random numbers that are a function of what they are drawn for, computed for a whole batch at once."""

import numpy as np
from numpy.typing import NDArray

STEP = np.uint64(0x9E3779B97F4A7C15)


def uniforms(seed: int, epoch: int, keys: NDArray[np.int64], count: int, first: int = 0) -> NDArray[np.float64]:
    """`count` numbers in 0..1, below 1, for each image key (B,): (B, count), of (seed, epoch, key) alone, from the `first` on.

    SplitMix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2714064.2660195), its state mixed from the three: a
    generator made anew for every image costs as much as ten augmentations do.
    """
    state = _mixed(np.array([seed], np.uint64)) ^ np.uint64(epoch)
    state = _mixed(_mixed(state) ^ keys.astype(np.uint64))
    counted = state[:, None] + STEP * np.arange(first + 1, first + count + 1, dtype=np.uint64)
    return (_mixed(counted) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def spread(first: NDArray[np.float64], epoch: int) -> NDArray[np.float64]:
    """What numbers 0..1 of epoch 0 are in another: each runs evenly through 0..1, from one half to the other by turns.

    By the epoch's digits in base 2 mirrored at the point (van der Corput 1935): 0, 1/2, 1/4, 3/4, 1/8 ... is added.
    """
    mirrored = int(f"{epoch:b}"[::-1], 2) / 2 ** epoch.bit_length()
    return (first + mirrored) % 1.0


def _mixed(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    value = value + STEP
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
