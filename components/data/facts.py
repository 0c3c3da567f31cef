"""What can be measured on each image file by really decoding it, in processes that no file can take down."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from components.data.decode import BYTE_LIMIT, DecodeError, luma, open_image, orientation, upright
from components.data.exif import capture
from components.data.findings import BAD, CODES
from components.data.oddities import explained, oddities
from components.data.workers import Failure, Guard, work

THUMBNAIL = 32  # pixels a side
MEASURE = "components.data.facts:measure_item"
_HEAVY = 320 << 20  # bytes that decoding and measuring take
_BAND = 4_000_000  # pixels
_SUMMED = 8_000_000  # pixels of 255 whose sum 32 bits hold
_FAILURES = {"crashed": "decoder-crashed", "too-slow": "too-slow", "out-of-memory": "out-of-memory"}
Facts = dict[str, Any]


def measure(path: Path, guard: Guard | None = None) -> Facts:
    """One image file's columns of the `images` table, from `image_id` to `problems`, and what is known beside them.

    `findings` are triples of a code, what was found in words, and the values the code's texts need; the codes of those
    for which the file must be left out stand in `problems` too, and then `status` is quarantined. `thumbnail` is the
    upright image's luma, 32 x 32 pixels of one byte, `taken` and `camera` what `exif.capture` says, each or None. A
    file that cannot be read or decoded raises nothing; what could still be measured (hash, bytes) is there.
    """
    facts: Facts = {"image_id": None, "bytes": None, "status": "ok", "problems": [], "findings": [], "thumbnail": None}
    facts |= {"taken": None, "camera": None}
    try:
        data = _read(path, facts)
        facts["image_id"] = hashlib.sha256(data).hexdigest()
        _look(path, data, facts, guard or Guard())
    except DecodeError as error:
        facts |= _broken(error.code, error.found, error.values)
    except OSError as error:
        facts |= _broken("unreadable", f"cannot be read ({error.strerror})", {})
    return facts


def measure_item(item: str, guard: Guard) -> Facts:
    """`measure` as a process of `workers.work` calls it."""
    cv2.setNumThreads(1)  # the processes are the parallelism
    return measure(Path(item), guard)


def measure_all(paths: Sequence[Path], workers: int, progress: Callable[[int], None] = lambda _: None) -> list[Facts]:
    """`measure` of every path, in their order, by `workers` processes with limits (see components.data.workers).

    `progress` is told the number of newly finished files. A file that crashes its process, or takes too much time or
    memory, is quarantined as `decoder-crashed`, `too-slow` or `out-of-memory`; the others are measured all the same.
    """
    results: list[Facts] = [{}] * len(paths)
    for index, answer in work(MEASURE, [str(path) for path in paths], workers):
        results[index] = _failed(answer) if isinstance(answer, Failure) else answer
        progress(1)
    return results


def perceptual_hash(small: np.ndarray) -> str:
    """64-bit DCT hash of a uint8 (32, 32) thumbnail, 16 hexadecimal digits: low frequencies against their median.

    After C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010): similar pictures
    differ in few bits.
    """
    low = cv2.dct(small.astype(np.float32))[:8, :8].ravel()
    middle = np.partition(low, (31, 32))[31:33]
    return np.packbits(low > (middle[0] + middle[1]) / 2).tobytes().hex()


def _read(path: Path, facts: Facts) -> bytes:
    """All bytes of a regular file, or DecodeError; opening anything else would wait for whoever writes into it."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(handle, "rb", buffering=0) as file:
        before = os.fstat(handle)
        if not stat.S_ISREG(before.st_mode):
            raise DecodeError("special-file", "is no regular file")
        facts["bytes"] = before.st_size
        if before.st_size > BYTE_LIMIT:
            raise DecodeError("too-many-bytes", f"has {before.st_size >> 20} MiB", limit=BYTE_LIMIT >> 20)
        data = file.read(before.st_size + 1)
        after = os.fstat(handle)
    if len(data) != before.st_size or after.st_mtime_ns != before.st_mtime_ns:
        raise DecodeError("changes", f"changed while it was read, from {before.st_size:,} to {after.st_size:,} bytes")
    return data


