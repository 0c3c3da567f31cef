"""Every architecture by name, built ready to train and ready to serve."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import keras
from keras import layers

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import UsageError
from components.models import efficientnet_lite0
from components.models.classifiers.cnn import cnn
from components.models.classifiers.fast import fast
from components.models.detectors.inference import inference_model
from components.models.detectors.yolo import build_yolo, scratch_backbone
from components.models.folding import Bias, folded
from components.models.layers import ResizeCrop
from components.models.weights import load_into


def _lite0_classifier(pixels: Any, num_classes: int, dropout: float) -> Any:
    x = layers.Dropout(dropout, name="dropout")(efficientnet_lite0.embedding(pixels))
    return layers.Dense(num_classes, name="logits")(x)


Head = Callable[[Any, int, float], Any]
CLASSIFIERS: dict[str, Head] = {"cnn": cnn, "fast": fast, "efficientnet_lite0": _lite0_classifier}
BACKBONES: dict[str, Callable[[Any], dict[int, Any]]] = {"yolo": scratch_backbone, "yolo_lite0": efficientnet_lite0.features}
ARCHITECTURES: dict[str, list[str]] = {CLASSIFICATION: list(CLASSIFIERS), DETECTION: list(BACKBONES)}
DESCRIPTIONS = {
    "cnn": "the course's CIFAR network: three convolutions, from scratch",
    "fast": "the best small one for a time budget, from scratch",
    "efficientnet_lite0": "EfficientNet-Lite0, pretrained on ImageNet",
    "yolo": "one-stage anchor-free detector, from scratch",
    "yolo_lite0": "the same detector on an EfficientNet-Lite0 pretrained on ImageNet",
}


@dataclass(frozen=True)
class Design:
    """What decides a network's shape; `image_size` in pixels, None for a classifier that takes any."""

    task: str
    architecture: str
    num_classes: int
    image_size: int | None
    dropout: float


def build(design: Design, weights: Path | None) -> tuple[keras.Model, list[str]]:
    """The network to train and the names of its layers that hold pretrained weights.

    A classifier maps pixels (B, S, S, 3) uint8 to logits (B, num_classes); a detector to the raw rows of `build_yolo`.
    Pretrained batch normalisations, whose statistics no training changes, are folded into the convolutions before them.
    Raises UsageError for an architecture the task does not know, or weights that fit nothing.
    """
    refuse_unknown(design)
    model = _classifier(design) if design.task == CLASSIFICATION else _detector(design)
    if weights is None:
        return model, []
    filled = load_into(model, weights)
    return folded(model, filled), filled


def serving_model(trained: keras.Model, design: Design) -> keras.Model:
    """The trained network for photographs of any size, preprocessing inside: (B, H, W, 3) uint8 RGB upright.

    A classifier answers probabilities (B, num_classes); a detector what `inference_model` says. It is a copy that
    computes in float32, on any machine alike, and remembers neither optimizer nor loss.
    """
    model = _float32_copy(trained, design)
    if design.task == DETECTION:
        return inference_model(model, model.input_shape[1], design.num_classes)
    photographs = keras.Input((None, None, 3), dtype="uint8", name="image")
    logits = model(ResizeCrop(model.input_shape[1], name="resize")(photographs))
    return keras.Model(photographs, layers.Softmax(dtype="float32", name="probabilities")(logits), name="classifier")


def _float32_copy(trained: keras.Model, design: Design) -> keras.Model:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        plain, _ = build(design, None)
        copy = folded(plain, [layer.name for layer in trained.layers if isinstance(layer, Bias)])
    finally:
        keras.config.set_dtype_policy(policy)
    try:
        copy.set_weights(trained.get_weights())
    except ValueError:
        raise UsageError(f"{design.architecture} has one input size: leave train_size out, or choose a network that pools") from None
    return copy


def refuse_unknown(design: Design) -> None:
    """Raise UsageError when the task does not know the architecture or the image size does not fit it."""
    known = ARCHITECTURES[design.task]
    if design.architecture not in known:
        every = [name for names in ARCHITECTURES.values() for name in names]
        near = get_close_matches(design.architecture, every, n=1)
        hint = f" Did you mean {near[0]!r}?" if near and near[0] in known else ""
        raise UsageError(f"no architecture {design.architecture!r} for {design.task}; known: {', '.join(known)}.{hint}")
    if design.task == DETECTION and (design.image_size is None or design.image_size % 32):
        raise UsageError(f"image_size is {design.image_size} pixels, a detector needs a multiple of 32, such as 320")


def _classifier(design: Design) -> keras.Model:
    pixels = keras.Input((design.image_size, design.image_size, 3), dtype="uint8", name="image")
    logits = CLASSIFIERS[design.architecture](pixels, design.num_classes, design.dropout)
    return keras.Model(pixels, layers.Activation("linear", dtype="float32", name="logits_float32")(logits), name=design.architecture)


def _detector(design: Design) -> keras.Model:
    assert design.image_size is not None
    return build_yolo(design.num_classes, design.image_size, BACKBONES[design.architecture])
