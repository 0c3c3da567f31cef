"""One training step as one TensorFlow graph: forward, loss, gradients, update, averages and the epoch's sums.

Keras' `fit` computes the same; by hand a step costs less between its kernels, and everything that decides the next
one lies in variables that can be saved exactly (`Step.arrays`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from components.errors import UsageError
from components.train.replicas import Batch, Replicas, alone, reduce_once

PerImage = Callable[[Any, Any], Any]
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Goal:
    """What a training minimises and shows: functions of (y_true, y_pred) that answer one number an image, (B,)."""

    loss: PerImage
    scores: dict[str, PerImage]

    @property
    def names(self) -> list[str]:
        """Of the numbers that `Step` sums up, the loss first."""
        return ["loss", *self.scores]


class Step:
    """Trains and measures a model whose layers' `trainable` stays as it is, batch by batch.

    `ema_decay` above 0 averages weights and batch-norm statistics exponentially, with less memory in the first steps:
    min(decay, (1 + t) / (10 + t)) at update t. A batch is computed in `accumulate` equal parts, one after the other.
    Several `replicas` share every batch; `model` and `optimizer` were made, and this is, among them (`together`).
    """

    def __init__(
        self,
        model: keras.Model,
        goal: Goal,
        optimizer: keras.optimizers.Optimizer,
        ema_decay: float,
        accumulate: int,
        replicas: Replicas | None = None,
    ) -> None:
        self.model, self.goal, self.optimizer = model, goal, optimizer
        self.decay, self.parts, self.replicas = ema_decay, accumulate, replicas or alone()
        self.trainable = model.trainable_variables
        optimizer.build(self.trainable)  # or Keras does so inside the first step, and TensorFlow traces it twice
        if self.replicas.count > 1:
            reduce_once(optimizer)
        self.averaged = [*self.trainable, *_statistics(model)] if ema_decay > 0 else []
        self.averages = [tf.Variable(variable.value, trainable=False) for variable in self.averaged]
        self.sums = tf.Variable(
            np.zeros(1 + len(goal.names)),
            dtype=tf.float64,
            trainable=False,
            synchronization=tf.VariableSynchronization.ON_READ,  # each replica has its own, a reader sees their sum
            aggregation=tf.VariableAggregation.SUM,
        )
        self._update = self.replicas.graph(self._traced_update)
        self._measure = self.replicas.graph(self._traced_measure, reduce_retracing=True)

    def train(self, pixels: NDArray[np.uint8], truth: NDArray[Any], rate: float) -> None:
        """One update at a learning rate, of this worker's rows of a batch: pixels (B, S, S, 3) and what is true of them.

        Raises UsageError when `accumulate` does not divide a device's rows.
        """
        rows = len(pixels) // self.replicas.local
        if rows % self.parts:
            raise UsageError(f"a batch of {rows} images cannot be computed in {self.parts} equal parts: change batch_size or accumulate")
        self.optimizer.learning_rate.assign(rate)
        self._update(*self.replicas.split(pixels, truth))

    def measure(self, *batches: Batch) -> NDArray[np.float64]:
        """Of some batches, one a device at most, the number of images, then the sum of the loss and of each score."""
        found = self.replicas.results(self._measure(*self.replicas.spread(batches)))
        total: NDArray[np.float64] = np.sum(found[: len(batches)], axis=0)
        return total

    def take_means(self) -> dict[str, float]:
        """Loss and scores an image since the last time, by name."""
        means = self.means(self.sums.numpy())
        self.sums.assign(np.zeros(self.sums.shape))
        return means

    def means(self, sums: NDArray[np.float64]) -> dict[str, float]:
        """What `measure` answered, as loss and scores an image."""
        return {name: float(total / max(sums[0], 1.0)) for name, total in zip(self.goal.names, sums[1:], strict=True)}

    def swap(self) -> None:
        """Exchange the weights and their averages; without averages nothing happens."""
        for variable, average in zip(self.averaged, self.averages, strict=True):
            kept = tf.identity(variable.value)
            variable.assign(average)
            average.assign(kept)

    def arrays(self) -> Arrays:
        """Everything that decides the steps to come, by name."""
        return {
            f"{group}/{index:04d}": read(variable)
            for group, variables in self._groups().items()
            for index, variable in enumerate(variables)
        }

    def restore(self, arrays: Arrays) -> None:
        """Go on from what `arrays` answered. Raises KeyError or ValueError when it is of another model."""
        for group, variables in self._groups().items():
            for index, variable in enumerate(variables):
                variable.assign(arrays[f"{group}/{index:04d}"])

    def _groups(self) -> dict[str, list[Any]]:
        return {"model": self.model.variables, "optimizer": self.optimizer.variables, "average": self.averages, "sums": [self.sums]}

    def _traced_update(self, pixels: Any, truth: Any) -> None:
        gradients, sums = self._whole(pixels, truth) if self.parts == 1 else self._in_parts(pixels, truth)
        self.optimizer.apply(self.replicas.mean(gradients), self.trainable)
        self.sums.assign_add(sums)
        done = tf.cast(self.optimizer.iterations.value, tf.float32)
        fresh = 1.0 - tf.minimum(self.decay, (1.0 + done) / (10.0 + done))
        for variable, average in zip(self.averaged, self.averages, strict=True):
            average.assign_add(fresh * (variable.value - average))

    def _whole(self, pixels: Any, truth: Any) -> tuple[list[Any], Any]:
        with tf.GradientTape() as tape:
            answers = self.model(pixels, training=True)
            losses = self.goal.loss(truth, answers)
            loss = tf.add_n([tf.reduce_mean(losses), *self.model.losses])
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return gradients, self._summed(truth, answers, losses)

    def _in_parts(self, pixels: Any, truth: Any) -> tuple[list[Any], Any]:
        size = tf.shape(pixels)[0] // self.parts

        def one(part: Any, gradients: list[Any], sums: Any) -> tuple[Any, list[Any], Any]:
            rows = slice(part * size, (part + 1) * size)
            found, counted = self._whole(pixels[rows], truth[rows])
            return part + 1, [old + new / self.parts for old, new in zip(gradients, found, strict=True)], sums + counted

        none = [tf.zeros_like(variable.value) for variable in self.trainable]
        start = (tf.constant(0), none, tf.zeros_like(self.sums))
        _, gradients, sums = tf.while_loop(lambda part, *_: part < self.parts, one, start, parallel_iterations=1)
        return gradients, sums

    def _traced_measure(self, pixels: Any, truth: Any) -> Any:
        answers = self.model(pixels, training=False)
        return self._summed(truth, answers, self.goal.loss(truth, answers))

    def _summed(self, truth: Any, answers: Any, losses: Any) -> Any:
        values = [tf.ones_like(losses), losses, *(score(truth, answers) for score in self.goal.scores.values())]
        return tf.stack([tf.reduce_sum(tf.cast(value, tf.float64)) for value in values])


def read(variable: Any) -> NDArray[Any]:
    """A copy of the values of a variable of Keras or TensorFlow."""
    return np.array((variable.value if isinstance(variable, keras.Variable) else variable).numpy())


def _statistics(model: keras.Model) -> list[Any]:
    """The moving statistics of every batch normalisation that learns."""
    learning = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable]
    return [variable for layer in learning for variable in (layer.moving_mean, layer.moving_variance)]
