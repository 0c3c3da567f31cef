"""Average precision of many resamples is that of each."""

import numpy as np
import pandas as pd
import pytest

from components.evaluate.detection_draws import mean_average_precision
from components.evaluate.detection_matches import average_precision, matches


def random_boxes(random: np.random.Generator, count: int, images: list[str]) -> pd.DataFrame:
    corners = random.random((count, 2)) * 0.6
    sides = 0.1 + 0.3 * random.random((count, 2))
    places = {name: corners[:, k] for k, name in enumerate(("x_min", "y_min"))}
    places |= {name: corners[:, k] + sides[:, k] for k, name in enumerate(("x_max", "y_max"))}
    return pd.DataFrame({"image_id": random.choice(images, count), "label": random.choice(["a", "b"], count), **places})


@pytest.mark.parametrize("thresholds", [slice(0, 1), slice(None)])
def test_each_row_is_the_average_precision_of_its_weights(thresholds: slice) -> None:
    random = np.random.default_rng(0)
    names = [f"{index}" for index in range(15)]
    images = pd.DataFrame({"image_id": names, "width": 100, "height": 100})
    truth = random_boxes(random, 60, names).assign(is_crowd=random.random(60) < 0.1, is_difficult=False)
    near = truth.sample(40, random_state=1).drop(columns=["is_crowd", "is_difficult"])
    near[["x_min", "y_min"]] += 0.02
    predictions = pd.concat([near, random_boxes(random, 60, names)], ignore_index=True)
    predictions["confidence"] = random.random(100).round(2)  # with ties
    found = matches(truth, predictions, images, ["a", "b", "never"])
    weights = random.integers(0, 3, (30, 15))
    weights[0], weights[1] = 1, 0
    answer = mean_average_precision(found, weights.astype(float), thresholds)
    assert np.isnan(answer[1])
    rows = [row for row in range(30) if row != 1]
    assert answer[rows] == pytest.approx([np.nanmean(average_precision(found, weights[row])[:, thresholds]) for row in rows])


def test_without_detections_nothing_is_found() -> None:
    names = ["0", "1"]
    images = pd.DataFrame({"image_id": names, "width": 9, "height": 9})
    truth = random_boxes(np.random.default_rng(0), 4, names).assign(is_crowd=False, is_difficult=False, label="a")
    found = matches(truth, truth.assign(confidence=1.0).iloc[:0], images, ["a"])
    assert mean_average_precision(found, np.ones((2, 2)), slice(None)).tolist() == [0.0, 0.0]
