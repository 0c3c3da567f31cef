"""Policies on whole batches: pixel for pixel what Albumentations makes of the same numbers, drawn as it draws them."""

from concurrent.futures import ThreadPoolExecutor

import albumentations as A
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.augment.augmenter import Augmenter, Example
from components.augment.batches import batch_policy
from components.augment.pipeline import build
from components.augment.policies import NAMED

SIZE, COUNT = 24, 12
NOISE = np.random.default_rng(0).integers(0, 256, (COUNT, SIZE, SIZE, 3))
PIXELS = np.where(np.arange(COUNT)[:, None, None, None] % 2, NOISE, NOISE // 31 * 31).astype(np.uint8)  # many of equal value and no colour
KEYS = np.arange(COUNT) * 2**50 + 17
EVERY = np.arange(COUNT)
NO_BOXES = np.zeros((0, 5), np.float32)


class Scripted:
    """A random source that gives the numbers it is told, as Python's own would use them."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = iter(numbers)

    def random(self) -> float:
        return next(self.numbers)

    def uniform(self, low: float, high: float) -> float:
        return low if low == high else low + (high - low) * self.random()

    def randint(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low + 1))


def by_albumentations(entry: dict, pixels: np.ndarray, numbers: list[float]) -> np.ndarray:
    transform = build(entry, SIZE)
    transform.py_random = Scripted(numbers)
    data = {"image": pixels}
    params = transform.get_params() | transform.get_params_dependent_on_data({"shape": pixels.shape}, data)
    return transform.apply(pixels, **params)


def stepped(entry: dict, numbers: np.ndarray) -> np.ndarray:
    policy = batch_policy([entry], SIZE, SIZE)
    assert policy is not None
    (step,) = policy.steps
    happens = np.zeros((COUNT, 1))
    return step(PIXELS.copy(), np.concatenate([happens, numbers], axis=1))


def worst(left: np.ndarray, right: np.ndarray) -> int:
    return int(np.abs(left.astype(int) - right.astype(int)).max())


BORDERS = [cv2.BORDER_CONSTANT, cv2.BORDER_REPLICATE, cv2.BORDER_REFLECT, cv2.BORDER_WRAP, cv2.BORDER_REFLECT_101]
SHIFTS = [
    *({"Affine": {"translate_percent": [-0.3, 0.3], "border_mode": border, "fill": 77, "p": 1.0}} for border in BORDERS),
    *({"Affine": {"translate_px": {"x": [-9, 9], "y": [-2, 5]}, "border_mode": border, "p": 1.0}} for border in BORDERS),
]


@pytest.mark.parametrize("entry", SHIFTS, ids=str)
def test_shifts_are_albumentations_own(entry):
    numbers = np.random.default_rng(1).random((COUNT, 2))
    for one, shown, (down, right) in zip(PIXELS, stepped(entry, numbers), numbers.tolist(), strict=True):
        assert (shown == by_albumentations(entry, one, [right, down])).all()  # Albumentations draws x first


def test_crops_are_albumentations_own():
    entry, numbers = {"RandomCrop": {"height": 17, "width": 17}}, np.random.default_rng(2).random((COUNT, 2))
    policy = batch_policy([entry], SIZE, 17)
    shown = policy.steps[0](PIXELS, np.concatenate([np.zeros((COUNT, 1)), numbers], axis=1))
    for one, found, own in zip(PIXELS, shown, numbers.tolist(), strict=True):
        assert (found == by_albumentations(entry, one, own)).all()


@pytest.mark.parametrize("ratio", [[0.75, 1.3333], [0.2, 5.0]])  # the second seldom fits: up to ten draws, and none at times
def test_resized_crops_are_albumentations_own(ratio):
    entry = {"RandomResizedCrop": {"scale": [0.3, 1.0], "ratio": ratio, "p": 1.0}}
    numbers = np.random.default_rng(3).random((COUNT, 22))
    numbers[0, 2:12] = numbers[0, 12:] = 0.999  # the whole area at the widest shape never fits
    for one, found, own in zip(PIXELS, stepped(entry, numbers), numbers.tolist(), strict=True):
        tries = list(zip(own[2:12], own[12:], strict=True))
        expected = by_albumentations(entry, one, _until_it_fits(tries, ratio, own[:2]))
        assert worst(found, expected) <= 1


def _until_it_fits(tries: list[tuple[float, float]], ratio: list[float], place: list[float]) -> list[float]:
    """The numbers in the order in which Albumentations asks: area and shape until the rectangle fits, then its place."""
    used: list[float] = []
    for area, shape in tries:
        used += [area, shape]
        pixels = (0.3 + 0.7 * area) * SIZE * SIZE
        wide = np.exp(np.log(ratio[0]) + (np.log(ratio[1]) - np.log(ratio[0])) * shape)
        if round(np.sqrt(pixels * wide)) <= SIZE and round(np.sqrt(pixels / wide)) <= SIZE:
            return [*used, *place]
    return used


@pytest.mark.parametrize("by_max", [True, False])
def test_brightness_and_contrast_are_albumentations_own(by_max):
    entry = {"RandomBrightnessContrast": {"brightness_limit": 0.4, "contrast_limit": 0.5, "brightness_by_max": by_max, "p": 1.0}}
    numbers = np.random.default_rng(4).random((COUNT, 2))
    for one, found, own in zip(PIXELS, stepped(entry, numbers), numbers.tolist(), strict=True):
        assert worst(found, by_albumentations(entry, one, own)) <= (0 if by_max else 1)


def test_hue_saturation_and_value_are_albumentations_own():
    entry = {"HueSaturationValue": {"hue_shift_limit": 90, "sat_shift_limit": 60, "val_shift_limit": 60, "p": 1.0}}
    numbers = np.random.default_rng(5).random((COUNT, 3))
    gray = PIXELS[:1].repeat(COUNT, axis=0)
    gray[:] = gray[..., :1]
    for pixels in (PIXELS, gray):
        (step,) = batch_policy([entry], SIZE, SIZE).steps
        shown = step(pixels.copy(), np.concatenate([np.zeros((COUNT, 1)), numbers], axis=1))
        for one, found, own in zip(pixels, shown, numbers.tolist(), strict=True):
            assert worst(found, by_albumentations(entry, one, own)) <= 1


CERTAIN = [
    {"HorizontalFlip": {"p": 1.0}},
    {"Affine": {"translate_px": {"x": [5, 5], "y": [-3, -3]}, "fill": 9, "p": 1.0}},
    {"VerticalFlip": {"p": 1.0}},
    {"Pad": {"padding": 4, "border_mode": cv2.BORDER_REFLECT_101}},
    {"Affine": {"translate_px": {"x": [-6, -6], "y": [7, 7]}, "border_mode": cv2.BORDER_REFLECT, "p": 1.0}},
    {"RandomBrightnessContrast": {"brightness_limit": [0.1, 0.1], "contrast_limit": [0.2, 0.2], "p": 1.0}},
    {"PadIfNeeded": {"min_height": SIZE + 13, "min_width": SIZE + 13, "fill": 200}},
    {"HorizontalFlip": {"p": 0.0}},
]


@pytest.mark.parametrize("train_size", [SIZE + 13, 16])
@pytest.mark.parametrize("length", range(1, len(CERTAIN) + 1))
def test_transforms_one_after_the_other_are_albumentations_own(length, train_size):
    policy = CERTAIN[:length]
    pipeline = A.Compose([*(build(entry, SIZE) for entry in policy), A.Resize(train_size, train_size, interpolation=cv2.INTER_AREA)])
    shown = batch_policy(policy, SIZE, train_size)(PIXELS, EVERY, KEYS, epoch=0, seed=0)
    for one, found in zip(PIXELS, shown, strict=True):
        assert worst(found, pipeline(image=one)["image"]) <= 1


@pytest.mark.parametrize(
    "entry",
    [
        {"GaussNoise": {}},
        {"OneOf": {"transforms": [{"HorizontalFlip": {}}]}},
        {"Affine": {"rotate": [-5, 5]}},
        {"Affine": {"scale": [0.9, 1.1], "balanced_scale": True}},
        {"Affine": {"scale": [0.9, 1.0], "border_mode": 4}},
        {"Affine": {"shear": [-5, 5]}},
        {"Affine": {"translate_px": [-3, 3], "fill": [0, 128, 255]}},
        {"RandomBrightnessContrast": {"ensure_safe_range": True}},
        {"RandomResizedCrop": {"ratio": [1.5, 2.0]}},
        {"RandomResizedCrop": {"area_for_downscale": "image"}},
        {"PadIfNeeded": {"min_height": 30, "min_width": 30, "position": "random"}},
    ],
    ids=str,
)
def test_what_is_not_known_here_goes_through_albumentations(entry):
    assert batch_policy([entry], SIZE, SIZE) is None


def test_the_named_policies_are_known_here_with_boxes_unless_they_mirror_a_border():
    known = {name: batch_policy(policy, SIZE, SIZE) for name, policy in NAMED.items()}
    assert all(known.values())
    assert {name for name, policy in known.items() if not policy.knows_boxes} == {"shift"}


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(["light", "strong", "shift"]), seed=st.integers(0, 5), epoch=st.integers(0, 5), data=st.data())
def test_a_picture_is_shown_alike_alone_in_any_batch_and_in_any_order(name, seed, epoch, data):
    augmenter = Augmenter(NAMED[name], SIZE, seed)
    whole = augmenter.batch(PIXELS, EVERY, epoch, KEYS)
    picked = np.array(data.draw(st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=30)))
    assert (augmenter.batch(PIXELS, picked, epoch, KEYS[picked]) == whole[picked]).all()
    assert (augmenter(Example(PIXELS[3], NO_BOXES), epoch, int(KEYS[3])).pixels == whole[3]).all()


def test_threads_change_nothing_and_the_given_pixels_stay():
    augmenter, before = Augmenter(NAMED["strong"], SIZE, seed=1), PIXELS.copy()
    expected = [augmenter.batch(PIXELS, EVERY, epoch, KEYS) for epoch in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda epoch: augmenter.batch(PIXELS, EVERY, epoch, KEYS), range(20)))
    assert np.array_equal(found, expected) and np.array_equal(PIXELS, before)


@pytest.mark.parametrize("changed", [{"seed": 6}, {"epoch": 2}])
def test_another_seed_or_epoch_gives_other_pictures(changed):
    def shown(seed: int = 5, epoch: int = 1) -> np.ndarray:
        return Augmenter(NAMED["strong"], SIZE, seed).batch(PIXELS, EVERY, epoch, KEYS)

    assert (shown(**changed) == shown()).all(axis=(1, 2, 3)).sum() < COUNT / 4


def test_shifts_are_as_often_as_albumentations_has_them():
    """A picture whose pixel (y, x) is (y, x, 0) tells where it went: the counts of 3,000 draws against 3,000 of Albumentations."""
    many, reach = 3000, 3
    places = np.stack([*np.mgrid[:SIZE, :SIZE], np.zeros((SIZE, SIZE))], axis=-1).astype(np.uint8)
    policy = [{"HorizontalFlip": {"p": 0.3}}, {"Affine": {"translate_percent": [-0.15, 0.15], "border_mode": 4, "p": 0.8}}]
    shown = Augmenter(policy, SIZE, seed=0).batch(places[None], np.zeros(many, int), 0, np.arange(many))
    pipeline = A.Compose([build(entry, SIZE) for entry in policy], seed=0)
    theirs = [pipeline(image=places)["image"] for _ in range(many)]

    def counts(pictures) -> np.ndarray:
        middle = np.array([one[SIZE // 2, SIZE // 2, :2] for one in pictures], int)
        mirrored = np.array([int(one[SIZE // 2, SIZE // 2 + 1, 1]) < int(one[SIZE // 2, SIZE // 2, 1]) for one in pictures])
        across = np.where(mirrored, SIZE - 1 - middle[:, 1], middle[:, 1]) - SIZE // 2
        edges = [np.linspace(-reach - 0.5, reach + 0.5, 2 * reach + 2)] * 2
        return np.histogramdd([mirrored, middle[:, 0] - SIZE // 2, across], bins=[np.array([-0.5, 0.5, 1.5]), *edges])[0]

    ours, expected = counts(shown), counts(theirs)
    assert ours.sum() == expected.sum() == many
    both = ours + expected
    seen = both > 0
    chi_square = ((ours - expected)[seen] ** 2 / both[seen]).sum()
    degrees = seen.sum() - 1
    assert chi_square < degrees + 4 * np.sqrt(2 * degrees)


@pytest.mark.parametrize(("chance", "epochs"), [(0.5, 2), (0.25, 4), (1.0, 1)])
def test_flips_alternate(chance: float, epochs: int) -> None:
    """In as many epochs as it takes, each image is flipped exactly so often, whichever epoch they begin with; half of them in each."""
    policy, picture = batch_policy([{"HorizontalFlip": {"p": chance}}], 8, 8), np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    keys = np.arange(2000, dtype=np.int64)
    pixels = np.broadcast_to(picture, (len(keys), 8, 8, 3))
    shown = np.stack([policy(pixels, keys, keys, epoch, 5) for epoch in range(2 * epochs)])
    flipped = (shown == picture[:, ::-1]).all(axis=(2, 3, 4))
    assert (flipped | (shown == picture).all(axis=(2, 3, 4))).all()
    for begin in (0, epochs):
        assert (flipped[begin : begin + epochs].sum(axis=0) == 1).all()
    np.testing.assert_allclose(flipped.mean(axis=1), chance, atol=0.04)
