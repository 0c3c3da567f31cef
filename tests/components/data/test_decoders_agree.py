"""TensorFlow, Pillow and OpenCV see what `decode` sees in every kind of file it accepts, once turned and laid over white alike.

Tolerances, in steps of 0..255: none, but 1 for CMYK and 4 between TensorFlow's faster inverse transform of JPEG and the
exact one of the others.
"""

import io
import warnings
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from components.data.decode import DecodeError, decode
from tests.faults.bad_images import FILES, encode

# What a decoder cannot read at all, or reads as something that is no picture of it.
TENSORFLOW_READS = ("JPEG", "PNG", "GIF", "BMP", "WEBP")
REFUSED_BY_TENSORFLOW = {"longer.bmp", "glass.webp"}
CLIPPED_BY_PILLOW = {"deep-gray.png", "deep-gray.tif", "deep.pgm", "small-numbers.tif"}  # it shows values above 255 as white
REFUSED_BY_OPENCV = {"small-numbers.tif"}
DAMAGED = {"random-middle.jpg", "gap.jpg"}
ACCEPTED = {
    name: data
    for kind in ("sound", "odd")
    for name, (data, codes) in FILES[kind].items()
    if name not in DAMAGED and not codes & {"extension-missing"}
}
TURNS = {2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: np.swapaxes(a, 0, 1), 6: lambda a: np.rot90(a, -1)}
TURNS |= {7: lambda a: np.rot90(np.swapaxes(a, 0, 1), 2), 8: np.rot90}


def over_white(pixels: np.ndarray) -> np.ndarray:
    """RGBA (H, W, 4) as RGB, by the textbook's formula."""
    part = pixels[:, :, 3:] / 255
    return (pixels[:, :, :3] * part + 255 * (1 - part)).round().astype(np.uint8)


def pillow(data: bytes) -> np.ndarray:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return over_white(np.array(image.convert("RGBA")))


def opencv(data: bytes) -> np.ndarray:
    flag = cv2.IMREAD_UNCHANGED if Image.open(io.BytesIO(data)).has_transparency_data else cv2.IMREAD_COLOR
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    if pixels.ndim == 3 and pixels.shape[2] == 4:
        return over_white(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA))
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)


def tensorflow(data: bytes) -> np.ndarray:
    import tensorflow as tf

    image = Image.open(io.BytesIO(data))
    is_clear = image.format == "PNG" and image.has_transparency_data
    pixels = tf.io.decode_image(data, channels=4 if is_clear else 3, expand_animations=False).numpy()
    turn: Any = TURNS.get(image.getexif().get(0x0112, 1), np.asarray)
    return turn(over_white(pixels) if is_clear else pixels)


def furthest(ours: np.ndarray, theirs: np.ndarray) -> int:
    assert ours.shape == theirs.shape
    return int(np.abs(ours.astype(int) - theirs).max())


@pytest.mark.parametrize("name", sorted(ACCEPTED), ids=repr)
def test_pillow_and_opencv_agree(name: str) -> None:
    data = ACCEPTED[name]
    ours, tolerance = decode(data), 1 if "print" in name or "glass" in name else 0
    if name not in CLIPPED_BY_PILLOW:
        assert furthest(ours, pillow(data)) <= tolerance
    if name not in REFUSED_BY_OPENCV:
        assert furthest(ours, opencv(data)) <= tolerance


@pytest.mark.slow
@pytest.mark.ci
def test_tensorflow_agrees() -> None:
    compared = 0
    for name, data in ACCEPTED.items():
        kind = Image.open(io.BytesIO(data)).format
        if (kind in TENSORFLOW_READS or kind == "MPO") and name not in REFUSED_BY_TENSORFLOW and name != "glass.gif":
            assert furthest(decode(data), tensorflow(data)) <= (4 if kind in ("JPEG", "MPO") else 1), name
            compared += 1
    assert compared >= 40


@pytest.mark.parametrize("quality", [5, 50, 95])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("size", [(1, 1), (7, 9), (16, 16), (33, 50), (129, 64)])
def test_the_quick_way_gives_pillows_pixels(quality: int, subsampling: int, progressive: bool, mode: str, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(quality).integers(0, 256, (*size, 3)).astype(np.uint8)
    image = Image.fromarray(noise).convert(mode)
    for data in (
        encode(image, "JPEG", quality=quality, subsampling=subsampling, progressive=progressive),
        encode(image, "JPEG", quality=quality, keep_rgb=True) if mode == "RGB" else encode(image),
    ):
        np.testing.assert_array_equal(decode(data), np.array(Image.open(io.BytesIO(data)).convert("RGB")))


HEARD_ONLY = {"random-middle.jpg", "zeroed-middle.jpg", "no-tables.jpg"}  # by what the decoder says on the standard error


@pytest.mark.parametrize("name", sorted(FILES["undecodable"].keys() - HEARD_ONLY), ids=repr)
def test_what_is_not_accepted_is_refused_by_the_decoder_itself(name: str) -> None:
    with pytest.raises(DecodeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decode(FILES["undecodable"][name][0])
