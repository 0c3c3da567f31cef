"""What a classifier learns by."""

from typing import Any

import keras
from keras import ops


class ClassLoss(keras.losses.Loss):  # type: ignore[misc]
    """Softmax cross-entropy of logits (B, C) against class indices (B,), with label smoothing.

    Smoothing by e mixes e/C of every class into the truth (Szegedy et al. 2016, https://arxiv.org/abs/1512.00567).
    """

    def __init__(self, num_classes: int, label_smoothing: float = 0.0) -> None:
        super().__init__(name="class_loss")
        self.num_classes = num_classes
        self.label_smoothing = label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One loss an image, (B,)."""
        truth = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), self.num_classes)
        return keras.losses.categorical_crossentropy(truth, y_pred, from_logits=True, label_smoothing=self.label_smoothing)


def is_correct(y_true: Any, y_pred: Any) -> Any:
    """1.0 for each image whose largest logit is of its class, else 0.0, (B,)."""
    found = ops.cast(ops.argmax(y_pred, axis=-1), "int32")
    return ops.cast(found == ops.cast(ops.reshape(y_true, (-1,)), "int32"), "float32")
