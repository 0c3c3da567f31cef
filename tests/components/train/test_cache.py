"""The cache of decoded pixels: in order, built once, whole or not there, and never of other files than those validated."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.data.decode import decode, letterbox, resize_crop
from components.errors import DataError, ResourceError
from components.train import cache
from components.train.cache import cached_pixels
from components.train.stores import INDEX, LOCKS, PARTIAL, PIXELS, trim
from tests.images import write_png

COUNT = 40


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Image number n is all of value 5 n."""
    folder = tmp_path_factory.mktemp("images")
    paths = [folder / f"{number:02d}.png" for number in range(COUNT)]
    for number, path in enumerate(paths):
        write_png(path, np.full((10 + number, 20, 3), 5 * number, np.uint8))
    return paths


def names(paths: list[Path]) -> list[str]:
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]


def quiet(count: int) -> None:
    pass


def stores(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.name != LOCKS]


def refuse(data: bytes) -> None:
    pytest.fail("decoded a second time")


def cached(paths: list[Path], folder: Path, size: int = 8, resize: cache.Resize = resize_crop) -> np.ndarray:
    return cached_pixels(names(paths), paths, size, resize, folder, quiet)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=COUNT))
def test_every_image_stands_where_its_name_stands(images, tmp_path, order):
    pixels = cached([images[number] for number in order], tmp_path)
    assert pixels.shape == (len(order), 8, 8, 3) and pixels.dtype == np.uint8
    assert pixels.mean(axis=(1, 2, 3)).tolist() == [5 * number for number in order]


def test_the_pixels_can_be_read_and_not_written(images, tmp_path):
    pixels = cached(images, tmp_path)
    with pytest.raises(ValueError, match="read-only"):
        pixels[0] = 0


def test_it_is_built_once(images, tmp_path, monkeypatch):
    first = np.array(cached(images, tmp_path))
    monkeypatch.setattr(cache, "decode", refuse)
    assert (cached(images, tmp_path) == first).all()
    assert len(stores(tmp_path)) == 1


@pytest.mark.parametrize("other", [{"size": 9}, {"resize": lambda image, size: letterbox(image, size)[0]}])
def test_another_size_or_resize_is_another_cache(images, tmp_path, other):
    first = cached(images, tmp_path)
    second = cached(images, tmp_path, **other)
    assert first.shape != second.shape or not (first == second).all()
    assert len(stores(tmp_path)) == 2


def test_progress_counts_every_image(images, tmp_path):
    heard: list[int] = []
    cached_pixels(names(images), images, 8, resize_crop, tmp_path, heard.append)
    assert heard == list(range(1, COUNT + 1))


