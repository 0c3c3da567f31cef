"""Every architecture by name, built ready to train and ready to serve."""

import logging
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal

import keras
from keras import layers

from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import UsageError
from components.models import efficientnet_lite0, heads, transfer
from components.models.classifiers.alexnet import alexnet
from components.models.classifiers.cnn import cnn
from components.models.classifiers.cnn_bn import cnn_bn
from components.models.classifiers.cnn_flowers import cnn_flowers
from components.models.classifiers.cnn_malaria import cnn_malaria
from components.models.classifiers.fast import fast, fast_wide
from components.models.classifiers.googlenet import googlenet
from components.models.classifiers.lenet5 import lenet5
from components.models.classifiers.resnet import resnet18, resnet34, resnet50
from components.models.classifiers.vgg import vgg11, vgg13, vgg16, vgg19
from components.models.detectors.family import Family
from components.models.detectors.inference import inference_model
from components.models.detectors.yolo import from_scratch, yolo
from components.models.detectors.yolov3.anchors import COCO, Anchors
from components.models.detectors.yolov3.network import yolov3
from components.models.folding import Bias, folded
from components.models.fused import fused
from components.models.layers import AndMirrored, MirrorMean, ResizeCrop
from components.models.pretrained import Weights, load
from components.models.saved import TEMPERATURE, finalise
from components.models.sizes import usual_size

log = logging.getLogger(__name__)

HeadName = Literal["published", "pooled", "course"]
SENSIBLE = 96  # pixels: three cells of the last feature maps, which stand 32 pixels apart


@dataclass(frozen=True)
class Network:
    """A classifier of our own, whole: (pixels, classes, dropout) -> logits; the smallest picture side it takes, in pixels."""

    logits: heads.Head
    least: int
    what: str


OWN = {
    "lenet5": Network(lenet5, 32, "LeNet-5, 1998: digits, gray"),
    "fast": Network(fast, 28, "the best small one for a time budget"),
    "fast_wide": Network(fast_wide, 28, "the same, two and a half times the work, where there is more time"),
    "cnn": Network(cnn, 4, "the course's CIFAR network: three convolutions"),
    "cnn_bn": Network(cnn_bn, 4, "the course's network with batch normalisation and dropout, gray"),
    "cnn_flowers": Network(cnn_flowers, 2, "the course's flower network: one convolution"),
    "cnn_malaria": Network(cnn_malaria, 6, "the course's malaria network: one sigmoid unit for two classes"),
    "alexnet": Network(alexnet, 63, "AlexNet, 2012, in one tower"),
    "vgg11": Network(vgg11, 32, "VGG, configuration A"),
    "vgg13": Network(vgg13, 32, "VGG, configuration B"),
    "vgg16": Network(vgg16, 32, "VGG, configuration D"),
    "vgg19": Network(vgg19, 32, "VGG, configuration E"),
    "googlenet": Network(googlenet, 32, "GoogLeNet: nine inception blocks"),
    "resnet18": Network(resnet18, 32, "ResNet of identity blocks"),
    "resnet34": Network(resnet34, 32, "ResNet of identity blocks"),
    "resnet50": Network(resnet50, 32, "ResNet of bottlenecks"),
}
LITE0 = "efficientnet_lite0"
DETECTOR = "yolo_"  # and then the name of what it stands on
DETECTORS: dict[str, tuple[Family, str]] = {
    "yolo": (from_scratch("n"), "one-stage anchor-free detector"),
    "yolo_s": (from_scratch("s"), "the same, half as wide again"),
    "yolo_m": (from_scratch("m"), "the same, twice as wide and as deep"),
    "yolo_lite0": (yolo(efficientnet_lite0.features), "the same on an EfficientNet-Lite0"),
    **{f"{DETECTOR}{name}": (yolo(partial(transfer.pyramid, name)), f"the same on Keras' {name}") for name in transfer.PYRAMIDS},
    "yolo_anchors": (yolov3(COCO), "YOLOv3 on a small Darknet, with anchor boxes found in the training boxes"),
}
REFINE_ANCHORS = {"yolo_anchors"}
DESCRIPTIONS = {
    **{name: network.what for name, network in OWN.items()},
    LITE0: "EfficientNet-Lite0; `weights: sample` are ImageNet's, embedded",
    **{name: what for name, (_, what) in DETECTORS.items() if name.removeprefix(DETECTOR) not in transfer.PYRAMIDS},
}
ARCHITECTURES: dict[str, list[str]] = {CLASSIFICATION: list(dict.fromkeys([*OWN, LITE0, *transfer.NETWORKS])), DETECTION: list(DETECTORS)}


