"""How well images are classified: accuracy, top-k, macro F1, calibration, per class."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support, top_k_accuracy_score

Probabilities = NDArray[np.floating[Any]]
Indices = NDArray[np.integer[Any]]


def class_metrics(truth: Indices, probabilities: Probabilities, top_k: int, bins: int) -> dict[str, float]:
    """accuracy, top{k}_accuracy, macro_f1, log_loss and ece in their usual ranges.

    truth (N,) class indices, probabilities (N, C). Macro F1 is over the classes that occur in truth or prediction.
    """
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    likelihood = np.clip(probabilities[np.arange(len(truth)), truth], 1e-12, 1.0)
    top = 1.0 if top_k >= classes else float(_top_k(truth, probabilities, top_k))
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        f"top{top_k}_accuracy": top,
        "macro_f1": float(f1_score(truth, predicted, average="macro", zero_division=0.0)),
        "log_loss": float(-np.log(likelihood).mean()),
        "ece": expected_calibration_error(truth, probabilities, bins),
    }


def _top_k(truth: Indices, probabilities: Probabilities, k: int) -> float:
    classes = np.arange(probabilities.shape[1])
    if len(classes) == 2:
        return 1.0 if k >= 2 else float(accuracy_score(truth, probabilities.argmax(axis=1)))
    return float(top_k_accuracy_score(truth, probabilities, k=k, labels=classes))


def expected_calibration_error(truth: Indices, probabilities: Probabilities, bins: int) -> float:
    """ECE of the predicted class' confidence, equal-width bins, 0..1 (Guo et al. 2017, https://arxiv.org/abs/1706.04599)."""
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == truth
    which = bins_of(confidence, bins)
    gaps = [abs(correct[which == b].mean() - confidence[which == b].mean()) * (which == b).mean() for b in np.unique(which)]
    return float(np.sum(gaps))


def bins_of(confidence: Probabilities, bins: int) -> Indices:
    """The bin (N,) of equal width that a confidence (N,) in 0..1 falls into, 0 to bins - 1; edges belong to the lower one."""
    return np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)


def per_class(truth: Indices, predicted: Indices, classes: Sequence[str]) -> dict[str, dict[str, float]]:
    """precision, recall, f1 (0..1) and support (images) of every class; recall is 0 where there is no image."""
    labels = np.arange(len(classes))
    scores = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0.0)
    names = ("precision", "recall", "f1", "support")
    return {name: {key: float(column[k]) for key, column in zip(names, scores, strict=True)} for k, name in enumerate(classes)}


def confusion(truth: Indices, predicted: Indices, count: int) -> NDArray[np.int64]:
    """Images (count, count) by true class (row) and predicted class (column)."""
    return np.asarray(confusion_matrix(truth, predicted, labels=np.arange(count)), np.int64)
