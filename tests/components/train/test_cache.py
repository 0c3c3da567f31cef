"""The cache of decoded pixels: in order, built once, whole or not there, and never of other files than those validated."""

import hashlib
import os
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.data.decode import letterbox, resize_crop
from components.errors import DataError, ResourceError
from components.train import cache
from components.train.cache import cached_pixels
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
    monkeypatch.setattr(cache, "decode", lambda data: pytest.fail("decoded a second time"))
    assert (cached(images, tmp_path) == first).all()
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("other", [{"size": 9}, {"resize": lambda image, size: letterbox(image, size)[0]}])
def test_another_size_or_resize_is_another_cache(images, tmp_path, other):
    first = cached(images, tmp_path)
    second = cached(images, tmp_path, **other)
    assert first.shape != second.shape or not (first == second).all()
    assert len(list(tmp_path.iterdir())) == 2


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
    assert list((tmp_path / "cache").iterdir()) == []


def test_two_files_that_changed_places_are_found_out(images, tmp_path):
    with pytest.raises(DataError, match=r"0[01]\.png"):
        cached_pixels(names(images), [images[1], images[0], *images[2:]], 8, resize_crop, tmp_path, quiet)


def test_a_vanished_file_is_named(images, tmp_path):
    with pytest.raises(DataError, match=r"gone\.png could not be read"):
        cached_pixels(names(images), [*images[:-1], tmp_path / "gone.png"], 8, resize_crop, tmp_path, quiet)


def test_a_full_disk_is_said_before_decoding(images, tmp_path, monkeypatch):
    nothing_left = os.statvfs_result((4096, 4096, 100, 0, 0, 0, 0, 0, 0, 255))
    monkeypatch.setattr(cache.os, "statvfs", lambda folder: nothing_left)
    with pytest.raises(ResourceError, match="0 MB are free"):
        cached(images, tmp_path)


def test_an_interrupted_build_leaves_nothing_and_the_next_one_works(images, tmp_path):
    def interrupt(count: int) -> None:
        if count == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_pixels(names(images), images, 8, resize_crop, tmp_path, interrupt)
    assert list(tmp_path.iterdir()) == []
    assert cached(images, tmp_path).mean(axis=(1, 2, 3)).tolist() == [5 * number for number in range(COUNT)]


def test_builders_at_the_same_time_all_get_whole_caches(images, tmp_path):
    """All meet in the middle of their work, so that every one writes while the others do."""
    known, builders = names(images), 4
    meeting, heard = threading.Barrier(builders), Counter[int]()

    def build(number: int) -> list[float]:
        def progress(count: int) -> None:
            heard[number] += 1
            if count == COUNT // 2:
                meeting.wait(timeout=20)

        return cached_pixels(known, images, 8, resize_crop, tmp_path, progress).mean(axis=(1, 2, 3)).tolist()

    with ThreadPoolExecutor(builders) as pool:
        found = list(pool.map(build, range(builders)))
    assert all(means == [5 * number for number in range(COUNT)] for means in found)
    assert sum(heard.values()) == builders * COUNT
    assert len(list(tmp_path.iterdir())) == 1


def test_other_users_cannot_read_the_cache(images, tmp_path):
    cached(images, tmp_path / "private")
    assert (tmp_path / "private").stat().st_mode & 0o077 == 0


def test_the_pixels_are_rgb(tmp_path):
    cv2.imwrite(str(tmp_path / "red.png"), np.full((8, 8, 3), (0, 0, 200), np.uint8))  # OpenCV writes BGR
    assert cached([tmp_path / "red.png"], tmp_path / "cache")[0, 0, 0].tolist() == [200, 0, 0]