@dataclass(frozen=True)
class Design:
    """What decides a network's shape; `image_size` in pixels, None for a classifier that takes any.

    `head`: the network whole as published, or Keras' backbone of that name under a head of ours (components.models.heads).
    None: published where the network is one of our own. `mirror`: served, a classifier answers the mean of what it makes of a
    picture and of its mirror image, in twice the time.
    `anchors` are the boxes that a detector of REFINE_ANCHORS begins from; None: those published for COCO.
    """

    task: str
    architecture: str
    num_classes: int
    image_size: int | None
    dropout: float
    head: HeadName | None = None
    mirror: bool = False
    anchors: Anchors | None = None


def chosen_head(architecture: str, head: HeadName | None, *, transfers: bool) -> HeadName | None:
    """`head` if it is said; else pooled where pretrained weights come to a backbone of Keras, published for a network of our own.

    None for a detector, which has its own.
    """
    if head is not None or architecture in DETECTORS:
        return head
    return "published" if architecture in OWN and not (transfers and architecture in transfer.NETWORKS) else "pooled"


def build(design: Design, weights: Weights | None) -> tuple[keras.Model, list[str]]:
    """The network to train and the names of its layers that hold pretrained weights.

    A classifier maps pixels (B, S, S, 3) uint8 to logits (B, num_classes); a detector to the raw rows of its `Family`.
    Pretrained batch normalisations, whose statistics no training changes, are folded into the convolutions before them.
    Raises UsageError for an architecture the task does not know, or weights that fit nothing.
    """
    refuse_unknown(design)
    model = _classifier(design) if design.task == CLASSIFICATION else _detector(design)
    if weights is None:
        return model, []
    if design.task == CLASSIFICATION and design.image_size is not None and design.image_size < SENSIBLE:
        told = "%s is pretrained on larger objects than image_size: %d shows; %d pixels and more make sense, usual are %d"
        log.warning(told, design.architecture, design.image_size, SENSIBLE, usual_size(design.architecture))
    filled = load(model, *_backbone(model, design), weights)
    quick = folded(model, filled)
    finalise(quick)
    return quick, filled


def _backbone(model: keras.Model, design: Design) -> tuple[keras.Model | None, str]:
    """The part of a network that pretrained weights may fill, None where that is all of it, and whose weights those are."""
    if design.task == DETECTION:
        if not _is_of_keras(design):
            return None, design.architecture
        last = model.get_layer(transfer.BACKBONE).input
        return keras.Model(model.input, last), design.architecture.removeprefix(DETECTOR)
    head = chosen_head(design.architecture, design.head, transfers=False)
    return heads.backbone(model, head) if head in heads.HEADS else None, design.architecture


def below_head(model: keras.Model, design: Design) -> list[str]:
    """The names of the layers that a transfer begins with frozen: all but the head, or but the classes of a network published whole."""
    new = {"logits"} if chosen_head(design.architecture, design.head, transfers=False) == "published" else heads.NAMES
    return [layer.name for layer in model.layers if layer.name not in new]


def serving_model(trained: keras.Model, design: Design, temperature: float = 1.0) -> keras.Model:
    """The trained network for photographs of any size, preprocessing inside: (B, H, W, 3) uint8 RGB upright.

    A classifier answers probabilities (B, num_classes), its logits divided by the temperature; a detector what
    `inference_model` says. It is a copy that computes in float32, on any machine alike, and remembers neither optimizer nor loss.
    """
    model = _float32_copy(trained, design)
    if design.task == DETECTION:
        return inference_model(model, _family(design).decoding(model.input_shape[1]))
    photographs = keras.Input((None, None, 3), dtype="uint8", name="image")
    squares = ResizeCrop(model.input_shape[1], name="resize")(photographs)
    logits = MirrorMean(name="mean")(model(AndMirrored(name="mirror")(squares))) if design.mirror else model(squares)
    if temperature != 1.0:
        logits = layers.Rescaling(1 / temperature, dtype="float32", name=TEMPERATURE)(logits)
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
        raise _one_size(design) from None
    finalise(copy)
    return copy


