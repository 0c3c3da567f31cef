"""Probabilities that mean what they say: one temperature for all logits (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

LEAST, MOST = 0.05, 20.0
FEWEST = 30  # images: fewer say too little, and the temperature stays 1
STEPS = 60  # halvings of what is between LEAST and MOST
DIGITS = 4  # that are kept: what is beyond depends on the machine

Logits = NDArray[np.floating]


def fit_temperature(logits: Logits, truth: NDArray[np.integer]) -> float:
    """The temperature, 0.05 to 20, by which to divide logits (N, C), so that truth (N,) has the least negative log likelihood.

    1 for fewer than 30 images. Truth counts as Platt's (1999): of N images one in N + 2 may be labelled otherwise, so that
    a validation set without any error does not make the model sure of everything.
    """
    count, classes = logits.shape
    if count < FEWEST or classes < 2:
        return 1.0
    scores = logits.astype(np.float64)
    doubt = 1 / (count + 2)
    own = scores[np.arange(count), truth]
    wanted = (1 - doubt) * own + doubt * (scores.sum(axis=1) - own) / (classes - 1)

    def slope(beta: float) -> float:
        """Of the negative log likelihood, which is convex in beta = 1 / temperature."""
        shares = softmax(beta * scores, axis=1)
        return float(((shares * scores).sum(axis=1) - wanted).mean())

    low, high = np.log(1 / MOST), np.log(1 / LEAST)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(float(np.exp(middle))) < 0 else (low, middle)
    return float(f"{np.exp(-(low + high) / 2):.{DIGITS}g}")


def at_temperature(probabilities: Logits, temperature: float) -> NDArray[np.float64]:
    """The probabilities (N, C) with their logits divided by a further temperature; those of 0 stay next to it."""
    return np.asarray(softmax(np.log(np.clip(probabilities.astype(np.float64), 1e-45, 1.0)) / temperature, axis=1))
