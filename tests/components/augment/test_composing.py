"""Mosaics and blends: by hand, and each box around what is seen of its object."""

import numpy as np
import pytest

from components.augment.augmenter import Example
from components.augment.clipping import Objects
from components.augment.composing import CENTRE, OF_MOSAIC, Composing, blended, mosaic

SIZE = 100


def plain(value: int, *corners: tuple[float, float, float, float]) -> tuple[np.ndarray, Objects]:
    """A picture of one value with boxes of that class."""
    rows = np.array([(value, *box) for box in corners], np.float32).reshape(-1, 5)
    return np.full((SIZE, SIZE, 3), value, np.uint8), Objects.whole(rows)


def test_four_pictures_meet_in_the_middle_by_hand():
    """At a share of 1 each corner shows a window of half the side, here the picture's top left one, unchanged."""
    numbers = np.array([0.5, 0.5, *[1.0, 0.0, 0.0] * 4])
    pictures = [
        plain(value, (0.1, 0.1, 0.3, 0.4), (0.4, 0.1, 0.6, 0.3), (0.45, 0.1, 0.75, 0.2), (0.6, 0.6, 0.9, 0.9)) for value in range(4)
    ]
    pixels, objects = mosaic(pictures, numbers)
    for value, (top, left) in enumerate([(0, 0), (0, 50), (50, 0), (50, 50)]):
        assert (pixels[top : top + 50, left : left + 50] == value).all()
    # of each picture: one whole box, one of which a half is cut off, one of which too little is left, one out of sight
    moves, left = np.array([[0, 0], [0.5, 0], [0, 0.5], [0.5, 0.5]]), np.array([(0.1, 0.1, 0.3, 0.4), (0.4, 0.1, 0.5, 0.3)])
    expected = [(value, *(box + np.tile(move, 2))) for value, move in enumerate(moves) for box in left]
    np.testing.assert_allclose(objects.boxes, expected, atol=1e-6)
    np.testing.assert_allclose(objects.visible, [1.0, 0.5] * 4, rtol=1e-5)
    assert objects.given == 16


def test_a_picture_that_just_fills_its_corner_is_shown_whole():
    numbers = np.array([0.5, 0.5, *[0.0, 0.3, 0.7] * 4])
    _, objects = mosaic([plain(value, (0.0, 0.0, 1.0, 1.0), (0.2, 0.4, 0.6, 0.8)) for value in range(4)], numbers)
    assert len(objects.boxes) == 8 and (objects.visible > 0.999).all()
    np.testing.assert_allclose(objects.boxes[:2, 1:], [[0, 0, 0.5, 0.5], [0.1, 0.2, 0.3, 0.4]], atol=1e-6)
    np.testing.assert_allclose(objects.boxes[-2:, 1:], [[0.5, 0.5, 1, 1], [0.6, 0.7, 0.8, 0.9]], atol=1e-6)


def marked(channel: int, rng: np.random.Generator) -> tuple[np.ndarray, Objects]:
    """A rectangle in one channel on black, and its box."""
    x, y = rng.integers(5, 60, 2)
    width, height = rng.integers(12, 35, 2)
    pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
    pixels[y : y + height, x : x + width, channel] = 255
    return pixels, Objects.whole(np.array([[channel, *(np.array([x, y, x + width, y + height]) / SIZE)]], np.float32))


def test_each_box_is_around_what_is_seen_of_its_object():
    rng, kept, cut = np.random.default_rng(0), 0, 0
    for _ in range(150):
        pixels, objects = mosaic([*(marked(channel, rng) for channel in range(3)), plain(0)], rng.random(OF_MOSAIC))
        for (channel, *box), share in zip(objects.boxes, objects.visible, strict=True):
            seen = np.argwhere(pixels[:, :, int(channel)] > 127)
            np.testing.assert_allclose(np.array(box) * SIZE, [*seen.min(axis=0)[::-1], *(seen.max(axis=0)[::-1] + 1)], atol=1.1)
            cut += share < 0.999
        kept += len(objects.boxes)
    assert 150 < kept < 440 and cut > 40


@pytest.mark.parametrize("edge", [0.0, 1.0 - 2**-53])
def test_the_outermost_draws_are_pictures_too(edge):
    numbers = np.full(OF_MOSAIC, edge)
    pixels, objects = mosaic([plain(value + 1, (0.0, 0.0, 1.0, 1.0)) for value in range(4)], numbers)
    assert pixels.shape == (SIZE, SIZE, 3) and set(np.unique(pixels)) == {1, 2, 3, 4}
    meets = round(CENTRE[round(edge)] * SIZE)
    assert pixels[meets - 1, meets - 1, 0] == 1 and pixels[meets, meets, 0] == 4
    assert objects.given == 4


def test_pictures_without_boxes_give_a_mosaic_without():
    _, objects = mosaic([plain(value) for value in range(4)], np.full(OF_MOSAIC, 0.4))
    assert objects.boxes.shape == (0, 5) and objects.given == 0


def test_two_blended_are_their_mean_with_the_boxes_of_both():
    pixels, objects = blended(plain(100, (0.1, 0.1, 0.3, 0.4)), plain(200, (0.2, 0.2, 0.9, 0.9)))
    assert (pixels == 150).all()
    assert objects.boxes[:, 0].tolist() == [100, 200] and objects.given == 2 and (objects.visible == 1).all()


@pytest.mark.parametrize(("mosaic_share", "mixup_share"), [(0.0, 0.3), (0.6, 0.0), (0.5, 0.5)])
def test_so_many_pictures_are_composed_as_was_asked_for(mosaic_share, mixup_share):
    examples = [Example(np.full((16, 16, 3), value, np.uint8), np.array([[value, 0.0, 0.0, 1.0, 1.0]], np.float32)) for value in range(200)]
    composing, keys = Composing(mosaic_share, mixup_share, seed=4), np.arange(600)
    _, objects = composing(examples.__getitem__, 200, keys % 200, 2, keys)
    given = np.array([one.given for one in objects])
    expected = {
        1: (1 - mosaic_share) * (1 - mixup_share),
        2: (1 - mosaic_share) * mixup_share,
        4: mosaic_share * (1 - mixup_share),
        5: mosaic_share * mixup_share,
    }
    assert set(given) == {count for count, share in expected.items() if share > 0}
    for count, share in expected.items():
        assert abs((given == count).mean() - share) < 0.08  # binomial(600, 0.5) has a standard deviation of 0.02
    shown = np.concatenate([one.boxes[1:, 0] for one in objects])
    assert len(np.unique(shown)) > 100  # any picture may be the other one