def _one_size(design: Design) -> UsageError:
    return UsageError(f"{design.architecture} has one input size: leave train_size out, or choose a network that pools")


def refuse_unknown(design: Design) -> None:
    """Raise UsageError when the task does not know the architecture, or the image size or the head does not fit it."""
    known = ARCHITECTURES[design.task]
    if design.architecture not in known:
        raise UsageError(f"no architecture {design.architecture!r} for {design.task}; known: {_known(design)}")
    if design.task == DETECTION:
        if design.head is not None:
            raise UsageError(f"head is {design.head}, but {design.architecture} is a detector: leave head out")
        if design.image_size is None or design.image_size % 32:
            raise UsageError(f"image_size is {design.image_size} pixels, a detector needs a multiple of 32, such as 320")
        return
    head = chosen_head(design.architecture, design.head, transfers=False)
    if head == "published" and design.architecture not in OWN:
        raise UsageError(f"head is published, but {design.architecture} is a backbone: choose pooled or course, or leave head out")
    if head != "published" and design.architecture not in (LITE0, *transfer.NETWORKS):
        raise UsageError(f"head is {head}, but {design.architecture} is no backbone of another head: leave head out")
    least = OWN[design.architecture].least if head == "published" else 1
    if design.image_size is not None and design.image_size < least:
        usual = usual_size(design.architecture)
        raise UsageError(f"image_size is {design.image_size} pixels, {design.architecture} needs {least} at least; usual are {usual}")


def _known(design: Design) -> str:
    every = [name for names in ARCHITECTURES.values() for name in names]
    near = get_close_matches(design.architecture, every, n=1)
    hint = f" Did you mean {near[0]!r}?" if near and near[0] in ARCHITECTURES[design.task] else ""
    if design.task == DETECTION:
        return f"{', '.join(DETECTORS)}.{hint}"
    return f"{', '.join([*OWN, LITE0])}, and those of keras.applications, such as mobilenet_v2 (`visionloop models`).{hint}"


def _classifier(design: Design) -> keras.Model:
    pixels = keras.Input((design.image_size, design.image_size, 3), dtype="uint8", name="image")
    try:
        logits = _logits(design, pixels)
    except ValueError:
        if design.image_size is None:  # a dense layer cannot know how many positions it will read
            raise _one_size(design) from None
        raise
    model = keras.Model(pixels, layers.Activation("linear", dtype="float32", name="logits_float32")(logits), name=design.architecture)
    return fused(model) if _is_of_keras(design) else model


def _is_of_keras(design: Design) -> bool:
    """Whether keras.applications builds the network, from layers that this project computes faster."""
    if design.task == DETECTION:
        return design.architecture.removeprefix(DETECTOR) in transfer.PYRAMIDS
    return design.architecture in transfer.NETWORKS and chosen_head(design.architecture, design.head, transfers=False) in heads.HEADS


def _logits(design: Design, pixels: Any) -> Any:
    head = chosen_head(design.architecture, design.head, transfers=False)
    if head not in heads.HEADS:
        return OWN[design.architecture].logits(pixels, design.num_classes, design.dropout)
    lite0 = design.architecture == LITE0
    maps = efficientnet_lite0.last_maps(pixels) if lite0 else transfer.features(design.architecture, pixels)
    return heads.HEADS[head](maps, design.num_classes, design.dropout)


def _detector(design: Design) -> keras.Model:
    assert design.image_size is not None
    model = _family(design).build(design.num_classes, design.image_size)
    return fused(model) if _is_of_keras(design) else model


def detection_loss(design: Design) -> keras.losses.Loss:
    """What a detector of this design learns by."""
    assert design.image_size is not None
    return _family(design).loss(design.num_classes, design.image_size)


def _family(design: Design) -> Family:
    family, _ = DETECTORS[design.architecture]
    return family if design.anchors is None else yolov3(design.anchors)
