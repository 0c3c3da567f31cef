"""When two boxes are the same one."""

import numpy as np
from numpy.typing import NDArray

Corners = tuple[float, float, float, float]
SAME_BOX = 0.5  # IoU


def iou(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union (M, N) of corners (M, 4) and (N, 4): x_min, y_min, x_max, y_max, in any unit."""
    a, b = ours[:, None], theirs[None]
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    union = np.prod(a[..., 2:] - a[..., :2], axis=-1) + np.prod(b[..., 2:] - b[..., :2], axis=-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
