"""The one image decoder and the two ways an image is brought to a model's size.

Training, validation and serving all read pixels here, so an image means the same everywhere: upright, RGB uint8.
"""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

# Each registers its format with Pillow; otherwise the first unknown file would load all of Pillow's forty.
from PIL import AvifImagePlugin, BmpImagePlugin, GifImagePlugin, Image, JpegImagePlugin, PngImagePlugin  # noqa: F401
from PIL import PpmImagePlugin, TiffImagePlugin, UnidentifiedImageError, WebPImagePlugin  # noqa: F401

from components.data.structure import png_fault
from components.errors import DataError

FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "GIF", "TIFF", "PPM", "AVIF")  # MPO is opened as JPEG
PIXEL_LIMIT = 89_000_000
BYTE_LIMIT = 256 * 1024 * 1024
PADDING = 114
_ORIENTATION = 0x0112
_STRIP = 4_000_000  # pixels converted at a time, so that a large image does not need several copies of itself
_REFUSED = {"F": "floating-point pixels", "LAB": "L*a*b* pixels"}  # every library shows them in its own way
_CUT_OFF = ("truncated", "not enough image data", "unexpected end of file")


class DecodeError(DataError):
    """Bytes that are no usable image: `code` is one of `components.data.codes.files`, `found` what is wrong in words."""

    def __init__(self, code: str, found: str, **values: Any) -> None:
        """`values` complete the texts that the code has for what was expected and for the remedy."""
        super().__init__(found)
        self.code = code
        self.found = found
        self.values = values


def decode(data: bytes) -> np.ndarray:
    """Decode an image file to upright RGB uint8 (H, W, 3).

    EXIF orientation is applied; gray, palette, CMYK and 16-bit images are converted, transparency is laid over
    white; colour profiles are ignored. Raises DecodeError for what is truncated, damaged, not an image of FORMATS,
    of several frames or larger than PIXEL_LIMIT pixels.
    """
    image = open_image(data)
    turned = orientation(image)
    return upright(rgb(data, image), image, turned)


def read_image(path: Path) -> np.ndarray:
    """`decode` of a file; a DecodeError names the file."""
    try:
        return decode(path.read_bytes())
    except DecodeError as error:
        raise DecodeError(error.code, f"{path} {error.found}", **error.values) from error
    except OSError as error:
        raise DecodeError("unreadable", f"{path} cannot be read ({error.strerror})") from error


def open_image(data: bytes) -> Image.Image:
    """The file's header as Pillow reads it; no pixel is decoded.

    Raises DecodeError for what is empty, of no known format, of several frames, or too large.
    """
    if not data:
        raise DecodeError("empty", "is an empty file")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        # Phone cameras store a still photograph with an embedded preview as MPO: only its first frame is meant.
        several = image.format != "MPO" and getattr(image, "is_animated", False)
    except Image.DecompressionBombError as error:
        raise DecodeError("too-many-pixels", f"is too large ({error})", limit=PIXEL_LIMIT) from error
    except UnidentifiedImageError as error:
        raise DecodeError("not-an-image", "is not an image of a known format") from error
    except MemoryError:
        raise
    except Exception as error:  # whatever a parser of foreign bytes may come up with
        raise _unusable(error) from error
    if image.width * image.height > PIXEL_LIMIT:
        raise DecodeError("too-many-pixels", f"has {image.width} x {image.height} pixels", limit=PIXEL_LIMIT)
    if several:
        code, found = ("multi-page", "holds several pages") if image.format == "TIFF" else ("animated", "holds several frames")
        raise DecodeError(code, found)
    return image


def rgb(data: bytes, image: Image.Image) -> np.ndarray:
    """The pixels of an opened file as RGB uint8 (H, W, 3), not yet upright. Raises DecodeError."""
    quick = _quick(data, image, cv2.IMREAD_COLOR_RGB)
    if quick is not None:
        return quick
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _checked_strips(data, image):
        pixels[top : top + strip.height] = _rgb(strip)
    return pixels


def luma(data: bytes, image: Image.Image) -> np.ndarray:
    """The luma of an opened file, uint8 (H, W), not yet upright: a JPEG's own, else 0.299 R + 0.587 G + 0.114 B.

    Everything is decoded that `rgb` decodes, except that a JPEG's colours are not computed. Raises DecodeError.
    """
    own = image.mode == "L" or image.format in ("JPEG", "MPO")
    quick = _quick(data, image, cv2.IMREAD_GRAYSCALE if own else cv2.IMREAD_COLOR_RGB)
    if quick is not None:
        return quick if own else cv2.cvtColor(quick, cv2.COLOR_RGB2GRAY)
    gray = np.empty((image.height, image.width), np.uint8)
    for top, strip in _checked_strips(data, image):
        gray[top : top + strip.height] = cv2.cvtColor(_rgb(strip), cv2.COLOR_RGB2GRAY)
    return gray


def strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The first row and the picture of one strip of a file after the other, none of more than a few million pixels.

    Raises DecodeError.
    """
    try:
        image.load()
        rows = max(1, _STRIP // image.width)
        for top in range(0, image.height, rows):
            yield top, image if rows >= image.height else image.crop((0, top, image.width, min(top + rows, image.height)))
    except (MemoryError, DecodeError):
        raise
    except Exception as error:  # whatever a parser of foreign bytes may come up with
        raise _unusable(error) from error


def upright(pixels: np.ndarray, image: Image.Image, turned: int) -> np.ndarray:
    """Pixels (H, W) or (H, W, 3) of a file, turned as its EXIF orientation (read before its pixels) says."""
    turn = None if image.format == "TIFF" else _TURNS.get(turned)  # Pillow turns TIFF files as it loads them
    return pixels if turn is None else turn(pixels)


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 when there is none or it makes no sense. XMP is not asked: no other decoder does."""
    try:
        if image.format == "TIFF":
            value = int(image.tag_v2.get(_ORIENTATION, 1))  # type: ignore[attr-defined]
        elif "exif" in image.info:
            exif = Image.Exif()
            exif.load(image.info["exif"])
            value = int(exif.get(_ORIENTATION, 1))
        else:
            return 1
    except Exception:  # whatever a parser of foreign bytes may come up with
        return 1
    return value if 1 <= value <= 8 else 1


def read_size(path: Path) -> tuple[int, int]:
    """Upright (width, height) in pixels from the file's header alone. Raises DecodeError when there is none."""
    try:
        with path.open("rb") as file, Image.open(file, formats=FORMATS) as image:
            swapped = image.format != "TIFF" and orientation(image) >= 5
            return (image.height, image.width) if swapped else (image.width, image.height)
    except Exception as error:  # whatever a parser of foreign bytes may come up with
        raise DecodeError("not-an-image", f"{path} has no image size that could be read ({error})") from error


def letterbox(image: np.ndarray, size: int) -> tuple[np.ndarray, float, tuple[int, int]]:
    """Fit an image (H, W, 3) uint8 into a square (size, size, 3), centred on gray, its aspect kept.

    Returns the square, the scale and the (left, top) padding: a point x of the image lies at x * scale + left.
    """
    height, width = image.shape[:2]
    scale = size / max(height, width)
    resized = _resize(image, max(1, round(width * scale)), max(1, round(height * scale)))
    left, top = (size - resized.shape[1]) // 2, (size - resized.shape[0]) // 2
    square = np.full((size, size, 3), PADDING, np.uint8)
    square[top : top + resized.shape[0], left : left + resized.shape[1]] = resized
    return square, scale, (left, top)


def resize_crop(image: np.ndarray, size: int) -> np.ndarray:
    """Resize so that the shorter side is `size`, then cut the centre: (size, size, 3) uint8."""
    height, width = image.shape[:2]
    scale = size / min(height, width)
    resized = _resize(image, max(size, round(width * scale)), max(size, round(height * scale)))
    left, top = (resized.shape[1] - size) // 2, (resized.shape[0] - size) // 2
    return np.ascontiguousarray(resized[top : top + size, left : left + size])


def _quick(data: bytes, image: Image.Image, flag: int) -> np.ndarray | None:
    """What OpenCV makes of plain 8-bit JPEG and PNG, whose pixels it decodes to Pillow's in half the time; else None.

    None also for damaged data, of which Pillow then says what is wrong.
    """
    if image.mode not in ("RGB", "L") or not (image.format in ("JPEG", "MPO") or _is_plain_png(data, image)):
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flag | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        return None
    return pixels if pixels is not None and pixels.shape[:2] == (image.height, image.width) else None


def _is_plain_png(data: bytes, image: Image.Image) -> bool:
    return image.format == "PNG" and data[24] == 8 and "transparency" not in image.info  # byte 24: bits a channel


def _checked_strips(data: bytes, image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    fault = png_fault(data) if image.format == "PNG" else None
    if fault is not None:
        raise DecodeError(*fault)
    return strips(image)


def _rgb(image: Image.Image) -> np.ndarray:
    try:
        if image.mode in _REFUSED:
            raise DecodeError("unsupported-mode", f"holds {_REFUSED[image.mode]}")
        if image.mode == "I" or image.mode.startswith("I;16"):
            return _from_16_bit(np.asarray(image))
        if image.has_transparency_data:
            image = image.convert("RGBA")
            if image.getchannel("A").getextrema() != (255, 255):
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        return np.asarray(image.convert("RGB"))
    except ValueError as error:
        raise DecodeError("unsupported-mode", f"holds pixels of the mode {image.mode}") from error


def _from_16_bit(gray: np.ndarray) -> np.ndarray:
    if gray.dtype == np.int32 and (gray.min() < 0 or gray.max() > 65535):
        raise DecodeError("unsupported-mode", "holds 32-bit pixels")
    return np.repeat((gray / 257).round().astype(np.uint8)[:, :, None], 3, axis=2)


def _unusable(error: Exception) -> DecodeError:
    if isinstance(error, EOFError) or any(words in str(error).lower() for words in _CUT_OFF):
        return DecodeError("truncated", "ends before the image does")
    return DecodeError("damaged", f"cannot be decoded ({error})")


_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda pixels: cv2.flip(pixels, 1),
    3: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_180),
    4: lambda pixels: cv2.flip(pixels, 0),
    5: cv2.transpose,
    6: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: lambda pixels: cv2.rotate(pixels, cv2.ROTATE_90_COUNTERCLOCKWISE),
}


def _resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    shrinks = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
