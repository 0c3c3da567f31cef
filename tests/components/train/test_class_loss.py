"""The classification loss against NumPy."""

import numpy as np
import pytest

from components.train.class_loss import ClassLoss

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
