"""Batches: every image once an epoch, labels with their images, augmented for training and never for validation."""

from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.augment.augmenter import Augmenter
from components.augment.policies import NAMED
from components.train.examples import Examples, pad_boxes
from components.train.loader import TrainingBatches, ValidationBatches

SIZE = 8
NOTHING = Augmenter([], SIZE, seed=0)


def numbered(count: int) -> Examples:
    """Image n is all of value n; its class is n too."""
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, SIZE, SIZE, 3), np.uint8)
    return Examples(pixels, np.arange(count, dtype=np.int32), np.arange(count) + 1000)


def noise(count: int) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)
    return Examples(pixels, np.arange(count, dtype=np.int32), np.arange(count))


def epoch_of(batches: TrainingBatches, epoch: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    return [batches.batch(epoch, number) for number in range(len(batches))]


@settings(max_examples=25, deadline=None)
@given(count=st.integers(1, 50), batch_size=st.integers(1, 60), seed=st.integers(0, 9), epochs=st.integers(1, 4))
def test_labels_stay_with_their_images_and_none_comes_twice_in_an_epoch(count, batch_size, seed, epochs):
    batches = TrainingBatches(numbered(count), NOTHING, batch_size, seed)
    for epoch in range(epochs):
        pixels, labels = (np.concatenate(parts) for parts in zip(*epoch_of(batches, epoch), strict=True))
        assert pixels.mean(axis=(1, 2, 3)).tolist() == labels.tolist()
        assert max(Counter(labels.tolist()).values()) == 1
        size = min(batch_size, count)
        assert len(labels) == count // size * size and pixels.dtype == np.uint8


def test_the_order_is_another_every_epoch_and_every_seed_and_none_is_the_given():
    def orders(seed: int) -> list[list[int]]:
        batches = TrainingBatches(numbered(40), NOTHING, 10, seed)
        return [np.concatenate([labels for _, labels in epoch_of(batches, epoch)]).tolist() for epoch in range(3)]

    every = [*orders(0), *orders(1)]
    assert orders(0) == every[:3]
    assert len({tuple(order) for order in [*every, list(range(40))]}) == 7


def test_what_one_epoch_leaves_over_other_epochs_show():
    batches = TrainingBatches(numbered(10), NOTHING, 4, 0)
    seen = set()
    for epoch in range(10):
        seen |= set(np.concatenate([labels for _, labels in epoch_of(batches, epoch)]).tolist())
    assert seen == set(range(10))


def test_training_images_are_augmented_by_epoch_and_name():
    augmenter, examples = Augmenter(NAMED["strong"], SIZE, seed=3), noise(12)
    batches = TrainingBatches(examples, augmenter, 4, 0)
    for epoch in range(2):
        for pixels, labels in epoch_of(batches, epoch):
            for shown, label in zip(pixels, labels, strict=True):
                assert (shown == augmenter(examples.example(label), epoch, label).pixels).all()


def test_validation_pixels_are_the_given_ones_bit_for_bit_and_in_order():
    examples = noise(23)
    batches = ValidationBatches(examples, 5)
    parts = zip(*(batches.batch(number) for number in range(len(batches))), strict=True)
    pixels, labels = (np.concatenate(part) for part in parts)
    assert (pixels == examples.pixels).all() and labels.tolist() == list(range(23))


def test_boxes_are_augmented_with_their_image_and_keep_their_shape():
    rows = pad_boxes([np.array([[number, 0.0, 0.0, 0.5, 1.0]], np.float32) for number in range(6)], 3)
    examples = Examples(noise(6).pixels, rows, np.arange(6))
    batches = TrainingBatches(examples, Augmenter([{"HorizontalFlip": {"p": 1.0}}], SIZE, seed=0), 3, 0)
    for pixels, boxes in epoch_of(batches):
        assert boxes.shape == (3, 3, 5)
        assert (boxes[:, 0, 1:] == [0.5, 0.0, 1.0, 1.0]).all() and (boxes[:, 1:, 0] == -1).all()
        for shown, row in zip(pixels, boxes, strict=True):
            assert (shown == examples.pixels[int(row[0, 0])][:, ::-1]).all()
