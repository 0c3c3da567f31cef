"""What is odd about an image file that can be decoded, and what a file that cannot be decoded really is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from components.data.decode import DecodeError, strips
from components.data.structure import HEAD, SUFFIXES, end, is_decoded, signature

EXTREME_ASPECT = 20  # of the longer side to the shorter
_ALL_SUFFIXES = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
# What libjpeg says when data are wrong but something can be shown in their place.
_DAMAGE = ("premature end", "bad huffman", "bad arithmetic", "instead of rst")
_BITS = 258  # TIFF tag
Oddity = tuple[str, str, dict[str, Any]]


def oddities(
    path: Path, data: bytes, image: Image.Image, shape: tuple[int, ...], turned: int, heard: str, *, constant: bool
) -> Iterator[Oddity]:
    """Codes of what is odd about a decoded file, what was found in words, and the values of the codes' texts.

    `shape` is (H, W) as stored, `turned` the EXIF orientation, `heard` what the decoder complained of, `constant`
    whether the luma is.
    """
    name = image.format or ""
    yield from _bytes(data, name, heard)
    suffix = os.path.splitext(path)[1].lower()
    if suffix in _ALL_SUFFIXES and suffix not in SUFFIXES[name]:
        yield "extension-wrong", f"is {name}, but named {suffix}", {"suffix": SUFFIXES[name][0]}
    yield from _mode(data, image)
    if turned != 1:
        yield "exif-rotated", f"is stored turned or mirrored (EXIF orientation {turned})", {}
    short, long = min(shape), max(shape)
    if short == 1:
        yield "one-pixel", f"is {shape[1]} x {shape[0]} pixels", {}
    elif long > EXTREME_ASPECT * short:
        yield "extreme-aspect", f"is {shape[1]} x {shape[0]} pixels", {"limit": EXTREME_ASPECT}
    if constant and long > 1 and _is_constant(image):
        yield "constant-image", "shows one colour only", {}


def explained(error: DecodeError, data: bytes) -> DecodeError:
    """The error, or a more telling one: a file that is no decodable image is often a known something else, or only its beginning."""
    name = signature(data[:HEAD])
    if name is not None and is_decoded(name):
        stop = end(data, name)
        if stop is not None and stop > len(data) and error.code in ("damaged", "not-an-image"):
            return DecodeError("truncated", f"is {stop - len(data):,} bytes shorter than it says")
        return DecodeError("damaged", f"begins as {name}, but cannot be read as such") if error.code == "not-an-image" else error
    if error.code != "not-an-image":
        return error
    if name is not None:
        return DecodeError("unsupported-format", f"is {name}")
    begin = data[:40].decode("ascii", errors="replace").strip()
    return DecodeError(error.code, f"is text that begins {begin!r}") if begin.replace("\n", " ").isprintable() else error


def _bytes(data: bytes, name: str, heard: str) -> Iterator[Oddity]:
    said = next((line.strip() for line in heard.splitlines() if "JPEG" in line), "") if name in ("JPEG", "MPO") else ""
    if said:
        damaged = any(words in said.lower() for words in _DAMAGE)
        yield "damaged" if damaged else "irregular", f"makes its decoder complain ({said})", {}
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
    opaque = image if image.mode in ("RGBA", "LA", "PA") else image.convert("RGBA")
    return opaque.getchannel("A").getextrema()[0] != 255


def _is_constant(image: Image.Image) -> bool:
    """Whether a file whose luma is constant is so in all its channels: the luma of different colours may be the same."""
    if image.mode == "L":
        return True
    next(strips(image))  # loads it, or says what is wrong with it
    extremes = image.getextrema()
    return all(low == high for low, high in (extremes if isinstance(extremes[0], tuple) else (extremes,)))
