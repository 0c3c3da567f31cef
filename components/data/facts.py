"""What can be measured on each image file by really decoding it, many at a time in worker processes."""

import hashlib
import multiprocessing
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from components.data.decode import BYTE_LIMIT, DecodeError, load, orientation, upright_rgb

_CHUNK = 32
THUMBNAIL = 32  # pixels a side
Facts = dict[str, Any]


def measure(path: Path) -> Facts:
    """One image file's columns of the `images` table, from `image_id` to `problems`, with `findings` and a `thumbnail`.

    `findings` are pairs of a code and what was found, in words, with the values its texts need. A file that cannot be
    decoded is answered with status quarantined and its problem's code instead of an exception; what could still be
    measured (hash, bytes) is there. `thumbnail` is the upright image's luma, 32 x 32 pixels of one byte, or None.
    """
    facts: Facts = {"image_id": None, "bytes": None, "status": "ok", "problems": [], "findings": [], "thumbnail": None}
    try:
        facts["bytes"] = path.stat().st_size
        if path.stat().st_size > BYTE_LIMIT:
            raise DecodeError("too-many-bytes", f"has {facts['bytes'] >> 20} MiB", limit=BYTE_LIMIT >> 20)
        data = path.read_bytes()
        facts["image_id"] = hashlib.sha256(data).hexdigest()
        return facts | _look(data)
    except DecodeError as error:
        return facts | _broken(error.code, error.found, error.values)
    except OSError as error:
        return facts | _broken("unreadable", f"cannot be read ({error.strerror})", {})


def measure_all(paths: Sequence[Path], workers: int, progress: Callable[[int], None] = lambda _: None) -> list[Facts]:
    """`measure` of every path, in their order, by `workers` processes (1: in this process).

    `progress` is told the number of newly finished files. A file that kills its process (a decoder's crash) is
    quarantined as `decoder-crashed`; the others are still measured.
    """
    chunks = [list(paths[start : start + _CHUNK]) for start in range(0, len(paths), _CHUNK)]
    results: dict[int, list[Facts]] = {}
    for index, measured in _serial(chunks) if workers <= 1 else _parallel(chunks, workers):
        results[index] = measured
        progress(len(measured))
    return [facts for index in range(len(chunks)) for facts in results[index]]


def perceptual_hash(gray: np.ndarray) -> str:
    """64-bit DCT hash of a uint8 (H, W) image, 16 hexadecimal digits: low frequencies against their median.

    After C. Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010): similar pictures
    differ in few bits.
    """
    small = cv2.resize(gray, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def _look(data: bytes) -> Facts:
    stored = load(data)
    image = upright_rgb(stored)
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean, deviation = cv2.meanStdDev(gray)
    return {
        "width": image.shape[1],
        "height": image.shape[0],
        "channels": len(stored.getbands()),
        "format": stored.format,
        "orientation": orientation(stored),
        "phash": perceptual_hash(gray),
        "thumbnail": cv2.resize(gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).tobytes(),
        "brightness": float(mean.item()) / 255,
        "contrast": float(deviation.item()) / 255,
        "sharpness": float(cv2.meanStdDev(cv2.Laplacian(gray, cv2.CV_32F))[1].item() ** 2),
    }


def _broken(code: str, found: str, values: dict[str, object]) -> Facts:
    return {"status": "quarantined", "problems": [code], "findings": [(code, found, values)]}


def _measure_chunk(paths: list[Path]) -> list[Facts]:
    cv2.setNumThreads(1)  # the processes are the parallelism
    return [measure(path) for path in paths]


def _serial(chunks: list[list[Path]]) -> Iterable[tuple[int, list[Facts]]]:
    for index, chunk in enumerate(chunks):
        yield index, [measure(path) for path in chunk]


def _parallel(chunks: list[list[Path]], workers: int) -> Iterable[tuple[int, list[Facts]]]:
    lost = []
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        futures = {pool.submit(_measure_chunk, chunk): index for index, chunk in enumerate(chunks)}
        for future in as_completed(futures):
            try:
                yield futures[future], future.result()
            except BrokenProcessPool:
                lost.append(futures[future])
    for index in lost:
        yield index, _isolated(chunks[index])


def _isolated(chunk: list[Path]) -> list[Facts]:
    """Measure after a crash: halve the chunk until the file that crashes stands alone."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        try:
            return pool.submit(_measure_chunk, chunk).result()
        except BrokenProcessPool:
            pass
    if len(chunk) > 1:
        middle = len(chunk) // 2
        return _isolated(chunk[:middle]) + _isolated(chunk[middle:])
    return [{"image_id": None, "bytes": None} | _broken("decoder-crashed", "crashed the decoder", {})]
