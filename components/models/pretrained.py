"""Pretrained weights into a network, whatever they come in."""

from pathlib import Path
from typing import Literal

import keras

from components.errors import DataError, UsageError
from components.models import saved, transfer, weights

IMAGENET: Literal["imagenet"] = "imagenet"
Weights = Path | Literal["imagenet"]


def load(model: keras.Model, backbone: keras.Model | None, architecture: str, source: Weights) -> list[str]:
    """Fill the model from `imagenet` (Keras' downloads), an `.npz`, a `.keras`, or an `.h5` of Keras; returns the layers filled.

    `backbone` is the part of the model below its head, None for a network that is published whole. Raises UsageError
    where there are no such weights, DataError for a file that does not fit, ServiceError without internet.
    """
    if source == IMAGENET:
        if backbone is None or architecture not in transfer.NETWORKS:
            raise UsageError(_no_imagenet(architecture))
        transfer.load_imagenet(architecture, backbone)
        return _named(backbone)
    if source.suffix == ".keras":
        return saved.fill_from(model, source)
    if source.suffix == ".npz":
        return weights.load_into(model, source)
    return _from_h5(model, backbone, architecture, source)


def _from_h5(model: keras.Model, backbone: keras.Model | None, architecture: str, path: Path) -> list[str]:
    if path.suffix != ".h5":
        raise UsageError(f"weights: {path} ends in {path.suffix or 'nothing'}, expected .npz, .keras, .weights.h5 or .h5")
    if backbone is not None and architecture in transfer.NETWORKS:
        transfer.load_file(architecture, backbone, path)
        return _named(backbone)
    try:
        model.load_weights(path)
    except (ValueError, OSError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise DataError(
            f"{path} holds no weights of {architecture} with these classes ({reason}): a .keras file fits any classes"
        ) from None
    saved.finalise(model)
    return [name for name in _named(model) if name != saved.CLASSES]


def _named(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if layer.weights]


def _no_imagenet(architecture: str) -> str:
    if architecture == "efficientnet_lite0":
        return "weights: imagenet are Keras' downloads, which have no efficientnet_lite0: use `weights: sample`, the embedded ones"
    if architecture in transfer.NETWORKS:
        return f"weights: imagenet fill Keras' {architecture}, not the published one: leave head out, or set head: pooled or course"
    return f"weights: imagenet are Keras' downloads, which have no {architecture}: choose one of {', '.join(transfer.NETWORKS)}"
