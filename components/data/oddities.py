"""What is odd about an image file that can be decoded, and what a file that cannot be decoded really is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from components.data.decode import DecodeError, rgb, strips
from components.data.structure import HEAD, SUFFIXES, broken_checksum, end, is_decoded, signature

EXTREME_ASPECT = 20  # of the longer side to the shorter
_ALL_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
# What libjpeg says when data are wrong but something can be shown in their place.
_DAMAGE = ("premature end", "bad huffman", "bad arithmetic", "instead of rst")
_BITS = 258  # TIFF tag
Oddity = tuple[str, str, dict[str, Any]]


def oddities(path: Path, data: bytes, image: Image.Image, gray: np.ndarray, turned: int, heard: str) -> Iterator[Oddity]:
    """Codes of what is odd about a decoded file, what was found in words, and the values of the codes' texts.

    `gray` is its luma (H, W), `turned` its EXIF orientation, `heard` what the decoder complained of.
    """
    name = image.format or ""
    yield from _bytes(data, name, heard)
    suffix = path.suffix.lower()
    if suffix in _ALL_SUFFIXES and suffix not in SUFFIXES[name]:
        yield "extension-wrong", f"is {name}, but named {path.suffix}", {"suffix": SUFFIXES[name][0]}
    yield from _mode(data, image)
    if turned != 1:
        yield "exif-rotated", f"is stored turned or mirrored (EXIF orientation {turned})", {}
    sides = sorted(gray.shape)
    if sides[0] == 1:
        yield "one-pixel", f"is {gray.shape[1]} x {gray.shape[0]} pixels", {}
    elif sides[1] > EXTREME_ASPECT * sides[0]:
        yield "extreme-aspect", f"is {gray.shape[1]} x {gray.shape[0]} pixels", {"limit": EXTREME_ASPECT}
    if gray.size > 1 and _is_constant(data, image, gray):
        yield "constant-image", "shows one colour only", {}


def explained(error: DecodeError, data: bytes) -> DecodeError:
    """The error, or a more telling one: a file that is no decodable image is often a known something else."""
    if error.code != "not-an-image":
        return error
    name = signature(data[:HEAD])
    if name is None:
        begin = data[:40].decode("ascii", errors="replace")
        return DecodeError(error.code, f"is text that begins {begin!r}") if begin.isprintable() else error
    if is_decoded(name):
        return DecodeError("damaged", f"begins as {name}, but its header makes no sense")
    return DecodeError("unsupported-format", f"is {name}", name=name)


def _bytes(data: bytes, name: str, heard: str) -> Iterator[Oddity]:
    if name in ("JPEG", "MPO") and heard:
        damaged = any(words in heard.lower() for words in _DAMAGE)
        yield "damaged" if damaged else "jpeg-irregular", f"makes its decoder complain ({heard.splitlines()[0].strip()})", {}
    if name == "PNG" and (broken := broken_checksum(data)) is not None:
        yield "damaged", broken, {}
    stop = end(data, name)
    if stop is not None and stop < len(data):
        yield "trailing-data", f"goes on for {len(data) - stop:,} bytes after the image", {}


def _mode(data: bytes, image: Image.Image) -> Iterator[Oddity]:
    if image.mode == "CMYK":
        yield "cmyk", "has CMYK pixels", {}
    if image.mode.startswith("I") or (image.format == "PNG" and data[24] == 16) or _tiff_bits(image) > 8:
        yield "sixteen-bit", "has more than 8 bits a channel", {}
    if image.has_transparency_data and any(_is_transparent(strip) for _, strip in strips(image)):
        yield "transparent", "has transparent pixels", {}


def _tiff_bits(image: Image.Image) -> int:
    return max(image.tag_v2.get(_BITS, (8,)), default=8) if image.format == "TIFF" else 8  # type: ignore[attr-defined]


def _is_transparent(image: Image.Image) -> bool:
    return image.convert("RGBA").getchannel("A").getextrema()[0] != 255


def _is_constant(data: bytes, image: Image.Image, gray: np.ndarray) -> bool:
    if gray[0, 0] != gray[-1, -1] or gray.min() != gray.max():
        return False
    colors = rgb(data, image)  # the luma of different colours may be the same
    return bool((colors == colors[0, 0]).all())
