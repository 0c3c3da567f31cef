"""Decode every image once into a memory-mapped uint8 array that all trainings of the same input size share."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from components.data.decode import decode
from components.errors import DataError, ResourceError

Pixels = NDArray[np.uint8]
Resize = Callable[[Pixels, int], Pixels]
FORMAT = 1  # raised when the same images would be cached as other pixels


def cached_pixels(
    image_ids: list[str], paths: list[Path], size: int, resize: Resize, folder: Path, progress: Callable[[int], None]
) -> Pixels:
    """Read-only memory map (N, size, size, 3) uint8 of the images in the given order.

    Built on first use, kept under the hash of what it holds. Every file must still have the SHA-256 it was
    validated with. Raises DataError when one has changed or vanished, ResourceError when the disk is full.
    """
    what = f"{FORMAT} {size} {resize.__name__} {' '.join(image_ids)}"
    place = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.npy"
    if not place.is_file():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _refuse_full_disk(folder, len(image_ids) * size * size * 3)
        partial = place.with_name(f"{place.stem}.{os.getpid()}.{threading.get_ident()}.partial")
        try:
            _fill(partial, list(zip(image_ids, paths, strict=True)), size, resize, progress)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
    pixels: Pixels = np.load(place, mmap_mode="r")
    return pixels


def _fill(place: Path, images: list[tuple[str, Path]], size: int, resize: Resize, progress: Callable[[int], None]) -> None:
    pixels = open_memmap(place, "w+", np.uint8, (len(images), size, size, 3))

    def one(index: int) -> int:
        pixels[index] = resize(decode(verified(*images[index])), size)
        return index

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        done: Iterable[int] = pool.map(one, range(len(images)))
        for count, _ in enumerate(done, start=1):
            progress(count)
    pixels.flush()


def verified(image_id: str, path: Path) -> bytes:
    """The file's bytes. Raises DataError when they are not those that were validated."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} could not be read ({error.strerror}): restore it (`dvc checkout data.dvc`) or validate again") from None
    if hashlib.sha256(data).hexdigest() != image_id:
        raise DataError(f"{path} is not the file that was validated: run `visionloop run` (or `dvc repro`) to validate the data again")
    return data


def _refuse_full_disk(folder: Path, needed: int) -> None:
    left = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    if left < needed * 1.1:
        found = f"{needed / 1e6:,.0f} MB in {folder}, {left / 1e6:,.0f} MB are free"
        raise ResourceError(f"decoding needs {found}: free some space, or lower image_size")
