"""Pictures of what goes on inside a network, for the evaluate stage of both tasks."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.errors import UsageError
from components.explain import filters, pictures
from components.explain.gradcam import grad_cam
from components.explain.trace import trace

log = logging.getLogger(__name__)

LAYERS, CHANNELS, COLUMNS = 6, 16, 8
ERRORS = 8  # shown with heat


def draw_layers(model: Any, photograph: NDArray[np.uint8], title: str, folder: Path) -> None:
    """Write feature_maps.png of one photograph (S, S, 3) uint8, and filters.png; nothing where there is no convolution to be seen."""
    try:
        done = trace(model, photograph[None])
        first = filters.first_filters(done)
    except UsageError as error:
        log.info("no feature maps: %s", error)
        return
    panels = [pictures.map_panel(step, CHANNELS, COLUMNS) for step in done.by_size(LAYERS)]
    shown = [pictures.photograph_panel(photograph, title), *panels]
    pictures.draw_panels(shown, "feature maps of a test image, the last of each size", folder / "feature_maps.png")
    pictures.draw_panels([pictures.filter_panel(first, COLUMNS)], "filters of the first convolution", folder / "filters.png")


def draw_errors(model: Any, shown: NDArray[np.uint8], answers: NDArray[np.integer], captions: Sequence[str], path: Path) -> None:
    """Write the Grad-CAM of wrongly classified photographs (N, S, S, 3): for the predicted class and for the true one.

    answers (N, 2): predicted and true class. A class that the model has never heard of, -1, has no heat.
    """
    known = answers >= 0
    try:
        heat = grad_cam(model, shown, np.where(known, answers, 0)) if len(shown) else np.zeros((0, 2, 1, 1), np.float32)
    except UsageError as error:
        log.info("no Grad-CAM: %s", error)
        return
    pairs = np.where(known[:, :, None, None], heat, 0)
    panels = [
        pictures.heat_panel(photograph, list(pair), caption, "firebrick")
        for photograph, pair, caption in zip(shown, pairs, captions, strict=True)
    ]
    title = "the most confident errors, one a group (Grad-CAM): what speaks for the predicted class, and what for the true one"
    pictures.draw_panels(panels, title if panels else "the most confident errors: none", path, columns=2)
