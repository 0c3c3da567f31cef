"""Training on composed pictures: until the last epochs, or the last share of a budget; exactly resumed, its boxes counted once."""

import itertools
from dataclasses import replace

import keras
import pytest
from keras import layers, ops

from components.augment.augmenter import Augmenter
from components.augment.clipping import BoxCounts
from components.augment.policies import NAMED
from components.train.fit import Session, fit
from components.train.loader import ValidationBatches, training_batches
from components.train.step import Goal, read
from tests.components.train.test_fit import config, rectangles

EXAMPLES = rectangles(12, 32)
STEPS = 3
WANTED = config(epochs=4, batch_size=4, mosaic=0.8, box_mixup=0.3, close_mosaic_epochs=1.0)


def far(truth, answers):
    """How far one answer an image is from the middle of its boxes."""
    there = ops.cast(truth[..., :1] >= 0, "float32")
    middle = ops.sum(there * truth[..., 1:], axis=1) / ops.maximum(ops.sum(there, axis=1), 1.0)
    return ops.mean(ops.square(answers - middle), axis=-1)


def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    pixels = keras.Input((32, 32, 3), dtype="uint8")
    return keras.Model(pixels, layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))))


class Training:
    """A training in a folder, which notes whether each batch was made of composed pictures."""

    def __init__(self, folder, wanted, **session) -> None:
        self.wanted, self.composed = wanted, {}
        self.session = Session(lambda epoch, numbers: None, folder, "k", 1e9, **session)

    def run(self, stop: int | None = None):
        batches = training_batches(EXAMPLES, Augmenter(NAMED["boxes"], 32, 0), 4, self.wanted, 2, 0)
        made = batches.made

        def noted(epoch, index, rows=slice(None), composes=True):
            self.composed[epoch * STEPS + index] = composes
            return made(epoch, index, rows, composes)

        batches.made = noted
        model, asked = network(), itertools.count(1)
        session = replace(self.session, stopping=lambda: next(asked) == stop) if stop else self.session
        outcome, _ = fit(model, Goal(far, {}), (batches, ValidationBatches(EXAMPLES, 4)), self.wanted, [], session)
        return outcome, [read(variable) for variable in model.variables]


def test_it_ends_with_plain_pictures_and_counts_every_box_once_however_often_it_is_interrupted(tmp_path):
    whole, cut = Training(tmp_path / "whole", WANTED), Training(tmp_path / "cut", WANTED)
    outcome, weights = whole.run()
    assert [whole.composed[number] for number in range(4 * STEPS)] == [True] * 3 * STEPS + [False] * STEPS
    batches = training_batches(EXAMPLES, Augmenter(NAMED["boxes"], 32, 0), 4, WANTED, 2, 0)
    expected = [batches.made(*divmod(number, STEPS), composes=number < 3 * STEPS).box_counts for number in range(4 * STEPS)]
    assert outcome.box_counts == sum(expected, BoxCounts())
    assert min(outcome.box_counts.clipped, outcome.box_counts.dropped) > 0
    for stop in (4, 6):
        with pytest.raises(KeyboardInterrupt):
            cut.run(stop)
    again, found = cut.run()
    assert again.box_counts == outcome.box_counts
    assert all((one == other).all() for one, other in zip(found, weights, strict=True))


def test_of_a_budget_the_same_share_has_plain_pictures(tmp_path):
    """A second a batch: of 40 seconds the last ten, but for the batches that were already made by then."""
    ticks = itertools.count()
    wanted = replace(WANTED, budget="40s", threads=1)
    seconds = [0.0]

    def stopping() -> bool:
        seconds[0] = float(next(ticks))
        return False

    training = Training(tmp_path, wanted, clock=lambda: seconds[0])
    training.session = replace(training.session, stopping=stopping)
    training.run()
    composed = training.composed
    first = min(number for number, composes in composed.items() if not composes)
    assert 30 <= first <= 36
    assert all(composes == (number < first) for number, composes in composed.items())
