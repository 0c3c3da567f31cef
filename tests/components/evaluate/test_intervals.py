"""Intervals against scipy's bootstrap, closed forms, and how often they hold what is true."""

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import f1_score

from components.evaluate import headlines
from components.evaluate.classification import class_metrics
from components.evaluate.detection import coco_metrics
from components.evaluate.detection_draws import average_precisions
from components.evaluate.detection_matches import average_precision, gather, scenes
from components.evaluate.headlines import _hits, box_intervals, class_intervals, counts_at
from components.evaluate.intervals import bootstrap, share_interval, sums, units_of
from tests.components.evaluate.detection_cases import CLASSES, Case, hostile_case, random_case


def mean_of(values):
    return lambda weights: (weights @ values / weights.sum(axis=1))[:, None]


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = np.random.default_rng(0).gamma(2.0, 1.0, 300)
    low, high = bootstrap(mean_of(values), np.arange(300), 4000, 1)[:, 0]
    reference = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", random_state=2).confidence_interval
    assert (low, high) == pytest.approx((reference.low, reference.high), abs=0.01)


def test_copies_of_an_image_in_its_group_make_nothing_surer() -> None:
    right = np.random.default_rng(0).random(60) < 0.7
    few, groups = bootstrap(mean_of(right), np.arange(60), 3000, 0), np.repeat(np.arange(60), 8)
    copied = bootstrap(mean_of(np.repeat(right, 8)), groups, 3000, 0)
    assert copied == pytest.approx(few, abs=0.02)
    assert np.array(share_interval(np.repeat(right, 8), groups)) == pytest.approx(share_interval(right, np.arange(60)), abs=0.003)


def test_fewer_than_ten_groups_are_taken_apart() -> None:
    assert len(set(units_of(np.arange(90) % 9))) == 90
    assert len(set(units_of(np.arange(90) % 10))) == 10


def test_the_interval_of_a_share_is_wilsons_where_every_image_stands_alone() -> None:
    for right, count in ((0, 30), (3, 12), (199, 200), (25, 25)):
        found = share_interval(np.arange(count) < right, np.arange(count))
        reference = stats.binomtest(right, count).proportion_ci(0.95, "wilson")
        assert found == pytest.approx((reference.low, reference.high), abs=0.2 / count + 0.001)


@pytest.mark.parametrize("share", [0.6, 0.9])
def test_nineteen_intervals_of_twenty_hold_what_is_true_of_groups(share: float) -> None:
    random, held = np.random.default_rng(5), np.zeros(2)
    for seed in range(300):
        each = random.beta(4 * share, 4 * (1 - share), 60)  # images of a group are alike
        groups = np.repeat(np.arange(60), 4)
        right = (random.random(240) < each[groups]).astype(float)
        drawn = bootstrap(mean_of(right), groups, 300, seed)[:, 0]
        held += [low <= share <= high for low, high in (drawn, share_interval(right, groups))]
    # Of 300 at 95 % about 285; fewer than 270 happen with probability below 0.001.
    assert (held >= 268).all()


def test_a_metric_that_is_seldom_defined_has_no_interval() -> None:
    def sometimes(weights: np.ndarray) -> np.ndarray:
        return np.where(weights[:, :1] > 0, 1.0, np.nan)

    assert np.isnan(bootstrap(sometimes, np.arange(20), 200, 0)).all()
    assert np.isnan(bootstrap(mean_of(np.zeros(0)), np.zeros(0), 10, 0)).all()


def test_the_same_seed_gives_the_same_interval() -> None:
    values, groups = np.random.default_rng(0).random(50), np.arange(50)
    assert (bootstrap(mean_of(values), groups, 200, 3) == bootstrap(mean_of(values), groups, 200, 3)).all()
    assert (bootstrap(mean_of(values), groups, 200, 3) != bootstrap(mean_of(values), groups, 200, 4)).any()


def test_sums_by_label_are_those_of_bincount() -> None:
    random = np.random.default_rng(0)
    weights, labels = random.random((4, 30)), random.choice([0, 2, 3], 30)
    assert sums(weights, labels, 5) == pytest.approx(np.stack([np.bincount(labels, row, 5) for row in weights]))


def test_every_weighted_metric_is_the_metric_of_the_images_so_often_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    found, truth = random.dirichlet(np.ones(6), 80), random.integers(0, 6, 80)
    weights = random.integers(0, 4, (3, 80)).astype(np.float64)
    rows: list[np.ndarray] = []

    def noted(statistics: Any, *_: Any) -> np.ndarray:
        rows.append(statistics(weights))
        return np.zeros((2, 5))

    monkeypatch.setattr(headlines, "bootstrap", noted)
    names = list(class_intervals(truth, found, (2, 10), np.arange(80), 10, 0))
    for row, counts in zip(rows[0], weights.astype(int), strict=True):
        repeated = np.repeat(np.arange(80), counts)
        expected = class_metrics(truth[repeated], found[repeated], 2, 10)
        assert dict(zip(names, row, strict=True)) == pytest.approx(expected)
        predicted = found.argmax(axis=1)
        assert row[2] == pytest.approx(f1_score(truth, predicted, average="macro", sample_weight=counts, zero_division=0.0))


def test_a_detectors_intervals_hold_its_metrics() -> None:
    truth, predictions, images = random_case(3, images=30)
    found = scenes(truth, predictions, images, CLASSES)
    points = dict.fromkeys(CLASSES, 0.3)
    intervals = box_intervals(found, CLASSES, points, np.arange(30), 200, 0)
    true, false, missed = counts_at(found, CLASSES, points).sum(axis=0)
    whole = coco_metrics(truth, predictions, images, CLASSES)
    expected = {name: whole[name] for name in ("map", "map50", "map75", "ar100")}
    expected |= {"precision": true / (true + false), "recall": true / (true + missed), "f1": 2 * true / (2 * true + false + missed)}
    assert list(intervals) == ["map", "map50", "map75", "precision", "recall", "f1", "ar100"]
    for name, value in expected.items():
        low, high = intervals[name]
        assert low <= value <= high and low < high, name


def test_average_recall_of_the_weighted_statistic_is_cocos() -> None:
    truth, predictions, images = random_case(4)
    hits, boxes = _hits(gather(scenes(truth, predictions, images, CLASSES), CLASSES))
    recalls = [hits[:, k].sum(axis=0) / boxes[:, k].sum() for k in range(len(CLASSES)) if boxes[:, k].sum()]
    assert np.mean(recalls) == pytest.approx(coco_metrics(truth, predictions, images, CLASSES)["ar100"])


@pytest.mark.parametrize("case", [random_case(5), hostile_case(6)], ids=["random", "hostile"])
def test_average_precision_of_many_draws_is_that_of_each(case: Case) -> None:
    matched = gather(scenes(*case, CLASSES), CLASSES)
    weights = np.random.default_rng(0).integers(0, 3, (20, len(matched.image_ids)))
    weights[0] = 0
    together = average_precisions(matched, weights.astype(np.float64))
    for row, found in zip(weights, together, strict=True):
        assert found == pytest.approx(average_precision(matched, row), abs=1e-9, nan_ok=True)
