"""The temperature of a trained classifier, from what it makes of the validation images."""

import logging
from typing import TYPE_CHECKING

import numpy as np

from components.data import tables

if TYPE_CHECKING:
    from pipelines.stages.training import Prepared

log = logging.getLogger(__name__)
BATCH = 32


def temperature(prepared: "Prepared") -> float:
    """By what to divide the logits of the network as it is served; 1 for a detector, and where validation is too small to say."""
    import keras

    from components.evaluate.calibration import fit_temperature
    from components.models import catalog

    if prepared.design.task == tables.DETECTION:
        return 1.0
    served, examples = catalog.serving_model(prepared.network, prepared.design), prepared.batches[1].examples
    scores = keras.Model(served.input, served.get_layer("probabilities").input)
    starts = range(0, len(examples.pixels), BATCH)
    logits = np.concatenate([scores.predict_on_batch(np.asarray(examples.pixels[start : start + BATCH])) for start in starts])
    found = fit_temperature(logits, examples.targets)
    log.info("%s: temperature %g, fitted to %d validation images", prepared.model.name, found, len(logits))
    return found
