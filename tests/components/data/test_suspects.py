"""Planted label errors are found again: classes flipped, boxes dropped, moved and renamed."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from components.data.boxes import iou
from components.data.suspects import classification, detection
from components.errors import DataError

CLASSES = 4


def separable(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Features of a Gaussian a class, 8 standard deviations apart in 16 dimensions."""
    labels = rng.integers(0, CLASSES, count)
    return (np.eye(16)[labels] * 8 + rng.normal(size=(count, 16))).astype(np.float32), labels


def flipped(labels: np.ndarray, share: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a share of them wrong, and which."""
    wrong = rng.choice(len(labels), round(share * len(labels)), replace=False)
    spoiled = labels.copy()
    spoiled[wrong] = (spoiled[wrong] + rng.integers(1, CLASSES, len(wrong))) % CLASSES
    return spoiled, wrong


def names(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_flipped_labels_of_separable_images_come_first(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features, truth = separable(400, rng)
    labels, wrong = flipped(truth, 0.05, rng)
    found = classification.rank(features, labels, names(400), seed)
    first = found.rows[: len(wrong)]
    assert np.isin(first, wrong).mean() >= 0.9  # precision, and recall as well: as many are named as are wrong
    assert 0.5 * len(wrong) <= found.estimated <= 1.1 * len(wrong)  # cleanlab's estimate is a careful one
    hits = np.isin(first, wrong)
    assert (found.likely[: len(wrong)][hits] == truth[first[hits]]).mean() >= 0.9
    assert (np.diff(found.scores) >= 0).all() and len(found.rows) == 400


def test_clean_labels_are_hardly_doubted() -> None:
    features, truth = separable(400, np.random.default_rng(3))
    assert classification.rank(features, truth, names(400), 0).estimated <= 2


def test_a_group_is_judged_by_a_model_that_never_saw_it() -> None:
    """Four copies of each image: were they divided, a wrong label would be confirmed by its own copies."""
    rng = np.random.default_rng(0)
    features, truth = separable(100, rng)
    labels, wrong = flipped(truth, 0.05, rng)
    copies = np.repeat(np.arange(100), 4)
    found = classification.rank(features[copies], labels[copies], [str(number) for number in copies], 0)
    first = copies[found.rows[: 4 * len(wrong)]]
    assert np.isin(first, wrong).mean() >= 0.9
    probabilities = classification.out_of_fold(features[copies], labels[copies], [str(number) for number in copies], 0)
    for number in range(100):
        same = probabilities[copies == number]
        np.testing.assert_allclose(same, np.broadcast_to(same[0], same.shape))


def test_the_same_seed_gives_the_same_ranking() -> None:
    rng = np.random.default_rng(0)
    features, truth = separable(120, rng)
    labels, _ = flipped(truth, 0.1, rng)
    one, other = (classification.rank(features, labels, names(120), 5) for _ in range(2))
    np.testing.assert_array_equal(one.rows, other.rows)


def test_a_class_that_cannot_be_learned_without_its_images_is_not_judged() -> None:
    features, truth = separable(100, np.random.default_rng(0))
    truth[truth == 3] = 2
    truth[:4] = 3
    found = classification.rank(features, truth, ["alone"] * 4 + names(96), 0)  # the class is one group
    assert set(found.rows) == set(range(4, 100))
    assert 3 not in found.likely


@pytest.mark.parametrize("groups", [["a"] * 20, ["a"] * 10 + ["b"] * 10])
def test_too_few_groups_are_an_error(groups: list[str]) -> None:
    """One group cannot be divided; of two groups, each of a class of its own, neither can be learned from the other."""
    features, _ = separable(20, np.random.default_rng(0))
    with pytest.raises(DataError, match="expected two"):
        classification.rank(features, np.repeat([0, 1], 10), groups, 0)


SIZE = (400, 300)
Corners = tuple[float, float, float, float]


def scene(rng: np.random.Generator) -> list[tuple[str, Corners]]:
    """Four objects, one a quarter of the image."""
    objects = []
    for left, top in ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.5, 0.5)):
        x, y = rng.uniform(0.02, 0.15, 2)
        objects.append((str(rng.choice(["cat", "dog"])), (left + x, top + y, left + x + 0.25, top + y + 0.25)))
    return objects


def shifted(corners: Corners, by: float) -> Corners:
    x0, y0, x1, y1 = corners
    return x0 + by, y0 + by, x1 + by, y1 + by


def detections(objects: list[tuple[str, Corners]], rng: np.random.Generator) -> list[tuple[str, Corners, float]]:
    """A good detector: every object within 0.01, its class right, sure of it; two unsure false alarms."""
    found = [(label, shifted(corners, float(rng.uniform(-0.01, 0.01))), float(rng.uniform(0.6, 0.9))) for label, corners in objects]
    return found + [("cat", (0.4, 0.4, 0.6, 0.6), float(rng.uniform(0.05, 0.2))), ("dog", (0.3, 0.0, 0.6, 0.2), 0.1)]


def tables(count: int, planted: dict[int, str], seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[int, Corners]]:
    """Labels with one error of a kind in each planted image, detections, images, and where each error is."""
    rng = np.random.default_rng(seed)
    truth, predictions, places = [], [], {}
    for number in range(count):
        objects = scene(rng)
        predictions += [(str(number), *row) for row in detections(objects, rng)]
        label, corners = objects[0]
        if number in planted:
            places[number] = corners
            kept = {
                "overlooked": [],
                "badly located": [(label, shifted(corners, 0.08))],
                "wrong class": [("dog" if label == "cat" else "cat", corners)],
            }
            objects = kept[planted[number]] + objects[1:]
        truth += [(str(number), name, box) for name, box in objects]
    columns = ["x_min", "y_min", "x_max", "y_max"]
    boxes = pd.DataFrame([(image, label, *corners, False, False) for image, label, corners in truth],
                         columns=["image_id", "label", *columns, "is_crowd", "is_difficult"])  # fmt: skip
    found = pd.DataFrame([(image, label, *corners, sure) for image, label, corners, sure in predictions],
                         columns=["image_id", "label", *columns, "confidence"])  # fmt: skip
    images = pd.DataFrame({"image_id": names(count), "width": SIZE[0], "height": SIZE[1]})
    return boxes, found, images, places


PLANTED = {3: "overlooked", 8: "overlooked", 11: "badly located", 17: "badly located", 20: "wrong class", 29: "wrong class"}


def test_planted_errors_of_boxes_are_found_and_named() -> None:
    truth, predictions, images, places = tables(60, PLANTED)
    found = detection.rank(truth, predictions, images, ["cat", "dog"])
    named = {int(one.image_id): one for one in found}
    assert {number: one.kind for number, one in named.items()} == PLANTED
    for number, one in named.items():
        assert iou(np.array([one.found]), np.array([places[number]]))[0, 0] > 0.8
        assert (one.box is None) == (one.kind == "overlooked")
        assert (one.label == one.likely) == (one.kind == "badly located")
        assert 0 <= one.score < detection.DOUBT and 0 <= one.image_score <= 1 and one.probability > detection.LIKELY
    assert [one.image_score for one in found] == sorted(one.image_score for one in found)


def test_clean_boxes_are_not_doubted() -> None:
    truth, predictions, images, _ = tables(40, {})
    assert detection.rank(truth, predictions, images, ["cat", "dog"]) == []


def test_difficult_boxes_are_not_doubted() -> None:
    truth, predictions, images, _ = tables(60, PLANTED)
    assert Counter(one.kind for one in detection.rank(truth.assign(is_difficult=True), predictions, images, ["cat", "dog"])) == {
        "overlooked": 2
    }


def test_a_weak_detector_accuses_nobody() -> None:
    """Confidences that say nothing of what is true are worth nothing, however high they are."""
    truth, predictions, images, _ = tables(40, PLANTED)
    rng = np.random.default_rng(0)
    wild = predictions.assign(**{name: rng.uniform(0, 0.4, len(predictions)) for name in ("x_min", "y_min")}, confidence=0.99)
    wild = wild.assign(x_max=wild["x_min"] + 0.1, y_max=wild["y_min"] + 0.1)
    assert detection.rank(truth, wild, images, ["cat", "dog"]) == []


def test_without_boxes_or_detections_there_is_nothing_to_say() -> None:
    truth, predictions, images, _ = tables(5, {})
    assert detection.rank(truth, predictions.iloc[:0], images, ["cat", "dog"]) == []
    assert detection.rank(truth.iloc[:0], predictions, images, ["cat", "dog"]) == []  # nothing was ever hit
    assert detection.rank(truth, predictions, images.iloc[:0], ["cat", "dog"]) == []


def test_calibration_by_hand() -> None:
    """Of the two detections above 0.5 both hit, of the two below one does: sorted by confidence 1, 1, 0, 1 -> 1, 1, 1/2, 1/2."""
    box = (0.1, 0.1, 0.3, 0.3)
    far = (0.6, 0.6, 0.8, 0.8)
    columns = ["image_id", "label", "x_min", "y_min", "x_max", "y_max"]
    truth = pd.DataFrame([(str(number), "cat", *box) for number in range(4)], columns=columns)
    rows = [("0", "cat", *box, 0.9), ("1", "cat", *box, 0.8), ("2", "cat", *far, 0.4), ("3", "cat", *box, 0.2)]
    predictions = pd.DataFrame(rows, columns=[*columns, "confidence"])
    np.testing.assert_allclose(detection.calibrated(truth, predictions), [1, 1, 0.5, 0.5])
