"""Corruptions: the same every time, worse at every severity, and of every kind that is promised."""

import numpy as np
import pytest

from components.augment.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from tests.images import classification_image


def pictures(size: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return np.stack([classification_image(kind, size, random) for kind in range(3)])


def test_there_are_six_kinds_at_five_severities() -> None:
    assert list(CORRUPTIONS) == ["noise", "blur", "jpeg", "brightness", "contrast", "fog"] and SEVERITIES == (1, 2, 3, 4, 5)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_severity_changes_more_than_the_one_before(name: str) -> None:
    clean, keys = pictures(224), np.arange(3)
    changed = [np.abs(corrupted(clean, name, level, keys).astype(int) - clean).mean(axis=(1, 2, 3)) for level in SEVERITIES]
    assert (np.diff(changed, axis=0) > 0).all() and (np.array(changed) > 0).all()


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_an_image_is_corrupted_the_same_way_in_any_company(name: str) -> None:
    clean, keys = pictures(48), np.array([5, 6, 2**59])
    kept = clean.copy()
    together = corrupted(clean, name, 3, keys)
    alone = np.concatenate([corrupted(clean[at : at + 1], name, 3, keys[at : at + 1]) for at in (2, 1, 0)])[::-1]
    assert (together == alone).all() and (clean == kept).all()
    assert together.shape == clean.shape and together.dtype == np.uint8


def test_noise_differs_from_image_to_image() -> None:
    same = np.repeat(pictures(48)[:1], 2, axis=0)
    one, other = corrupted(same, "noise", 3, np.array([1, 2]))
    assert (one != other).any()
