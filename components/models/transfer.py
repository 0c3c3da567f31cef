"""The networks of keras.applications as backbones: RGB 0..255 in, each network's own preprocessing inside.

The names are Keras' own in snake case (`MobileNetV2`: mobilenet_v2). Their structure never depends on where the weights
come from, so that a model may be built again without them.
"""

import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from components.errors import DataError, ServiceError, UsageError
from components.models.detectors.decode import STRIDES
from components.models.layers import BlueFirst
from components.models.sizes import usual_size

IMAGENET_STDDEV = np.array([0.229, 0.224, 0.225], np.float32)
BACKBONE = "backbone"
PYRAMIDS = ("mobilenet_v2", "resnet50_v2", "resnet50", "vgg16", "efficientnet_b0")  # whose maps have those strides exactly
DOWNLOAD_SECONDS = 20.0  # without a byte
WITHOUT_INTERNET = (
    "without internet these serve: `architecture: efficientnet_lite0` with `weights: sample`, a file of weights, or `models:/NAME@ALIAS`"
)


def snake_case(name: str) -> str:
    """`ResNet50V2` -> resnet50_v2, `ConvNeXtTiny` -> convnext_tiny."""
    joined = name.replace("NeXt", "next").replace("Net", "net")
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", joined).lower()


def _applications() -> dict[str, Callable[..., keras.Model]]:
    found = {name: getattr(keras.applications, name) for name in dir(keras.applications) if name[0].isupper()}
    return {snake_case(name): build for name, build in found.items()}


NETWORKS = _applications()


def features(name: str, pixels: Any) -> Any:
    """The last feature maps of a network, (B, H, W, C), of pixels (B, S, S, 3) in 0..255; the weights are random.

    Raises UsageError when S is too small for the network.
    """
    side = pixels.shape[1]
    try:
        return NETWORKS[name](include_top=False, weights=None, input_tensor=preprocessed(name, pixels), input_shape=(side, side, 3)).output
    except ValueError as error:
        least = re.search(r"at least (\d+)", str(error))
        if least is None:
            raise
        raise UsageError(f"image_size is {side} pixels, {name} needs {least[1]} at least; usual are {usual_size(name)}") from None


def pyramid(name: str, pixels: Any) -> dict[int, Any]:
    """Feature maps whose cells stand 8, 16 and 32 pixels apart, by stride, of pixels (B, S, S, 3) in 0..255, S a multiple of 32.

    Of each stride the last map of those that have most channels; of the last, what the network ends with, called BACKBONE.
    """
    last = layers.Activation("linear", name=BACKBONE)(features(name, pixels))
    strides = {pixels.shape[1] // stride: stride for stride in STRIDES}
    found: dict[int, Any] = {}
    for layer in keras.Model(pixels, last).layers:
        stride = strides.get(layer.output.shape[1])
        if stride and (stride not in found or layer.output.shape[-1] >= found[stride].shape[-1]):
            found[stride] = layer.output
    return {**found, STRIDES[-1]: last}


def preprocessed(name: str, pixels: Any) -> Any:
    """Pixels 0..255 as the network's own `preprocess_input` leaves them, by layers of the graph.

    What that function does to a colour, an affine map of each channel and perhaps a change of their order, is found by
    asking it.
    """
    scale, offset, reversed_ = preprocessing(name)
    x = BlueFirst(name="blue_first")(pixels) if reversed_ else pixels
    if not np.any(offset) and np.all(scale == 1) and not reversed_:
        return x
    return layers.Rescaling(scale.tolist(), offset.tolist(), name="preprocess")(x)


def preprocessing(name: str) -> tuple[np.ndarray, np.ndarray, bool]:
    """Scale (3,) and offset (3,) of each channel that leaves `preprocess_input`, and whether they leave it as BGR."""
    module = getattr(keras.applications, NETWORKS[name].__module__.rpartition(".")[2])
    colours = np.concatenate([np.zeros((1, 3)), 255 * np.eye(3)]).astype(np.float32)
    answer = np.asarray(module.preprocess_input(colours[:, None, None].copy()), np.float64)[:, 0, 0]
    slopes = (answer[1:] - answer[0]) / 255  # of each input channel (rows) in each output channel
    reversed_ = bool(abs(slopes[0, 2]) > abs(slopes[0, 0]))
    return np.diag(slopes[:, ::-1] if reversed_ else slopes)[:: -1 if reversed_ else 1], answer[0], reversed_


def load_imagenet(name: str, backbone: keras.Model) -> None:
    """Fill the backbone with the ImageNet weights that Keras downloads, once, into its own cache (KERAS_HOME or ~/.keras).

    Raises ServiceError without internet.
    """
    side = usual_size(name)
    with _downloading(name):
        official = NETWORKS[name](include_top=False, weights="imagenet", input_shape=(side, side, 3))
    backbone.set_weights(official.get_weights())
    _square_deviations(backbone)


def load_file(name: str, backbone: keras.Model, path: Path) -> None:
    """Fill the backbone from an `.h5` that Keras or keras.applications wrote, with its top or without.

    Raises DataError when the file is not of this network.
    """
    try:
        backbone.load_weights(path)
    except (ValueError, OSError, KeyError) as without_top:
        try:
            whole = NETWORKS[name](weights=str(path))
        except (ValueError, OSError, KeyError):
            raise DataError(f"{path} holds no weights of {name}: {' '.join(str(without_top).split())[:200]}") from None
        backbone.set_weights(whole.get_weights()[: len(backbone.weights)])
    _square_deviations(backbone)


def _square_deviations(backbone: keras.Model) -> None:
    """EfficientNet's files hold standard deviations where the layer wants variances; Keras mends that by one more layer.

    That layer stands in the network only if `weights="imagenet"`, a structure that cannot be built without the download.
    """
    for layer in backbone.layers:
        if (
            isinstance(layer, layers.Normalization)
            and len(layer.weights) == 3
            and np.allclose(layer.weights[1], IMAGENET_STDDEV, atol=1e-3)
        ):
            layer.weights[1].assign(np.square(layer.weights[1]))
            layer.finalize_state()


@contextmanager
def _downloading(name: str) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_SECONDS)
    try:
        yield
    except Exception as error:
        # Keras raises a bare Exception when it cannot reach the address, ValueError for a file that is not the one it knows.
        if "URL fetch failure" not in str(error) and "corrupted" not in str(error) and not isinstance(error, OSError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ServiceError(f"the ImageNet weights of {name} could not be downloaded ({reason}); {WITHOUT_INTERNET}") from None
    finally:
        socket.setdefaulttimeout(before)
