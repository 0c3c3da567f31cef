"""Whole trainings of tiny networks: they learn, repeat themselves, keep the best, and leave frozen what is frozen."""

import keras
import numpy as np
import pytest
from keras import layers

from components.augment.augmenter import Augmenter
from components.augment.policies import NAMED
from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import UsageError
from components.models.catalog import Design, build, serving_model
from components.models.detectors.loss import DetectionLoss
from components.train import precision
from components.train.class_loss import ClassLoss, is_correct
from components.train.config import TrainConfig
from components.train.examples import Examples, pad_boxes
from components.train.fit import Session, fit
from components.train.loader import TrainingBatches, ValidationBatches
from components.train.progress import Outcome
from components.train.saving import save_model
from components.train.step import Goal
from tests.images import DETECTION_CLASSES, classification_image, detection_image

DEFAULTS = {
    "epochs": 3, "batch_size": 8, "learning_rate": 1e-3, "weight_decay": 0.0, "schedule": "constant", "warmup_epochs": 0.0, "patience": 0,
    "keep": "best", "ema_decay": 0.0, "mixed_precision": "float32", "label_smoothing": 0.0, "dropout": 0.0, "clip_norm": 0.0, "threads": 2,
}  # fmt: skip
PRETRAINED = ["conv1", "bn1", "conv2", "bn2"]


def config(**changed) -> TrainConfig:
    return TrainConfig(**{**DEFAULTS, **changed})


