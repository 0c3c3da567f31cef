"""Images whose class is likely wrong: out-of-fold probabilities, ranked by cleanlab.

Confident learning: Northcutt, Jiang and Chuang, 2021, https://arxiv.org/abs/1911.00068.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from cleanlab.count import num_label_issues
from cleanlab.rank import get_label_quality_scores
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from components.errors import DataError

FOLDS = 5
PENALTY = 0.03  # C of the logistic regression: little trust in any one image, lest wrong labels are learned by heart
ITERATIONS = 500


@dataclass(frozen=True)
class Ranking:
    """The images that could be judged, most suspicious first.

    `rows` (M,) are their places in the input, `scores` (M,) how much their labels are believed, 0..1, `likely` (M,) the
    index of the likeliest other class and `probability` (M,) what that has. `estimated` is how many labels are likely
    wrong in all. Not judged are the images of classes that stand in too few groups to be learned without them.
    """

    rows: NDArray[np.int64]
    scores: NDArray[np.float64]
    likely: NDArray[np.int64]
    probability: NDArray[np.float64]
    estimated: int


def rank(features: NDArray[np.float32], labels: NDArray[np.int64], groups: Sequence[str], seed: int) -> Ranking:
    """Rank images by how little their labels (N,), class indices from 0, are believed, given features (N, D).

    Images of the same group are always judged together, by a model that saw none of them. Raises DataError when there
    are too few classes or groups.
    """
    found = out_of_fold(features, labels, groups, seed)
    judged = np.flatnonzero(np.isfinite(found).all(axis=1))
    classes, own = np.unique(labels[judged], return_inverse=True)
    if len(classes) < 2:
        raise DataError("no label can be judged: expected two classes at least, each in two groups of images or more")
    known = found[np.ix_(judged, classes)]
    known /= known.sum(axis=1, keepdims=True)
    scores = get_label_quality_scores(own, known, method="self_confidence")
    order = np.argsort(scores, kind="stable")
    others = known.copy()
    others[np.arange(len(own)), own] = -1
    likely = others.argmax(axis=1)
    probability = others[np.arange(len(own)), likely]
    return Ranking(judged[order], scores[order], classes[likely][order], probability[order], int(num_label_issues(own, known)))


def out_of_fold(features: NDArray[np.float32], labels: NDArray[np.int64], groups: Sequence[str], seed: int) -> NDArray[np.float64]:
    """Class probabilities (N, C) of each image by a logistic regression fitted without its group.

    A row is NaN where the fitted model never saw the image's own class. Raises DataError for fewer than two groups.
    """
    folds = min(FOLDS, len(set(groups)), int(np.bincount(labels).max(initial=0)))
    if folds < 2:
        raise DataError(f"{len(set(groups))} groups of images are too few to judge labels by, expected two at least: add images")
    found = np.full((len(labels), int(labels.max()) + 1), np.nan)
    divided = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer images than folds: its images may stay NaN
        parts = list(divided.split(features, labels, np.asarray(groups)))
    for fitted, judged in parts:
        known = np.unique(labels[fitted])
        rows = judged[np.isin(labels[judged], known)]
        if len(known) > 1 and len(rows):
            model = make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=ITERATIONS))
            model.fit(features[fitted], labels[fitted])
            found[rows] = 0.0
            found[np.ix_(rows, known)] = model.predict_proba(features[rows])
    return found
