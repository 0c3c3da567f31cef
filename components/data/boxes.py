"""When two boxes are the same one."""

import numpy as np
from numpy.typing import NDArray

Corners = tuple[float, float, float, float]
SAME_BOX = 0.5  # IoU


def iou(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union (M, N) of corners (M, 4) and (N, 4): x_min, y_min, x_max, y_max, in any unit."""
    return overlap(ours[:, None], theirs[None])


def overlap(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union (...) of corners (..., 4) that go together; 0 where both have no area."""
    common = shared(ours, theirs)
    union = np.prod(ours[..., 2:] - ours[..., :2], axis=-1) + np.prod(theirs[..., 2:] - theirs[..., :2], axis=-1) - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def shared(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area (...) that corners (..., 4) have in common, in their unit squared."""
    sides = np.minimum(ours[..., 2:], theirs[..., 2:]) - np.maximum(ours[..., :2], theirs[..., :2])
    area: NDArray[np.float64] = np.prod(np.maximum(sides, 0), axis=-1)
    return area
