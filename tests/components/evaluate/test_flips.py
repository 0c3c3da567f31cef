"""Flips worked out by hand: images of classifiers, boxes of detectors at their operating points."""

import pandas as pd

from components.evaluate.detection_matches import scenes
from components.evaluate.flips import BROKEN, MENDED, in_words, of_classifiers, of_detectors
from tests.components.evaluate.detection_cases import SQUARE, boxes_of, found_of


def predictions(predicted: str) -> pd.DataFrame:
    table = pd.DataFrame({"label": list("aabb"), "predicted": list(predicted), "confidence": [0.5, 0.6, 0.7, 0.8]})
    names = {"image_id": [f"i{at}" for at in range(4)], "path": [f"p{at}" for at in range(4)]}
    return table.assign(**names, correct=table["label"] == table["predicted"])


def test_images_that_changed_sides_and_no_others() -> None:
    champion, candidate = predictions("abba"), predictions("aaaa")
    found = of_classifiers(champion, candidate.sample(frac=1, random_state=0))
    assert found.to_dict("records") == [
        {"image_id": "i2", "path": "p2", "label": "b", "champion": "b", "candidate": "a", "confidence": 0.7, "flip": BROKEN},
        {"image_id": "i1", "path": "p1", "label": "a", "champion": "b", "candidate": "a", "confidence": 0.6, "flip": MENDED},
    ]
    assert of_classifiers(champion, champion).empty
    # What was mended one way is what is broken the other.
    assert set(of_classifiers(candidate, champion)["flip"]) == {MENDED, BROKEN}


def test_boxes_that_one_model_finds_and_the_other_does_not() -> None:
    truth = boxes_of(("cat", 0, 0, 20, 20), ("cat", 40, 0, 60, 20), ("dog", 0, 40, 20, 60))
    before = found_of(("cat", 0, 0, 20, 20, 0.9), ("cat", 40, 0, 60, 20, 0.2), ("dog", 70, 70, 90, 90, 0.8))
    after = found_of(("cat", 40, 0, 60, 20, 0.9), ("dog", 0, 40, 20, 60, 0.9))
    sides = [scenes(truth, found, SQUARE, ["cat", "dog"]) for found in (before, after)]
    points = {"cat": 0.3, "dog": 0.3}
    table = of_detectors((sides[0], points), (sides[1], points), ["cat", "dog"])
    assert table.to_dict("records") == [{"image_id": "a", "mended": 2, "broken": 1, "false_before": 1, "false_after": 0, "flip": MENDED}]
    assert of_detectors((sides[0], points), (sides[0], points), ["cat", "dog"]).empty
    # With the champion's own point low enough, it found the second cat too.
    assert of_detectors((sides[0], {"cat": 0.1, "dog": 0.3}), (sides[1], points), ["cat", "dog"])["mended"].tolist() == [1]


def test_the_line_that_says_so() -> None:
    assert in_words(3, 1200, "images") == "3 images from wrong to right, 1,200 from right to wrong"