def shapes(count: int, size: int = 16, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    kinds = np.arange(count, dtype=np.int32) % 3
    return Examples(np.stack([classification_image(int(kind), size, rng) for kind in kinds]), kinds, np.arange(count))


def rectangles(count: int, size: int, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    pictures = [detection_image(size, rng) for _ in range(count)]
    rows = [
        np.array([[DETECTION_CLASSES.index(box[0]), *(np.array(box[1:]) / size)] for box in boxes], np.float32) for _, boxes in pictures
    ]
    return Examples(np.stack([pixels for pixels, _ in pictures]), pad_boxes(rows, 2), np.arange(count))


def copies(examples: Examples, times: int) -> Examples:
    """The same examples again and again: an epoch costs more than its few steps."""
    many = [np.concatenate([part] * times) for part in (examples.pixels, examples.targets, examples.keys)]
    return Examples(*many)


def batches(examples: Examples, wanted: TrainConfig, policy: str = "none", seed: int = 0) -> tuple[TrainingBatches, ValidationBatches]:
    augmenter = Augmenter(NAMED[policy], examples.pixels.shape[1], seed)
    return TrainingBatches(examples, augmenter, wanted.batch_size, seed), ValidationBatches(examples, wanted.batch_size)


GOAL = Goal(ClassLoss(3).call, {"accuracy": is_correct})


def small() -> keras.Model:
    """The least network that tells colours apart."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((16, 16, 3), dtype="uint8")
    x = layers.GlobalAveragePooling2D()(layers.Rescaling(1 / 255)(pixels))
    return keras.Model(pixels, layers.Dense(3, name="logits")(x))


def layered() -> keras.Model:
    """Two blocks with batch norm that pass for pretrained, and a new head."""
    keras.utils.set_random_seed(0)
    pixels = keras.Input((16, 16, 3), dtype="uint8")
    x = layers.Rescaling(1 / 255)(pixels)
    for number in (1, 2):
        x = layers.Conv2D(4, 3, strides=2, name=f"conv{number}")(x)
        x = layers.ReLU()(layers.BatchNormalization(name=f"bn{number}")(x))
    x = layers.GlobalAveragePooling2D()(layers.BatchNormalization(name="new_bn", momentum=0.5)(x))
    return keras.Model(pixels, layers.Dense(3, name="logits")(x))


def snapshot(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: [weight.copy() for weight in layer.get_weights()] for layer in model.layers if layer.weights}


def moved(before: dict[str, list[np.ndarray]], after: dict[str, list[np.ndarray]]) -> set[str]:
    return {name for name in before if any((old != new).any() for old, new in zip(before[name], after[name], strict=True))}


class Run:
    """One fit, with all it reported."""

    def __init__(
        self, place, model: keras.Model, wanted: TrainConfig, pretrained: tuple[str, ...] = (), scripted: list[float] | None = None
    ) -> None:
        self.model, self.numbers, self.weights = model, [], []
        loss = Scripted(scripted, 24 // wanted.batch_size) if scripted else GOAL.loss
        session = Session(self.report, place / "checkpoints")
        self.outcome: Outcome
        self.outcome, _ = fit(model, Goal(loss, GOAL.scores), batches(shapes(24), wanted), wanted, list(pretrained), session)

    def report(self, epoch: int, numbers: dict[str, float]) -> None:
        assert epoch == len(self.numbers)
        self.numbers.append(numbers)
        self.weights.append(snapshot(self.model))


class Scripted:
    """A loss whose validation value of each epoch is given beforehand; training batches pass through."""

    def __init__(self, losses: list[float], batches_an_epoch: int) -> None:
        self.losses, self.steps = iter(losses), batches_an_epoch
        self.called = 0

    def __call__(self, y_true, y_pred):
        import tensorflow as tf

        if not self.is_measuring():
            return GOAL.loss(y_true, y_pred)
        return tf.fill(tf.shape(y_pred)[:1], tf.numpy_function(self.next, [], tf.float32))

    @staticmethod
    def is_measuring() -> bool:
        import inspect

        return any(frame.function == "_traced_measure" for frame in inspect.stack())

    def next(self) -> np.float32:
        if self.called % self.steps == 0:
            self.value = next(self.losses)
        self.called += 1
        return np.float32(self.value)


def same_weights(model: keras.Model, weights: dict[str, list[np.ndarray]]) -> bool:
    return not moved(snapshot(model), weights)


def test_the_best_epoch_s_weights_remain_and_patience_ends_it(tmp_path):
    run = Run(tmp_path, small(), config(epochs=9, patience=2), scripted=[3, 2, 1, 4, 5, 0.1])
    assert [numbers["val/loss"] for numbers in run.numbers] == [3, 2, 1, 4, 5]
    assert (run.outcome.epochs, run.outcome.best_epoch, run.outcome.best_loss, run.outcome.stopped_early) == (5, 2, 1, True)
    assert same_weights(run.model, run.weights[2]) and not same_weights(run.model, run.weights[4])


def test_the_last_epoch_s_weights_remain_where_that_is_wanted(tmp_path):
    run = Run(tmp_path, small(), config(epochs=4, keep="last"), scripted=[3, 2, 9, 8])
    assert (run.outcome.best_epoch, run.outcome.epochs, run.outcome.stopped_early) == (1, 4, False)
    assert same_weights(run.model, run.weights[3])


def test_epochs_are_numbered_across_the_phases_and_the_best_may_be_frozen(tmp_path):
    run = Run(tmp_path, layered(), config(epochs=6, frozen_epochs=3, patience=2), ("conv1", "bn1"), scripted=[5, 1, 3, 4, 2])
    assert (run.outcome.epochs, run.outcome.best_epoch) == (5, 1)
    assert same_weights(run.model, run.weights[1])


@pytest.mark.slow
@pytest.mark.ci
def test_a_frozen_phase_that_ends_early_is_followed_by_fine_tuning_with_patience_anew(tmp_path):
    run = Run(tmp_path, layered(), config(epochs=10, frozen_epochs=5, patience=2), tuple(PRETRAINED), scripted=[5, 6, 7, 8, 4, 4.5, 4.6])
    assert (run.outcome.epochs, run.outcome.best_epoch, run.outcome.stopped_early) == (7, 4, True)
    assert moved(run.weights[0], run.weights[2]) == {"new_bn", "logits"}
    assert moved(run.weights[0], run.weights[3]) == {"conv1", "conv2", "new_bn", "logits"}
    assert same_weights(run.model, run.weights[4])


def test_frozen_layers_stand_still_then_learn_from_the_named_one_and_batch_norm_never(tmp_path):
    model = layered()
    before = snapshot(model)
    wanted = config(epochs=4, frozen_epochs=2, fine_tune_from="conv2", learning_rate=0.01, fine_tune_learning_rate=0.002)
    run = Run(tmp_path, model, wanted, tuple(PRETRAINED))
    assert moved(before, run.weights[1]) == {"new_bn", "logits"}
    assert moved(run.weights[1], run.weights[3]) == {"conv2", "new_bn", "logits"}
    assert [numbers["learning_rate"] for numbers in run.numbers] == pytest.approx([0.01, 0.01, 0.002, 0.002])


def test_without_pretrained_layers_everything_learns_from_the_first_epoch(tmp_path):
    model = layered()
    before = snapshot(model)
    run = Run(tmp_path, model, config(frozen_epochs=2, epochs=2, fine_tune_learning_rate=9.0))
    assert moved(before, run.weights[0]) == set(before)
    assert [numbers["learning_rate"] for numbers in run.numbers] == pytest.approx([1e-3, 1e-3])


def test_what_is_told_is_what_the_kept_weights_reach(tmp_path):
    run = Run(tmp_path, small(), config(epochs=6, learning_rate=0.02, ema_decay=0.5))
    assert [set(numbers) for numbers in run.numbers] == [{"train/loss", "val/loss", "train/accuracy", "val/accuracy", "learning_rate"}] * 6
    logits = np.asarray(run.model(shapes(24).pixels, training=False), np.float64)
    loss = (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(24), shapes(24).targets]).mean()
    assert run.outcome.best_loss == pytest.approx(loss, rel=1e-4)


def test_cosine_ends_at_zero_with_the_last_step(tmp_path):
    run = Run(tmp_path, small(), config(epochs=3, batch_size=2, schedule="cosine", warmup_epochs=1.0, learning_rate=0.1))
    keras_own = keras.optimizers.schedules.CosineDecay(0.01, 24, 0.0, warmup_target=0.1, warmup_steps=12)
    assert [numbers["learning_rate"] for numbers in run.numbers] == pytest.approx(
        [float(keras_own(step)) for step in (11, 23, 35)], rel=1e-5
    )


def test_plateau_lowers_the_rate_when_validation_stands_still(tmp_path):
    run = Run(tmp_path, small(), config(epochs=6, schedule="plateau", patience=4, learning_rate=0.1), scripted=[1, 2, 2, 2, 2])
    assert run.numbers[0]["learning_rate"] == pytest.approx(0.1)
    assert run.numbers[-1]["learning_rate"] == pytest.approx(0.01)


@pytest.fixture(scope="module")
def steps(tmp_path_factory) -> list[dict[str, list[np.ndarray]]]:
    """The weights after each of three plain steps, one an epoch."""
    return Run(tmp_path_factory.mktemp("plain"), small(), config(epochs=3, batch_size=24, learning_rate=0.01)).weights


@pytest.mark.parametrize(("keep", "ran"), [("best", 2), ("last", 3)])
def test_the_kept_weights_are_the_exponential_average_of_all_steps(tmp_path, steps, keep, ran):
    wanted = config(epochs=3, batch_size=24, learning_rate=0.01, ema_decay=0.9, keep=keep)
    run = Run(tmp_path, small(), wanted, scripted=[2, 1, 3])
    assert run.outcome.best_epoch == 1
    average = snapshot(small())["logits"][0].astype(np.float64)
    for number, step in enumerate(steps[:ran], start=1):
        decay = min(0.9, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * step["logits"][0]
    assert np.abs(snapshot(run.model)["logits"][0] - average).max() < 1e-5
    assert np.abs(steps[ran - 1]["logits"][0] - average).max() > 1e-3


def test_averages_remain_when_patience_ends_a_training_that_keeps_its_last(tmp_path):
    wanted = {"ema_decay": 0.9, "learning_rate": 0.01, "keep": "last"}
    run = Run(tmp_path, small(), config(epochs=9, patience=2, **wanted), scripted=[1, 2, 3, 4])
    assert run.outcome.epochs == 3
    assert same_weights(run.model, snapshot(Run(tmp_path, small(), config(epochs=3, **wanted)).model))
    assert not same_weights(run.model, run.weights[2])


def test_a_loss_that_is_no_number_ends_in_words(tmp_path):
    with pytest.raises(UsageError, match="lower learning_rate"):
        Run(tmp_path, layered(), config(epochs=5, learning_rate=1e30))


def test_an_older_training_s_weights_are_never_taken_for_the_best(tmp_path):
    Run(tmp_path, small(), config(epochs=1))
    with pytest.raises(UsageError, match="validation loss was no number"):
        Run(tmp_path, small(), config(epochs=2), scripted=[float("nan"), float("nan")])


def quiet(place) -> Session:
    return Session(lambda epoch, numbers: None, place / "checkpoints")


def trained_bytes(place, seed: int, wanted: TrainConfig) -> bytes:
    precision.prepare(wanted.mixed_precision, seed)
    design = Design(CLASSIFICATION, "cnn", 3, 16, wanted.dropout)
    model, _ = build(design, None)
    fit(model, GOAL, batches(shapes(24), wanted, "strong", seed), wanted, [], quiet(place))
    save_model(serving_model(model, design), place / "model.keras")
    return (place / "model.keras").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("number_format", [pytest.param("float32", marks=pytest.mark.ci), "bfloat16"])
def test_the_same_seed_ends_in_equal_bytes_whatever_the_threads_and_another_does_not(tmp_path, deterministic, number_format):
    wanted = config(
        epochs=2, dropout=0.3, ema_decay=0.9, schedule="cosine", clip_norm=1.0, mixed_precision=number_format, label_smoothing=0.1
    )
    first = trained_bytes(tmp_path, 1, wanted)
    assert trained_bytes(tmp_path, 1, config(**{**vars(wanted), "threads": 4})) == first
    assert trained_bytes(tmp_path, 2, wanted) != first


def test_a_classifier_learns_one_batch_by_heart(tmp_path):
    keras.utils.set_random_seed(0)
    model, _ = build(Design(CLASSIFICATION, "cnn", 3, 16, 0.0), None)
    wanted = config(epochs=5, batch_size=12, learning_rate=3e-3)
    _, numbers = fit(model, GOAL, batches(copies(shapes(12), 8), wanted), wanted, [], quiet(tmp_path))
    assert numbers[-1]["val/loss"] < 0.2 * numbers[0]["train/loss"]
    assert numbers[-1]["val/accuracy"] == 1


@pytest.mark.slow
def test_a_detector_learns_one_batch_by_heart(tmp_path):
    keras.utils.set_random_seed(0)
    design, wanted = Design(DETECTION, "yolo", 2, 64, 0.0), config(epochs=8, batch_size=4, learning_rate=2e-3, clip_norm=10.0)
    model, _ = build(design, None)
    examples = rectangles(4, 64)
    goal = Goal(DetectionLoss(2, 64).call, {})
    _, numbers = fit(model, goal, batches(copies(examples, 16), wanted), wanted, [], quiet(tmp_path))
    assert numbers[-1]["train/loss"] < 0.2 * numbers[0]["train/loss"]
    found = np.asarray(serving_model(model, design)(examples.pixels, training=False))
    for rows, truth in zip(found, examples.targets, strict=True):
        truth = truth[truth[:, 0] >= 0]
        best = rows[: len(truth)]
        best, truth = best[np.argsort(best[:, 0])], truth[np.argsort(truth[:, 1])]
        assert (best[:, 5] == truth[:, 0]).all()
        assert np.abs(best[:, :4] - truth[:, 1:]).max() < 0.1


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_step_is_traced_once_a_phase(tmp_path, ema_decay):
    """The optimizer's variables exist before the first step, or TensorFlow traces it again."""
    traced = []

    def loss(y_true, y_pred):
        traced.append(1)
        return GOAL.loss(y_true, y_pred)

    wanted = config(epochs=3, frozen_epochs=1, ema_decay=ema_decay)
    fit(layered(), Goal(loss, {}), batches(shapes(24), wanted), wanted, PRETRAINED, quiet(tmp_path))
    assert len(traced) == 2 * 2  # a training step and a measurement in each of two phases


def test_weight_decay_shrinks_kernels_and_leaves_biases_and_norms_alone(tmp_path):
    """At a learning rate of r and gradients of zero, a step multiplies a kernel by 1 - r * decay."""
    model = small()
    dense = model.layers[-1]
    dense.set_weights([np.ones((3, 3), np.float32), np.ones(3, np.float32)])
    wanted = config(epochs=1, batch_size=8, learning_rate=0.01, weight_decay=0.5)
    fit(model, Goal(flat, {}), batches(shapes(24), wanted), wanted, [], quiet(tmp_path))
    kernel, bias = dense.get_weights()
    np.testing.assert_allclose(kernel, (1 - 0.01 * 0.5) ** 3, rtol=1e-6)
    np.testing.assert_array_equal(bias, 1.0)


def flat(_y_true, y_pred):
    """A loss that is the same for every prediction: no gradient."""
    return keras.ops.sum(y_pred * 0.0, axis=-1)
