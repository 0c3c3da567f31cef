"""The classification loss against NumPy."""

import numpy as np
import pytest

from components.train.class_loss import ClassLoss, is_correct

LOGITS = np.random.default_rng(0).normal(0, 3, (6, 4)).astype(np.float32)
TRUTH = np.array([0, 1, 2, 3, 3, 0], np.int32)


def expected(smoothing: float) -> np.ndarray:
    log_softmax = LOGITS.astype(np.float64) - np.log(np.exp(LOGITS.astype(np.float64)).sum(axis=1, keepdims=True))
    truth = np.eye(4)[TRUTH] * (1 - smoothing) + smoothing / 4
    return -(truth * log_softmax).sum(axis=1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("truth", [TRUTH, TRUTH[:, None], TRUTH.astype(np.float32)])
def test_it_is_the_cross_entropy_with_the_smoothed_truth(smoothing, truth):
    loss = ClassLoss(4, smoothing)
    assert np.asarray(loss.call(truth, LOGITS)) == pytest.approx(expected(smoothing), rel=1e-5)
    assert float(loss(truth, LOGITS)) == pytest.approx(expected(smoothing).mean(), rel=1e-5)


def test_logits_of_any_size_give_a_finite_loss():
    assert np.isfinite(np.asarray(ClassLoss(2, 0.1).call(np.array([0, 1]), np.array([[-1e4, 1e4], [1e30, 0]], np.float32)))).all()


SHARES = np.array([[1, 0, 0, 0], [0, 0.3, 0.7, 0], [0.25, 0.25, 0.25, 0.25], [0, 0, 0, 1], [0.6, 0, 0, 0.4], [0, 1, 0, 0]], np.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_shares_of_the_classes_are_smoothed_as_indices_are(smoothing):
    log_softmax = LOGITS.astype(np.float64) - np.log(np.exp(LOGITS.astype(np.float64)).sum(axis=1, keepdims=True))
    by_hand = -((SHARES * (1 - smoothing) + smoothing / 4) * log_softmax).sum(axis=1)
    assert np.asarray(ClassLoss(4, smoothing).call(SHARES, LOGITS)) == pytest.approx(by_hand, rel=1e-5)
    one_hot = np.eye(4, dtype=np.float32)[TRUTH]
    assert np.asarray(ClassLoss(4, smoothing).call(one_hot, LOGITS)) == pytest.approx(expected(smoothing), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_an_image_counts_as_much_as_its_class_or_its_classes_in_their_shares(smoothing):
    weights = [0.5, 2.0, 1.0, 4.0]
    plain, weighted = ClassLoss(4, smoothing), ClassLoss(4, smoothing, weights)
    assert np.asarray(weighted.call(TRUTH, LOGITS)) == pytest.approx(expected(smoothing) * np.array(weights)[TRUTH], rel=1e-5)
    by_hand = np.asarray(plain.call(SHARES, LOGITS)) * [0.5, 1.3, 1.875, 4.0, 1.9, 2.0]
    assert np.asarray(weighted.call(SHARES, LOGITS)) == pytest.approx(by_hand, rel=1e-5)


def test_an_answer_is_right_when_it_is_the_class_with_the_largest_share():
    logits = np.array([[9, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 2], [0, 0, 0, 2], [5, 1, 0, 0]], np.float32)
    assert np.asarray(is_correct(SHARES[[0, 1, 3, 3, 4, 5]], logits)).tolist() == [1, 1, 0, 1, 0, 0]
    assert np.asarray(is_correct(TRUTH, logits)).tolist() == [1, 0, 0, 1, 1, 1]
    assert np.asarray(is_correct(TRUTH[:, None], logits)).tolist() == [1, 0, 0, 1, 1, 1]
