import io
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.data import decode as d

RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tiff", ".ppm"])
def test_lossless_files_of_another_encoder_come_back_exactly(suffix: str) -> None:
    done, data = cv2.imencode(suffix, cv2.cvtColor(PICTURE, cv2.COLOR_RGB2BGR))
    assert done
    np.testing.assert_array_equal(d.decode(data.tobytes()), PICTURE)


def test_exif_orientation_is_applied_as_opencv_applies_it() -> None:
    smooth = cv2.GaussianBlur(PICTURE, (0, 0), 4)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded(Image.fromarray(smooth), "JPEG", quality=100, subsampling=0, exif=exif.tobytes())
        theirs = cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
        ours = d.decode(data)
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(int) - theirs).max() <= 3


def test_gray_and_palette_are_repeated_or_looked_up() -> None:
    gray = Image.fromarray(PICTURE[:, :, 0])
    np.testing.assert_array_equal(d.decode(encoded(gray)), np.repeat(PICTURE[:, :, :1], 3, axis=2))
    palette = Image.fromarray(PICTURE // 200 * 200).quantize(8)
    np.testing.assert_array_equal(d.decode(encoded(palette)), np.array(palette.convert("RGB")))


def test_transparency_is_laid_over_white() -> None:
    rgba = np.zeros((2, 1, 4), np.uint8)
    rgba[0, 0] = (200, 0, 0, 255)
    rgba[1, 0] = (0, 0, 0, 0)
    np.testing.assert_array_equal(d.decode(encoded(Image.fromarray(rgba)))[:, 0], [(200, 0, 0), (255, 255, 255)])


def test_16_bit_gray_keeps_its_range() -> None:
    pixels = np.array([[0, 257, 32896, 65535]], np.uint16)
    done, data = cv2.imencode(".png", pixels)
    assert done
    np.testing.assert_array_equal(d.decode(data.tobytes())[0, :, 1], [0, 1, 128, 255])


def test_cmyk_white_is_white() -> None:
    white = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    assert d.decode(encoded(white, "JPEG", quality=95)).min() >= 250


def bomb() -> bytes:
    """A PNG whose header claims 60,000 x 60,000 pixels."""
    data = bytearray(encoded(Image.new("L", (1, 1))))
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"<html>not found</html>", "not-an-image"),
        (encoded(Image.fromarray(PICTURE), "JPEG")[:-200], "truncated"),
        (encoded(Image.fromarray(PICTURE), "PNG")[:-700], "truncated"),
        (encoded(Image.new("L", (4, 4)), "GIF", save_all=True, append_images=[Image.new("L", (4, 4), 9)]), "animated"),
        (encoded(Image.new("RGB", (4, 4)), "WEBP", save_all=True, append_images=[Image.new("RGB", (4, 4), "red")]), "animated"),
        (bomb(), "too-many-pixels"),
        (encoded(Image.fromarray(PICTURE[:, :, 0].astype(np.float32)), "TIFF"), "unsupported-mode"),
    ],
    ids=["nothing", "page", "jpeg", "png", "gif", "webp", "bomb", "float"],
)
def test_unusable_bytes_are_named(data: bytes, code: str) -> None:
    with pytest.raises(d.DecodeError) as caught:
        d.decode(data)
    assert caught.value.code == code


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_damaged_bytes_raise_nothing_but_decode_error(place: int, junk: bytes) -> None:
    data = bytearray(encoded(Image.fromarray(PICTURE), "JPEG"))
    data[place : place + len(junk)] = junk
    try:
        assert d.decode(bytes(data)).shape[2] == 3
    except d.DecodeError as error:
        assert error.code


def test_letterbox_maps_points_by_scale_and_padding() -> None:
    image = np.zeros((50, 100, 3), np.uint8)
    image[20:30, 60:80] = 255
    square, scale, (left, top) = d.letterbox(image, 64)
    assert (square.shape, scale, left, top) == ((64, 64, 3), 0.64, 0, 16)
    ys, xs = np.nonzero(square[16:48, :, 0] > 127)
    assert abs(xs.min() - 60 * scale) <= 1 and abs(xs.max() + 1 - 80 * scale) <= 1
    assert abs(ys.min() - 20 * scale) <= 1 and abs(ys.max() + 1 - 30 * scale) <= 1
    assert set(np.unique(square[:16])) == {d.PADDING}


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 90), st.integers(1, 90), st.integers(1, 64))
def test_both_resizes_give_the_size_asked_for(height: int, width: int, size: int) -> None:
    image = np.full((height, width, 3), 7, np.uint8)
    assert d.letterbox(image, size)[0].shape == (size, size, 3)
    cropped = d.resize_crop(image, size)
    assert cropped.shape == (size, size, 3) and set(np.unique(cropped)) == {7}


def test_resize_crop_takes_the_centre() -> None:
    image = np.zeros((10, 30, 3), np.uint8)
    image[:, 10:20] = 200
    assert d.resize_crop(image, 10).min() == 200
