"""What a classifier learns by."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops
from numpy.typing import NDArray

from components.train.balance import class_weights
from components.train.config import TrainConfig


def class_loss(config: TrainConfig, classes: NDArray[Any], num_classes: int) -> "ClassLoss":
    """The loss that the knobs `label_smoothing` and `class_balance` want, for training images of these class indices (N,)."""
    weights = class_weights(classes, num_classes).tolist() if config.class_balance == "weights" else None
    return ClassLoss(num_classes, config.label_smoothing, weights)


class ClassLoss(keras.losses.Loss):  # type: ignore[misc]
    """Softmax cross-entropy of logits (B, C) against class indices (B,) or shares of the classes (B, C), with label smoothing.

    Smoothing by e mixes e/C of every class into the truth (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567). With
    `class_weights` (C,) an image's loss is multiplied by the weight of its class, or of its classes in their shares:
    by that of the truth before smoothing, or a rare class would count in every image.
    """

    def __init__(self, num_classes: int, label_smoothing: float = 0.0, class_weights: Sequence[float] | None = None) -> None:
        super().__init__(name="class_loss")
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss an image, (B,)."""
        truth = y_true if _is_shares(y_true) else ops.one_hot(_indices(y_true), self.num_classes)
        losses = keras.losses.categorical_crossentropy(truth, y_pred, from_logits=True, label_smoothing=self.label_smoothing)
        if self.class_weights is None:
            return losses
        return losses * ops.sum(truth * ops.convert_to_tensor(self.class_weights, "float32"), axis=-1)


def is_correct(y_true: Any, y_pred: Any) -> Any:
    """1.0 for each image whose largest logit is of its class, or of the class with the largest share, else 0.0, (B,)."""
    truth = ops.cast(ops.argmax(y_true, axis=-1), "int32") if _is_shares(y_true) else _indices(y_true)
    return ops.cast(ops.cast(ops.argmax(y_pred, axis=-1), "int32") == truth, "float32")


def _is_shares(y_true: Any) -> bool:
    return len(y_true.shape) == 2 and y_true.shape[-1] != 1


def _indices(y_true: Any) -> Any:
    return ops.cast(ops.reshape(y_true, (-1,)), "int32")
