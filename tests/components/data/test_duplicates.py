import cv2
import numpy as np
import pytest

from components.data import duplicates
from components.data.duplicates import clusters, copies, oriented


def picture(seed: int, side: int = 160) -> np.ndarray:
    """Gray noise with the falling spectrum of photographs (amplitude as 1 / frequency), uint8 (side, side)."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij"))
    frequency[0, 0] = 1
    field = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / frequency, (side, side))
    return np.clip(128 + 45 * (field - field.mean()) / field.std(), 0, 255).astype(np.uint8)


def thumbnails(pictures: list[np.ndarray]) -> np.ndarray:
    return np.stack([cv2.resize(np.ascontiguousarray(one), (32, 32), interpolation=cv2.INTER_AREA) for one in pictures])


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_GRAYSCALE)


CHANGES = {
    "encoded": lambda image: encoded(image, 20),
    "halved": lambda image: cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "doubled": lambda image: cv2.resize(image, None, fx=2, fy=2),
    "mirrored": lambda image: image[:, ::-1],
    "turned by 90°": np.rot90,
    "turned by 180°": lambda image: np.rot90(image, 2),
    "turned by 270°": lambda image: np.rot90(image, 3),
    "cropped on one side": lambda image: image[8:, 8:],
    "cropped all round": lambda image: image[4:-4, 4:-4],
    "brighter": lambda image: np.clip(image * 1.2, 0, 255).astype(np.uint8),
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "all at once": lambda image: encoded(np.clip(np.rot90(image)[8:, ::-1][:, :-8] * 1.2, 0, 255).astype(np.uint8), 50),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=list(CHANGES))
def test_every_copy_is_found_and_nothing_else(change) -> None:
    originals = [picture(seed) for seed in range(40)]
    pairs = copies(thumbnails(originals + [change(one) for one in originals]))
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == {(number, number + 40) for number in range(40)}


@pytest.mark.parametrize("orientation", range(8))
def test_the_orientation_takes_the_second_to_the_first(orientation: int) -> None:
    one = thumbnails([picture(3)])
    both = np.concatenate([one, oriented(one, np.array([orientation]))])
    pairs = copies(both)
    np.testing.assert_array_equal(oriented(both[1:], pairs.orientation), one)
    turned = {"turned by 90°": (np.rot90(one[0]), np.rot90(one[0], 3)), "mirrored": (one[0][:, ::-1],), "turned by 180°": (np.rot90(one[0], 2),)}
    for words, pictures in turned.items():
        assert (duplicates.ORIENTATIONS[pairs.orientation[0]] == words) == any(np.array_equal(both[1], other) for other in pictures)


def test_pictures_with_little_structure_are_copies_of_nothing() -> None:
    rng = np.random.default_rng(0)
    ramp = np.linspace(150, 220, 160)
    skies = [encoded(np.clip(np.add.outer(ramp * rng.uniform(0.8, 1.1), rng.normal(0, 2, 160)), 0, 255).astype(np.uint8), 60) for _ in range(150)]
    flat = [encoded(np.full((160, 160), value, np.uint8), 50) for value in range(0, 250, 5)]
    noise = [rng.normal(128, 3, (160, 160)).astype(np.uint8) for _ in range(50)]
    pairs = copies(thumbnails(skies + flat + noise))
    assert np.bincount(clusters(pairs, 250)).max() <= 2


def test_the_same_frame_around_other_pictures_makes_no_copies() -> None:
    framed = []
    for seed in range(40):
        frame = np.full((160, 160), 255, np.uint8)
        frame[14:-14, 14:-14] = picture(seed)[14:-14, 14:-14] // 2
        framed.append(frame)
    assert len(copies(thumbnails(framed))) == 0


def test_a_chain_of_pictures_each_like_the_next_does_not_become_one_cluster() -> None:
    """A window that glides over a panorama: neighbours are copies, the ends have nothing in common."""
    panorama = np.hstack([picture(0, 320), picture(1, 320)[:, ::-1]] * 5)
    frames = thumbnails([panorama[:160, left : left + 160] for left in range(0, 3000, 6)])
    pairs = copies(frames)
    linked = duplicates.components(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True), len(frames))
    assert np.bincount(linked).max() > 250
    assert np.bincount(clusters(pairs, len(frames))).max() <= 50


def test_a_crowd_of_look_alikes_stays_apart_and_a_few_copies_together() -> None:
    base = picture(0)
    rng = np.random.default_rng(0)
    crowd = [np.clip(base + rng.normal(0, 4, base.shape), 0, 255).astype(np.uint8) for _ in range(300)]
    found = clusters(copies(thumbnails(crowd)), 300)
    assert len(set(found.tolist())) == 300
    few = clusters(copies(thumbnails(crowd[:40] + [picture(seed) for seed in range(1, 261)])), 300)
    assert np.bincount(few).max() == 40


def test_no_picture_and_one_picture_have_no_copies() -> None:
    assert len(copies(np.zeros((0, 32, 32), np.uint8))) == 0
    assert len(copies(thumbnails([picture(0)]))) == 0


@pytest.mark.slow
@pytest.mark.ci
def test_the_search_is_quick_enough_for_60_000_pictures() -> None:
    import time

    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (20_000, 8, 8)).astype(np.uint8)
    many = np.stack([cv2.resize(one, (32, 32), interpolation=cv2.INTER_CUBIC) for one in small])
    start = time.process_time()
    pairs = copies(np.concatenate([many, many[:100, :, ::-1]]))
    assert time.process_time() - start < 240 / 9 * 1.5  # a third of the pictures, a ninth of the pairs
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) >= {(number, number + 20_000) for number in range(100)}
