"""The one image decoder and the two ways an image is brought to a model's size.

Training, validation and serving all read pixels here, so an image means the same everywhere: upright, RGB uint8.
"""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from components.errors import DataError

PIXEL_LIMIT = 89_000_000
BYTE_LIMIT = 256 * 1024 * 1024
PADDING = 114
_ORIENTATION = 0x0112
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, struct.error, zlib.error)


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
    white. Raises DecodeError for what is truncated, not an image, animated or larger than PIXEL_LIMIT pixels.
    """
    return upright_rgb(load(data))


def read_image(path: Path) -> np.ndarray:
    """`decode` of a file; a DecodeError names the file."""
    try:
        return decode(path.read_bytes())
    except DecodeError as error:
        raise DecodeError(error.code, f"{path} {error.found}", **error.values) from error
    except OSError as error:
        raise DecodeError("unreadable", f"{path} cannot be read ({error.strerror})") from error


def load(data: bytes) -> Image.Image:
    """Open and fully decode an image file as Pillow stores it, neither rotated nor converted.

    Raises DecodeError as `decode` does.
    """
    image = _open(data)
    try:
        # Phone cameras store a still photograph with an embedded preview as MPO: only its first frame is meant.
        frames = getattr(image, "n_frames", 1)
        if image.format != "MPO" and frames > 1:
            raise DecodeError("animated", f"holds {frames} frames")
        image.load()
    except _BROKEN as error:
        raise DecodeError("truncated", f"is truncated or damaged ({error})") from error
    return image


def read_size(path: Path) -> tuple[int, int]:
    """Upright (width, height) in pixels from the file's header alone. Raises DecodeError when there is none."""
    try:
        with path.open("rb") as file, Image.open(file) as image:
            swapped = orientation(image) >= 5
            return (image.height, image.width) if swapped else (image.width, image.height)
    except (Image.DecompressionBombError, *_BROKEN) as error:
        raise DecodeError("not-an-image", f"{path} has no image size that could be read ({error})") from error


def orientation(image: Image.Image) -> int:
    """The EXIF orientation 1..8; 1 when there is none or it makes no sense."""
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except (TypeError, *_BROKEN):
        return 1
    return value if 1 <= value <= 8 else 1


def upright_rgb(image: Image.Image) -> np.ndarray:
    """A loaded Pillow image as upright RGB uint8 (H, W, 3). Raises DecodeError for floating-point images."""
    if orientation(image) != 1:
        image = ImageOps.exif_transpose(image)
    if image.mode == "RGB" and "transparency" not in image.info:
        return np.array(image)
    if image.mode == "F":
        raise DecodeError("unsupported-mode", "holds floating-point pixels")
    if image.mode == "I" or image.mode.startswith("I;16"):
        return _from_16_bit(np.array(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.array(image.convert("RGB"))


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


def _open(data: bytes) -> Image.Image:
    if not data:
        raise DecodeError("empty", "is an empty file")
    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise DecodeError("too-many-pixels", f"is too large ({error})", limit=PIXEL_LIMIT) from error
    except UnidentifiedImageError as error:
        raise DecodeError("not-an-image", "is not an image of a known format") from error
    except _BROKEN as error:
        raise DecodeError("truncated", f"is truncated or damaged ({error})") from error
    if image.width * image.height > PIXEL_LIMIT:
        raise DecodeError("too-many-pixels", f"has {image.width} x {image.height} pixels", limit=PIXEL_LIMIT)
    return image


def _from_16_bit(pixels: np.ndarray) -> np.ndarray:
    gray = np.clip(pixels.astype(np.int64), 0, 65535)
    return np.repeat((gray / 257).round().astype(np.uint8)[:, :, None], 3, axis=2)


def _resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    if (width, height) == (image.shape[1], image.shape[0]):
        return image
    shrinks = width * height < image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