def test_a_changed_file_is_named_and_leaves_no_cache(images, tmp_path):
    known = names(images)
    changed = tmp_path / "changed.png"
    write_png(changed, np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(DataError, match=r"changed\.png is not the file that was validated"):
        cached_pixels(known, [*images[:-1], changed], 8, resize_crop, tmp_path / "cache", quiet)
    assert stores(tmp_path / "cache") == []


def test_two_files_that_changed_places_are_found_out(images, tmp_path):
    with pytest.raises(DataError, match=r"0[01]\.png"):
        cached_pixels(names(images), [images[1], images[0], *images[2:]], 8, resize_crop, tmp_path, quiet)


def test_a_vanished_file_is_named(images, tmp_path):
    with pytest.raises(DataError, match=r"gone\.png could not be read"):
        cached_pixels(names(images), [*images[:-1], tmp_path / "gone.png"], 8, resize_crop, tmp_path, quiet)


def test_a_full_disk_is_said_before_decoding(images, tmp_path, monkeypatch):
    nothing_left = os.statvfs_result((4096, 4096, 100, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda folder: nothing_left)
    with pytest.raises(ResourceError, match="0 MB are free"):
        cached(images, tmp_path)


def test_an_interrupted_build_leaves_nothing_and_the_next_one_works(images, tmp_path):
    def interrupt(count: int) -> None:
        if count == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_pixels(names(images), images, 8, resize_crop, tmp_path, interrupt)
    assert stores(tmp_path) == []
    assert cached(images, tmp_path).mean(axis=(1, 2, 3)).tolist() == [5 * number for number in range(COUNT)]


def test_of_builders_at_the_same_time_one_builds_and_the_others_wait(images, tmp_path):
    known, builders, heard = names(images), 4, Counter[int]()
    meeting = threading.Barrier(builders)

    def build(number: int) -> list[float]:
        def progress(count: int) -> None:
            heard[number] += 1
            time.sleep(0.002)

        meeting.wait(timeout=20)
        return cached_pixels(known, images, 8, resize_crop, tmp_path, progress).mean(axis=(1, 2, 3)).tolist()

    with ThreadPoolExecutor(builders) as pool:
        found = list(pool.map(build, range(builders)))
    assert all(means == [5 * number for number in range(COUNT)] for means in found)
    assert list(heard.values()) == [COUNT]
    assert len(stores(tmp_path)) == 1


SLOW = """
import sys, time
from pathlib import Path
from components.data.decode import resize_crop
from components.train.cache import cached_pixels
names, paths, folder = sys.argv[1].split(), [Path(path) for path in sys.argv[2].split()], Path(sys.argv[3])
def progress(count):
    print(count, flush=True)
    time.sleep(0.05)
cached_pixels(names, paths, 8, resize_crop, folder, progress)
"""


def test_a_killed_builder_leaves_nothing_that_lasts(images, tmp_path):
    words = [" ".join(names(images)), " ".join(map(str, images)), str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", SLOW, *words], stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout.readline() == "1\n"
        builder.kill()
    assert [entry.suffix for entry in stores(tmp_path)] == [PARTIAL]
    cached(images[:3], tmp_path)  # another cache: whoever builds next sweeps
    assert [entry.suffix for entry in stores(tmp_path)] == [""]
    assert cached(images, tmp_path).mean(axis=(1, 2, 3)).tolist() == [5 * number for number in range(COUNT)]


def test_what_a_living_builder_writes_is_not_swept(images, tmp_path):
    words = [" ".join(names(images)), " ".join(map(str, images)), str(tmp_path)]
    with subprocess.Popen([sys.executable, "-c", SLOW, *words], stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout.readline() == "1\n"
        for number in range(3):
            cached(images[: number + 1], tmp_path)
        builder.stdout.read()
    assert builder.returncode == 0 and len(stores(tmp_path)) == 4


def test_of_a_dataset_that_grew_only_the_new_images_are_decoded(images, tmp_path, monkeypatch):
    cached(images[10:30], tmp_path)
    decoded = Counter[bytes]()
    monkeypatch.setattr(cache, "decode", lambda data: decoded.update([data]) or decode(data))
    order = np.random.default_rng(0).permutation(COUNT).tolist()
    pixels = cached([images[number] for number in order], tmp_path)
    assert pixels.mean(axis=(1, 2, 3)).tolist() == [5 * number for number in order]
    assert set(decoded) == {path.read_bytes() for path in [*images[:10], *images[30:]]} and max(decoded.values()) == 1
    decoded.clear()
    cached(images, tmp_path, size=9)
    assert len(decoded) == COUNT  # of another size all are


def damaged(store: Path, how: str) -> None:
    file = store / (INDEX if how.startswith("index") else PIXELS)
    data = bytearray(file.read_bytes())
    if how.endswith("flipped"):
        data[8 * 8 * 3 * 7 + 5 if file.name == PIXELS else -1] ^= 4
    file.write_bytes(data[: len(data) // 2] if how.endswith("cut") else data)


@pytest.mark.parametrize("how", ["pixels flipped", "pixels cut", "index flipped", "index cut", "index emptied"])
def test_a_damaged_cache_is_noticed_and_mended(images, tmp_path, monkeypatch, how):
    expected = np.array(cached(images, tmp_path))
    (store,) = stores(tmp_path)
    damaged(store, how)
    if how == "index emptied":
        (store / INDEX).write_bytes(b"")
    decoded = []
    monkeypatch.setattr(cache, "decode", lambda data: decoded.append(data) or decode(data))
    assert (cached(images, tmp_path) == expected).all()
    assert stores(tmp_path) == [store]
    assert len(decoded) == (1 if how.endswith("flipped") else COUNT)  # of a flipped bit only the one image


def test_a_flipped_bit_is_not_copied_into_another_cache(images, tmp_path):
    cached(images, tmp_path)
    damaged(stores(tmp_path)[0], "pixels flipped")
    assert cached(images[:20], tmp_path).mean(axis=(1, 2, 3)).tolist() == [5 * number for number in range(20)]


def test_what_was_not_used_for_longest_makes_room(images, tmp_path):
    paths = {}
    for number in range(4):
        before = set(tmp_path.iterdir())
        cached(images[number : number + 10], tmp_path)
        (paths[number],) = (entry for entry in set(tmp_path.iterdir()) - before if entry.name != LOCKS)
        os.utime(paths[number], (number, number))
    cached(images[0:10], tmp_path)  # used again
    trim(tmp_path, 2.5 * sum(file.stat().st_size for file in paths[0].iterdir()))
    assert set(stores(tmp_path)) == {paths[0], paths[3]}
    trim(tmp_path, 0)
    assert stores(tmp_path) == []


def test_what_is_in_use_stays_and_goes_once_it_is_not(images, tmp_path):
    used = cached(images, tmp_path)
    some = used[3:5]
    del used
    trim(tmp_path, 0)
    assert len(stores(tmp_path)) == 1 and some.mean() == 17.5
    del some
    trim(tmp_path, 0)
    assert stores(tmp_path) == []


def test_a_full_disk_is_freed_of_what_is_not_in_use(images, tmp_path, monkeypatch):
    cached(images[:20], tmp_path)

    def left(folder):
        free = 0 if stores(tmp_path) else 10**6
        return os.statvfs_result((4096, 1, 100, free, free, 0, 0, 0, 0, 255))

    monkeypatch.setattr(os, "statvfs", left)
    assert cached(images, tmp_path, size=9).shape == (COUNT, 9, 9, 3)
    assert len(stores(tmp_path)) == 1


def test_no_images_are_no_cache(tmp_path):
    assert cached([], tmp_path).shape == (0, 8, 8, 3) and stores(tmp_path) == []


def test_other_users_cannot_read_the_cache(images, tmp_path):
    cached(images, tmp_path / "private")
    assert (tmp_path / "private").stat().st_mode & 0o077 == 0


def test_the_pixels_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((8, 8, 3), (0, 0, 200), np.uint8))  # OpenCV writes BGR
    assert cached([tmp_path / "red.png"], tmp_path / "cache")[0, 0, 0].tolist() == [200, 0, 0]
