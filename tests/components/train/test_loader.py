"""Batches: every image once an epoch, labels with their images, augmented for training and never for validation."""

from collections import Counter
from dataclasses import MISSING, fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.augment.augmenter import Augmenter
from components.augment.policies import NAMED
from components.train.balance import shuffled
from components.train.config import TrainConfig
from components.train.examples import Examples, pad_boxes
from components.train.feed import prefetched
from components.train.loader import TrainingBatches, ValidationBatches, training_batches

SIZE = 8
NOTHING = Augmenter([], SIZE, seed=0)


def numbered(count: int) -> Examples:
    """Image n is all of value n; its class is n too."""
    pixels = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, SIZE, SIZE, 3), np.uint8)
    return Examples(pixels, np.arange(count, dtype=np.int32), np.arange(count) + 1000)


def noise(count: int) -> Examples:
    pixels = np.random.default_rng(0).integers(0, 256, (count, SIZE, SIZE, 3)).astype(np.uint8)
    return Examples(pixels, np.arange(count, dtype=np.int32), np.arange(count))


def epoch_of(batches: TrainingBatches, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
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
    for _ in range(2):
        pixels, labels = (np.concatenate(parts) for parts in zip(*map(batches.batch, range(len(batches))), strict=True))
        assert (pixels == examples.pixels).all() and labels.tolist() == list(range(23))


def test_boxes_are_augmented_with_their_image_and_keep_their_shape():
    rows = pad_boxes([np.array([[number, 0.0, 0.0, 0.5, 1.0]], np.float32) for number in range(6)], 3)
    examples = Examples(noise(6).pixels, rows, np.arange(6))
    batches = TrainingBatches(examples, Augmenter([{"HorizontalFlip": {"p": 1.0}}], SIZE, seed=0), 3, 0)
    for pixels, boxes in epoch_of(batches, 0):
        assert boxes.shape == (3, 3, 5)
        assert (boxes[:, 0, 1:] == [0.5, 0.0, 1.0, 1.0]).all() and (boxes[:, 1:, 0] == -1).all()
        for shown, row in zip(pixels, boxes, strict=True):
            assert (shown == examples.pixels[int(row[0, 0])][:, ::-1]).all()


def config_of(**changed) -> TrainConfig:
    """Knobs; what has no default and does not concern batches is left out."""
    given = {field.name: None for field in fields(TrainConfig) if field.default is MISSING}
    return TrainConfig(**{**given, **changed})


@pytest.mark.parametrize("knobs", [{}, {"class_balance": "sampling"}, {"mixup": 0.4, "cutmix": 1.0}], ids=str)
def test_batches_are_the_same_in_whatever_thread_and_order_they_are_asked_for(knobs):
    def batches() -> TrainingBatches:
        augmenter = Augmenter([*NAMED["shift"], {"GaussNoise": {"p": 0.5}}], SIZE, seed=3)
        return training_batches(noise(30), augmenter, 4, config_of(**knobs), 30, seed=1)

    numbers, one_by_one, among_others = np.random.default_rng(0).permutation(21), batches(), batches()
    expected = [one_by_one.batch(number // 7, number % 7) for number in range(21)]
    found = list(prefetched(lambda number: among_others.batch(number // 7, number % 7), numbers.tolist(), 4))
    for number, (pixels, targets) in zip(numbers, found, strict=True):
        assert np.array_equal(pixels, expected[number][0]) and np.array_equal(targets, expected[number][1])


def test_an_epochs_order_is_drawn_once_however_many_batches_are_asked_for():
    drawn = []

    def order(targets, rng):
        drawn.append(1)
        return shuffled(targets, rng)

    batches = TrainingBatches(numbered(40), NOTHING, 4, 0, order=order)
    for number in range(20):
        batches.batch(number // 10, number % 10)
        batches.batch(number // 10, 9 - number % 10)
    assert len(drawn) == 2


def test_sampling_shows_a_rare_class_as_often_as_another():
    examples = Examples(noise(40).pixels, np.array([0] * 36 + [1] * 4, np.int32), np.arange(40))
    batches = training_batches(examples, NOTHING, 8, config_of(class_balance="sampling"), 2, seed=0)
    shown = np.concatenate([labels for _, labels in epoch_of(batches, 0)])
    assert np.bincount(shown).tolist() == [20, 20]


def test_mixed_batches_come_with_shares_of_the_classes_and_others_each_time():
    batches = training_batches(numbered(12), NOTHING, 6, config_of(mixup=1.0), 12, seed=0)
    (pixels, soft), (_, other), (_, later) = batches.batch(0, 0), batches.batch(0, 1), batches.batch(1, 0)
    assert soft.shape == (6, 12) and soft.dtype == np.float32 and pixels.dtype == np.uint8
    assert pixels[:, 0, 0, 0] == pytest.approx(soft @ np.arange(12), abs=0.51)  # image n is all of value n
    assert len({float(one.max(axis=1).min()) for one in (soft, other, later)}) == 3


@pytest.mark.parametrize("knobs", [{}, {"class_balance": "sampling"}, {"mixup": 0.4, "cutmix": 1.0}, "boxes"], ids=str)
def test_some_rows_of_a_batch_are_those_of_the_whole(knobs):
    """So that each of several workers makes its own alone."""
    augmenter = Augmenter([*NAMED["shift"], {"GaussNoise": {"p": 0.5}}], SIZE, seed=3)
    if knobs == "boxes":
        rows = pad_boxes([np.array([[number, 0.0, 0.0, 0.5, 1.0]], np.float32) for number in range(30)], 2)
        batches = TrainingBatches(Examples(noise(30).pixels, rows, np.arange(30)), augmenter, 6, 0)
    else:
        batches = training_batches(noise(30), augmenter, 6, config_of(**knobs), 30, seed=1)
    whole = batches.batch(2, 1)
    for rows in (slice(0, 2), slice(2, 6)):
        for part, all_of_it in zip(batches.batch(2, 1, rows), whole, strict=True):
            assert np.array_equal(part, all_of_it[rows])


def in_the_open(count: int) -> Examples:
    """Image n is all of value n, with two boxes of class n in its middle."""
    rows = pad_boxes([np.array([[n, 0.2, 0.2, 0.5, 0.8], [n, 0.5, 0.2, 0.8, 0.8]], np.float32) for n in range(count)], 2)
    return Examples(np.repeat(np.repeat(numbered(count).pixels, 8, axis=1), 8, axis=2), rows, np.arange(count) + 1000)


COMPOSED = {"mosaic": 0.7, "box_mixup": 0.4}


def composed(examples: Examples, batch_size: int, seed: int = 0, policy: tuple[dict, ...] = (), **knobs: float) -> TrainingBatches:
    return training_batches(examples, Augmenter(list(policy), 8 * SIZE, seed), batch_size, config_of(**(knobs or COMPOSED)), 30, seed)


def test_a_composed_batch_holds_boxes_of_several_pictures_where_they_are_shown():
    pixels, targets, counts = composed(in_the_open(30), 30, mosaic=1.0).made(0, 0)
    assert pixels.shape == (30, 64, 64, 3) and targets.shape[1] >= 4
    several = 0
    for picture, rows in zip(pixels, targets, strict=True):
        found = rows[rows[:, 0] >= 0]
        several += len(set(found[:, 0])) > 1
        for label, *corners in found:
            x, y = (np.array(corners).reshape(2, 2).mean(axis=0) * 64).astype(int)
            assert picture[y, x, 0] == label  # each picture is of one value, that of its boxes' class
    assert several > 20
    assert counts.given == 30 * 4 * 2
    assert counts.given - counts.dropped == (targets[..., 0] >= 0).sum()


def test_composing_ends_when_it_is_told_to():
    batches, plain = (
        composed(in_the_open(30), 10, mosaic=1.0, box_mixup=1.0),
        training_batches(in_the_open(30), Augmenter([], 64, 0), 10, config_of(), 30, 0),
    )
    found, expected = batches.made(1, 2, composes=False), plain.made(1, 2)
    assert np.array_equal(found.pixels, expected.pixels)
    assert np.array_equal(found.targets[:, :2], expected.targets[:, :2]) and (found.targets[:, 2:, 0] == -1).all()
    assert found.box_counts == expected.box_counts and found.box_counts.dropped == 0


def test_composed_batches_are_the_same_in_whatever_thread_and_order_and_for_some_rows():
    examples, policy = in_the_open(30), tuple(NAMED["aerial"])
    alone, among_others = composed(examples, 6, policy=policy), composed(examples, 6, policy=policy)
    expected = [alone.made(number // 5, number % 5) for number in range(15)]
    order = np.random.default_rng(0).permutation(15)
    for number, found in zip(order, prefetched(lambda n: among_others.made(n // 5, n % 5), order.tolist(), 4), strict=True):
        assert all(np.array_equal(one, other) for one, other in zip(found[:2], expected[number][:2], strict=True))
    part, whole = alone.made(2, 1, slice(2, 5)), expected[11]
    assert np.array_equal(part.pixels, whole.pixels[2:5])
    assert np.array_equal(part.targets[:, :4], whole.targets[2:5, :4])


def test_more_boxes_than_there_is_room_for_get_room():
    rows = [np.full((count, 5), 0.5, np.float32) for count in (2, 5, 0)]
    padded = pad_boxes(rows, 2)
    assert padded.shape == (3, 8, 5)
    assert (padded[..., 0] >= 0).sum(axis=1).tolist() == [2, 5, 0]
