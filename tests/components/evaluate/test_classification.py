"""Classification metrics: worked out by hand, against scikit-learn, and where classes are missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from components.evaluate.classification import class_metrics, confusion, expected_calibration_error, per_class

# predicted 0, 0, 1, 2, 1, 0 with the confidences 0.9, 0.6, 0.7, 0.5, 0.55, 1.0
PROBABILITIES = np.array([[0.9, 0.05, 0.05], [0.6, 0.3, 0.1], [0.1, 0.7, 0.2], [0.2, 0.3, 0.5], [0.05, 0.55, 0.4], [1.0, 0.0, 0.0]])
TRUTH = np.array([0, 1, 1, 2, 2, 0])


def test_the_metrics_of_six_images_are_those_worked_out_by_hand():
    found = class_metrics(TRUTH, PROBABILITIES, top_k=2, bins=10)
    assert found["accuracy"] == pytest.approx(4 / 6)
    assert found["top2_accuracy"] == 1
    # precision and recall: class 0 2/3 and 1, class 1 1/2 and 1/2, class 2 1 and 1/2
    assert found["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.3, 0.7, 0.5, 0.4, 1.0]).mean())


def test_the_calibration_error_is_the_one_worked_out_by_hand():
    # two bins: confidences 0.4 (right) and 0.5 (wrong) below, 0.9 (right), 0.8 (wrong), 0.7 (right) above
    confidence = np.array([0.4, 0.5, 0.9, 0.8, 0.7])
    rest = (1 - confidence)[:, None] / np.array([2, 2])
    probabilities = np.concatenate([confidence[:, None], rest], axis=1)
    truth = np.array([0, 1, 0, 1, 0])
    expected = 2 / 5 * abs(1 / 2 - 0.45) + 3 / 5 * abs(2 / 3 - 0.8)
    assert expected_calibration_error(truth, probabilities, bins=2) == pytest.approx(expected)


def test_confidence_on_the_edge_of_a_bin_belongs_to_the_bin_below():
    # in (0, 0.5] both: confidence 0.5 once right and once wrong is perfectly calibrated
    assert expected_calibration_error(np.array([0, 1]), np.array([[0.5, 0.25, 0.25]] * 2), bins=2) == pytest.approx(0)


@pytest.mark.parametrize(("right", "expected"), [(True, 0.0), (False, 1.0)])
def test_certainty_is_calibrated_when_right_and_not_when_wrong(right, expected):
    assert expected_calibration_error(np.array([0 if right else 1] * 3), np.array([[1.0, 0.0]] * 3), bins=15) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 10**6))
def test_they_agree_with_scikit_learn(classes, count, seed):
    rng = np.random.default_rng(seed)
    probabilities, truth = rng.dirichlet(np.ones(classes), count), rng.integers(0, classes, count)
    predicted, labels = probabilities.argmax(axis=1), np.arange(classes)
    found = class_metrics(truth, probabilities, top_k=3, bins=10)
    assert found["accuracy"] == pytest.approx((predicted == truth).mean())
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, probabilities, labels=labels))
    ranks = (probabilities > probabilities[np.arange(count), truth][:, None]).sum(axis=1)
    assert found["top3_accuracy"] == pytest.approx((ranks < 3).mean())
    occurring = sorted({*truth.tolist(), *predicted.tolist()})
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, predicted, labels=occurring, average="macro", zero_division=0))
    assert 0 <= found["ece"] <= 1


def test_two_classes_have_a_top_two_of_one_and_a_top_one_that_is_the_accuracy():
    probabilities, truth = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]]), np.array([0, 0, 1])
    assert class_metrics(truth, probabilities, 2, 10)["top2_accuracy"] == 1
    assert class_metrics(truth, probabilities, 1, 10)["top1_accuracy"] == pytest.approx(1 / 3)


def test_top_five_of_three_classes_is_one():
    assert class_metrics(TRUTH, PROBABILITIES, 5, 10)["top5_accuracy"] == 1


def test_a_class_without_images_costs_nothing_unless_it_is_predicted():
    probabilities, truth = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0]]), np.array([0, 1])
    assert class_metrics(truth, probabilities, 2, 10)["macro_f1"] == 1
    predicted_once = np.array([[0.9, 0.1, 0.0], [0.1, 0.2, 0.7]])
    assert class_metrics(truth, predicted_once, 2, 10)["macro_f1"] == pytest.approx(1 / 3)
    assert class_metrics(truth, predicted_once, 2, 10)["top2_accuracy"] == 1


def test_an_impossible_truth_has_a_finite_log_loss():
    assert class_metrics(np.array([1]), np.array([[1.0, 0.0]]), 1, 10)["log_loss"] == pytest.approx(-np.log(1e-12))


def test_every_class_is_told_with_its_support():
    found = per_class(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ["cat", "dog", "fish"])
    assert found["cat"] == pytest.approx({"precision": 1, "recall": 2 / 3, "f1": 0.8, "support": 3})
    assert found["dog"] == pytest.approx({"precision": 0.5, "recall": 1, "f1": 2 / 3, "support": 1})
    assert found["fish"] == {"precision": 0, "recall": 0, "f1": 0, "support": 0}


def test_the_confusion_matrix_has_truth_in_rows_and_every_class():
    assert confusion(np.array([0, 0, 1]), np.array([1, 1, 0]), 3).tolist() == [[0, 2, 0], [1, 0, 0], [0, 0, 0]]
