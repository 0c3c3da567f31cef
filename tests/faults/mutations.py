"""Real images spoilt at random, and what must hold of the scan whatever comes out: run many at a time in a worker."""

import random
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np

from components.data.decode import decode
from components.data.facts import measure
from components.data.findings import CODES
from components.data.structure import SUFFIXES
from components.data.workers import Guard
from tests.faults.bad_images import FILES, encode

BATCH = 50  # cases of one call
_EXTREMES = (b"\0", b"\xff", b"\x7f", b"\x80", b"\0\0", b"\xff\xff", b"\0\0\0\1", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\x80\0\0\0")


@cache
def sources() -> list[tuple[str, bytes]]:
    """Suffix and bytes: photographs that scikit-image carries, in every format and mode that is read, and odd files."""
    import skimage.data
    from PIL import Image

    photographs = [Image.fromarray(image).convert("RGB") for image in (skimage.data.astronaut(), skimage.data.coffee())]
    found = []
    for photograph in photographs:
        small = photograph.resize((120, 90))
        for kind, options in _ENCODINGS:
            found.append((SUFFIXES[kind][0], encode(small, kind, **options)))
        for mode in ("L", "P", "1", "RGBA", "LA", "CMYK"):
            kind = "TIFF" if mode == "CMYK" else "PNG"
            found.append((SUFFIXES[kind][0], encode(small.convert(mode), kind)))
        found.append((".png", encode(np.asarray(small.convert("L")).astype(np.uint16) * 257)))
    found += [(Path(name).suffix, data) for name, (data, _) in FILES["odd"].items() if len(data) < 40_000]
    return found


_ENCODINGS: list[tuple[str, dict[str, object]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True, "quality": 95}),
    ("JPEG", {"restart_marker_blocks": 3, "optimize": True}),
    ("PNG", {}),
    ("BMP", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("GIF", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("PPM", {}),
    ("AVIF", {"speed": 10}),
]


def mutated(case: int) -> tuple[str, bytes]:
    """A source's suffix and its bytes, spoilt one to four times; the same case gives the same bytes."""
    chance = random.Random(case)
    suffix, data = chance.choice(sources())
    for _ in range(chance.choice((1, 1, 2, 4))):
        data = _spoil(data, chance)
    return suffix, data


def _spoil(data: bytes, chance: random.Random) -> bytes:
    # Half the time in the header, where there is more to break.
    place = chance.randrange(min(len(data), 600) if chance.random() < 0.5 else len(data)) if data else 0
    size = chance.choice((1, 2, 4, 16, 200))
    how = chance.randrange(7)
    if how == 0:
        return data[:place] + bytes([data[place] ^ (1 << chance.randrange(8))]) + data[place + 1 :] if data else data
    if how == 1:
        return data[:place]
    if how == 2:
        return data[:place] + chance.randbytes(size) + data[place:]
    if how == 3:
        return data[:place] + data[place + size :]
    if how == 4:
        new = chance.choice(_EXTREMES)
        return data[:place] + new + data[place + len(new) :]
    if how == 5:
        _, other = chance.choice(sources())
        start = chance.randrange(len(other))
        return data[:place] + other[start : start + 10 * size] + data[place + 10 * size :]
    return data[:place] + data[place : place + size] * chance.randrange(2, 9) + data[place + size :]


def try_batch(item: str, guard: Guard) -> tuple[Counter[str], list[str]]:
    """Measure the cases "first:last"; how often each code was given, and what did not hold, in words."""
    first, last = map(int, item.split(":"))
    codes: Counter[str] = Counter()
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        for case in range(first, last):
            suffix, data = mutated(case)
            path = Path(folder, f"case{suffix}")
            path.write_bytes(data)
            facts = measure(path, guard)
            codes.update([code for code, _, _ in facts["findings"]] or ["nothing"])
            wrong += [f"case {case}: {words}" for words in _broken_promises(data, facts, guard)]
            path.unlink()
    return codes, wrong


def _broken_promises(data: bytes, facts: dict[str, object], guard: Guard) -> list[str]:
    found = facts["findings"]
    assert isinstance(found, list)
    for code, text, values in found:
        CODES[code].expected.format(**values), CODES[code].remedy.format(**values), text.encode()
    if facts["status"] != "ok":
        return [] if facts["problems"] else ["left out without a reason"]
    try:
        with guard.heavy():
            shape = decode(data).shape  # what the scan lets through, training must be able to read
    except Exception as error:
        return [f"passed the scan, and {type(error).__name__}: {error}"]
    return [] if shape == (facts["height"], facts["width"], 3) else [f"measured {facts['width']} x {facts['height']}, decodes to {shape}"]
