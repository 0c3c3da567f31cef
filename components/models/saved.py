"""Models that Visionloop saved: read whole, or layer by layer into another network (pretrain once, transfer often)."""

import logging
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np

from components.errors import DataError
from components.models import batch_norm as _batch_norm  # noqa: F401  registers the normalisation that saved networks hold
from components.models import depthwise as _depthwise  # noqa: F401  likewise the convolution
from components.models import layers as _layers  # noqa: F401  registers the layers that a saved classifier holds
from components.models.classifiers import fast as _fast  # noqa: F401  likewise its own
from components.models.detectors import decode as _decode  # noqa: F401  likewise for a detector
from components.models.detectors import inference as _inference  # noqa: F401  likewise
from components.models.detectors.yolov3 import network as _yolov3  # noqa: F401  likewise for its anchor boxes
from components.models.folding import Bias

log = logging.getLogger(__name__)

CLASSES = "logits"  # the layer whose units are the classes of the data it was trained on
TEMPERATURE = "temperature"  # the layer that divides a served classifier's logits


def load_model(path: Path) -> keras.Model:
    """A model written by `save_model`, in Keras' safe mode. Raises DataError when the file is missing or damaged."""
    if not path.is_file() or path.stat().st_size == 0:
        raise DataError(f"{path} holds no model: run the train stage (`dvc repro`)")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, OSError, KeyError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(f"{path} is not a Keras model that can be read ({reason}): train it again") from None


def temperature_of(served: keras.Model) -> float:
    """By what a served classifier divides its logits before it answers; 1 where nothing does."""
    found = [layer for layer in served.layers if layer.name == TEMPERATURE and isinstance(layer, keras.layers.Rescaling)]
    return float(f"{1 / found[0].scale:.6g}") if found else 1.0


def fill_from(model: keras.Model, path: Path) -> list[str]:
    """Fill every layer of the model that the saved one holds by the same name and shape; returns the names of those filled.

    The classes always start anew; what else another input size or another network leaves unlike is named in the log.
    Raises DataError when nothing fits.
    """
    known = dict(named_layers(load_model(path)))
    filled, unlike = set(), []
    for name, layer in named_layers(model):
        if name == CLASSES or not layer.weights or name not in known:
            continue
        values = _values(known[name], layer)
        if [value.shape for value in values] == [tuple(weight.shape) for weight in layer.weights]:
            layer.set_weights(values)
            filled.add(id(layer))
        else:
            unlike.append(layer.name)
    if not filled:
        raise DataError(f"{path} fits no layer of {model.name}: it holds {sorted(known)[:5]} …; name the architecture it was trained with")
    if unlike:
        log.warning("%s starts anew in %s: their shapes there are others", model.name, ", ".join(unlike))
    finalise(model)
    return [layer.name for layer in model.layers if layer.weights and all(id(part) in filled for part in _parts(layer) if part.weights)]


def _values(source: keras.Layer, layer: keras.Layer) -> list[np.ndarray]:
    """What a saved layer holds, in the weights of this one: a normalisation folded into its convolution adds its bias alone."""
    if isinstance(source, Bias) and isinstance(layer, keras.layers.BatchNormalization):
        told = {"gamma": 1.0, "beta": 0.0, "moving_mean": -np.asarray(source.bias), "moving_variance": 1.0 - layer.epsilon}
        return [np.broadcast_to(told[weight.name], weight.shape) for weight in layer.weights]
    return list(source.get_weights())


def _parts(layer: keras.Layer) -> list[keras.Layer]:
    return list(flat(layer)) if isinstance(layer, keras.Model) else [layer]


def finalise(model: keras.Model) -> None:
    """Let normalisation layers compute with the statistics that were assigned to their weights."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.finalize_state()


def named_layers(model: keras.Model) -> Iterator[tuple[str, keras.Layer]]:
    """Every layer by a name that is the same in every process, those of a network inside the network too.

    Where a network leaves naming to Keras (`conv2d_17` in Inception), the number depends on what was built before; its
    rank among its like does not.
    """
    ranks: Counter[str] = Counter()
    for layer in flat(model):
        kind = keras_name(layer)
        if re.fullmatch(rf"{kind}(_\d+)?", layer.name):
            yield f"{kind}#{ranks[kind]}", layer
            ranks[kind] += 1
        else:
            yield layer.name, layer


def keras_name(layer: keras.Layer) -> str:
    """The name that Keras gives a layer of this class, less its number: `Conv2D` -> conv2d, `ReLU` -> re_lu."""
    name = re.sub(r"\W+", "", type(layer).__name__)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def flat(model: keras.Model) -> Iterator[keras.Layer]:
    """The layers of a model and of the models inside it, in order."""
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from flat(layer)
        else:
            yield layer