def _look(path: Path, data: bytes, facts: Facts, guard: Guard) -> None:
    try:
        image = open_image(data)
    except DecodeError as error:
        raise explained(error, data) from error
    guard.heard()  # what was said about an earlier file
    turned = orientation(image)
    taken, camera = capture(image)
    with guard.heavy() if is_heavy(image) else nullcontext():
        gray = luma(data, image)
        mean, deviation = (value.item() for value in cv2.meanStdDev(gray))
        found = list(oddities(path, data, image, gray.shape, turned, guard.heard(), constant=deviation == 0))
        detail = sharpness(gray)
        thumbnail = upright(shrink(gray), image, turned)
    swapped = turned >= 5 and image.format != "TIFF"
    problems = [code for code, _, _ in found if CODES[code].severity == BAD]
    facts |= {
        "status": "quarantined" if problems else "ok",
        "problems": problems,
        "findings": found,
        "width": gray.shape[0 if swapped else 1],
        "height": gray.shape[1 if swapped else 0],
        "channels": len(image.getbands()),
        "format": image.format,
        "orientation": turned,
        "phash": perceptual_hash(thumbnail),
        "thumbnail": thumbnail.tobytes(),
        "taken": taken,
        "camera": camera,
        "brightness": mean / 255,
        "contrast": deviation / 255,
        "sharpness": detail,
    }


def shrink(gray: np.ndarray) -> np.ndarray:
    """A uint8 (H, W) image as (32, 32), each pixel the mean of the area it covers.

    By an integral image, whose bilinear interpolation is exact for areas; large images are halved first, at the cost of
    a border pixel in a thousand and of half a step of rounding.
    """
    while min(gray.shape) >= 1024:
        height, width = (side // 2 for side in gray.shape)
        gray = cv2.resize(gray[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    if gray.shape == (THUMBNAIL, THUMBNAIL):
        return gray
    sums = cv2.integral(gray, sdepth=cv2.CV_32S if gray.size < _SUMMED else cv2.CV_64F)
    places, weights = _grid(gray.shape[0], gray.shape[1])
    corners = np.einsum("kij,kij->ij", sums.ravel()[places], weights)
    areas = corners[1:, 1:] - corners[:-1, 1:] - corners[1:, :-1] + corners[:-1, :-1]
    return (areas * (THUMBNAIL**2 / gray.size) + 0.5).astype(np.uint8)


@lru_cache(maxsize=256)
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Where a (H + 1, W + 1) integral image's values around each of 33 x 33 corners lie, flat, and their weights: both (4, 33, 33)."""
    ends = []
    for side in (height, width):
        place = np.linspace(0, side, THUMBNAIL + 1)
        below = np.minimum(place.astype(np.intp), side - 1)
        ends.append([(below, 1 - (place - below)), (below + 1, place - below)])
    pairs = [(row, column) for row in ends[0] for column in ends[1]]
    places = np.stack([row[0][:, None] * (width + 1) + column[0] for row, column in pairs])
    return places, np.stack([row[1][:, None] * column[1] for row, column in pairs])


def sharpness(gray: np.ndarray) -> float:
    """Variance of the Laplacian (4 neighbours, borders reflected) of a uint8 (H, W) luma."""
    rows = max(1, _BAND // gray.shape[1])
    total = squares = 0.0
    for top in range(0, len(gray), rows):
        above = min(top, 1)
        edges = cv2.Laplacian(gray[top - above : top + rows + 1], cv2.CV_16S)[above : above + rows]
        total += cv2.sumElems(edges)[0]
        squares += cv2.norm(edges, cv2.NORM_L2SQR)
    return squares / gray.size - (total / gray.size) ** 2


def is_heavy(image: Image.Image) -> bool:
    """Whether an opened file takes so much memory to decode and measure that one process at a time should."""
    if image.format in ("JPEG", "MPO"):
        each = 9 if "progressive" in image.info else 3  # a progressive file's coefficients are all held at once
    else:
        each = 6 if image.format == "PNG" else 14
    return image.width * image.height * each > _HEAVY


def _failed(failure: Failure) -> Facts:
    facts = {"image_id": None, "bytes": None, "thumbnail": None, "taken": None, "camera": None}
    return facts | _broken(_FAILURES[failure.reason], failure.found, {})


def _broken(code: str, found: str, values: dict[str, Any]) -> Facts:
    return {"status": "quarantined", "problems": [code], "findings": [(code, found, values)]}
