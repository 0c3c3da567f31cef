"""Decode every image once into a memory-mapped uint8 array that all trainings of the same input size share."""

import hashlib
import os
import zlib
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from components.data.decode import decode
from components.errors import DataError, ResourceError
from components.train.feed import prefetched
from components.train.stores import ENTRY, INDEX, PARTIAL, PIXELS, building, make_room, opened, used

Pixels = NDArray[np.uint8]
Resize = Callable[[Pixels, int], Pixels]
Known = dict[str, tuple[Pixels, int]]
Window = tuple[int, int, int, int]
AT_ONCE = 16  # images a thread decodes at a time
FORMAT = 2  # raised when the same images would be cached as other pixels, or in another way


class Part(NamedTuple):
    """A part of an image: a name of 64 letters at most, and left, top, right, bottom in pixels; None for all of it."""

    name: str
    window: Window | None

    def of(self, image: Pixels) -> Pixels:
        """The part's pixels."""
        if self.window is None:
            return image
        left, top, right, bottom = self.window
        return image[top:bottom, left:right]


def cached_pixels(
    image_ids: list[str],
    paths: list[Path],
    size: int,
    resize: Resize,
    folder: Path,
    progress: Callable[[int], None],
    parts: list[Part] | None = None,
) -> Pixels:
    """Read-only memory map (N, size, size, 3) uint8 of the images in the given order, or of `parts` of them, one each.

    Built on first use, kept under the hash of what it holds; images that another cache of that size holds are copied
    from there, and only the others are decoded. Each image has a check sum, which is looked at here: what was damaged
    is decoded again. Every file that is decoded must still have the SHA-256 it was validated with.

    Raises DataError when one has changed or vanished, ResourceError when the disk is full.
    """
    if not image_ids:
        return np.zeros((0, size, size, 3), np.uint8)
    parts = parts or [Part(image_id, None) for image_id in image_ids]
    names = [part.name for part in parts]
    kind = f"{resize.__name__}-{size}-v{FORMAT}"
    place = folder / f"{kind}-{hashlib.sha256(' '.join(names).encode()).hexdigest()[:32]}"
    found = _whole(place, names, size)
    if found is None:
        with building(place) as partial:
            if _whole(place, names, size) is None:  # another process may have built it meanwhile
                known = _known(folder, kind, size)
                _refuse_full_disk(folder, len(image_ids) * size * size * 3)
                _build(partial, list(zip(image_ids, paths, parts, strict=True)), known, (size, resize), progress)
        found = _whole(place, names, size)
    if found is None:
        raise ResourceError(f"{place} was written and reads back as something else: check the disk, or remove {folder}")
    used(place)
    return found


def _whole(place: Path, image_ids: list[str], size: int) -> Pixels | None:
    """The images at `place`, unless they are others or one of them is damaged."""
    store = opened(place, size)
    if store is None or store.index["image_id"].tolist() != [name.encode() for name in image_ids] or not store.intact().all():
        return None
    return store.pixels


def _known(folder: Path, kind: str, size: int) -> Known:
    """Pixels and check sum of every image in the caches of one kind, none of them looked at yet."""
    stores = (opened(place, size) for place in folder.glob(f"{kind}-*") if not place.name.endswith(PARTIAL))
    return {
        name.decode(): (pixels, crc)
        for store in stores
        if store is not None
        for pixels, (name, crc) in zip(store.pixels, store.index.tolist(), strict=True)
    }


def _build(
    partial: Path, images: list[tuple[str, Path, Part]], known: Known, form: tuple[int, Resize], progress: Callable[[int], None]
) -> None:
    size, resize = form
    partial.mkdir(mode=0o700)
    place = partial / PIXELS
    _reserve(place, len(images) * size * size * 3)
    pixels = np.memmap(place, np.uint8, "r+", shape=(len(images), size, size, 3))

    def some(start: int) -> list[int]:
        last = lru_cache(maxsize=1)(_decoded)  # parts of one image follow one another
        return [one(index, last) for index in range(start, min(start + AT_ONCE, len(images)))]

    def one(index: int, decoded: Callable[[str, Path], Pixels]) -> int:
        image_id, path, part = images[index]
        copy, crc = known.get(part.name, (None, 0))
        pixels[index] = copy if copy is not None and zlib.crc32(copy.data) == crc else resize(part.of(decoded(image_id, path)), size)
        return zlib.crc32(pixels[index].data)

    crcs: list[int] = []
    with closing(prefetched(some, range(0, len(images), AT_ONCE), os.cpu_count() or 1)) as feed:
        for found in feed:
            for crc in found:
                crcs.append(crc)
                progress(len(crcs))
    names = (part.name.encode() for _, _, part in images)
    np.save(partial / INDEX, np.array(list(zip(names, crcs, strict=True)), ENTRY))


def _reserve(place: Path, needed: int) -> None:
    """A file of `needed` bytes that are there: on a full disk, to write to a map of one that has holes ends the process."""
    with place.open("wb") as file:
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, needed)
            else:
                os.ftruncate(file.fileno(), needed)  # macOS
        except OSError as error:
            raise ResourceError(f"{needed / 1e6:,.0f} MB for decoded images in {place.parent.parent}: {error.strerror}") from None


def _decoded(image_id: str, path: Path) -> Pixels:
    return decode(verified(image_id, path))


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
    left = make_room(folder, needed * 1.1)
    if left < needed * 1.1:
        found = f"{needed / 1e6:,.0f} MB in {folder}, {left / 1e6:,.0f} MB are free"
        raise ResourceError(f"decoding needs {found}: free some space, or lower image_size")
