"""Labels (2, M, 5) of two images, such as a detector's loss meets seldom and must bear."""

import numpy as np

DEGENERATE = {
    "no rows": np.zeros((2, 0, 5)),
    "only padding": np.full((2, 3, 5), -1.0),
    "one box": np.array([[[0, 0.2, 0.2, 0.6, 0.7]], [[-1, 0, 0, 0, 0]]]),
    "whole image": np.array([[[1, 0, 0, 1, 1]]] * 2),
    "at the border": np.array([[[1, 0.9, 0.9, 1, 1]]] * 2),
    "without area": np.array([[[1, 0.5, 0.5, 0.5, 0.5]]] * 2),
    "smaller than a pixel": np.array([[[1, 0.5, 0.5, 0.501, 0.501]]] * 2),
    "the same box twice": np.array([[[0, 0.2, 0.2, 0.6, 0.7]] * 2] * 2),
    "beyond the square": np.array([[[0, -0.5, -0.5, 1.5, 1.5]]] * 2),
    "a thousand boxes": np.concatenate([np.zeros((2, 1000, 1)), np.sort(np.random.default_rng(0).uniform(0, 1, (2, 1000, 4)))], axis=-1),
}
