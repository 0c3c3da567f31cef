"""The corruption error of rows written by hand, and which images are shown at which severity."""

import numpy as np
import pandas as pd
import pytest

from components.evaluate.detection import coco_metrics
from components.evaluate.detection_matches import matches
from components.evaluate.robustness import chosen, corruptions_picture, of_classifier, of_detector, severities, severity_picture, summary


def test_the_sample_has_every_stratum_by_its_share_and_the_seed_decides_which() -> None:
    strata = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    rows = chosen(strata, 20, 0)
    assert len(set(rows)) == 20 and list(rows) == sorted(rows)
    assert pd.Series(strata)[rows].value_counts().to_dict() == {"a": 12, "b": 6, "c": 2}
    assert (chosen(strata, 20, 0) == rows).all() and (chosen(strata, 20, 1) != rows).any()
    assert list(chosen(strata, 1000, 0)) == list(range(100)) and not len(chosen(strata, 0, 0))


def test_severities_take_turns() -> None:
    for corruption in range(6):
        assert (np.bincount(severities(20, corruption))[1:] == 4).all()
    assert list(severities(5, 0)) == [1, 2, 3, 4, 5] and list(severities(5, 4)) == [5, 1, 2, 3, 4]


def test_the_mean_error_counts_every_cell_once() -> None:
    right = [("fog", 1, True), ("fog", 1, True), ("fog", 1, False), ("fog", 2, False), ("blur", 1, True), ("blur", 2, False)]
    rows = [
        {"image_id": f"i{at}", "corruption": name, "severity": level, "found": float(ok), "wanted": 1}
        for at, (name, level, ok) in enumerate(right)
    ]
    told = of_classifier(pd.DataFrame(rows), {f"i{at}": at != 5 for at in range(6)}, {f"i{at}": at for at in range(6)})
    # Errors of the four cells: 1/3, 1, 0, 1; of six images five are right as they are.
    assert told["mean_corruption_error"] == pytest.approx((1 / 3 + 1 + 0 + 1) / 4)
    assert told["clean"] == pytest.approx(5 / 6)
    assert told["relative_corruption_error"] == pytest.approx(7 / 12 - 1 / 6)
    assert told["corruptions"]["fog"]["value"] == 0.5
    assert told["corruptions"]["blur"]["by_severity"][:2] == [1.0, 0.0] and np.isnan(told["corruptions"]["blur"]["by_severity"][2])
    assert told["low"] < 0.5 < told["high"]


def test_images_of_one_group_tell_less() -> None:
    rows = [{"image_id": f"i{at}", "corruption": "fog", "severity": 1, "found": float(at >= 30), "wanted": 1} for at in range(60)]
    found, clean = pd.DataFrame(rows), dict.fromkeys((f"i{at}" for at in range(60)), True)
    alone, together = (of_classifier(found, clean, {f"i{at}": at // size for at in range(60)}) for size in (1, 5))
    assert together["high"] - together["low"] > 1.8 * (alone["high"] - alone["low"])


def boxes(images: list[str], shift: float) -> pd.DataFrame:
    """One tree a photograph, and a crow in the first twelve; moved to the right by `shift`."""
    tree, crow = (
        pd.DataFrame({"image_id": some, "label": label, "x_min": x + shift, "y_min": 0.1, "x_max": x + shift + 0.2, "y_max": 0.3})
        for some, label, x in ((images, "tree", 0.1), (images[:12], "crow", 0.6))
    )
    return pd.concat([tree, crow], ignore_index=True).assign(is_crowd=False, is_difficult=False)


def test_a_detectors_error_is_that_of_coco_in_every_cell() -> None:
    names, random = [f"i{at:02}" for at in range(30)], np.random.default_rng(0)
    images = pd.DataFrame({"image_id": names, "width": 100, "height": 100})
    truth = boxes(names, 0.0)
    clean = truth.assign(confidence=0.9)
    fog = boxes(names, 0.02).assign(confidence=random.random(42)).sample(30, random_state=0)
    noise = pd.concat([fog.iloc[:10], boxes(names, 0.15).assign(confidence=random.random(42))])
    found = {name: matches(truth, one, images, ["crow", "tree"]) for name, one in (("fog", fog), ("noise", noise))}
    told = of_detector(found, matches(truth, clean, images, ["crow", "tree"]), np.array(names), 200, 0)
    assert (told["measure"], told["images"], told["clean"]) == ("map50", 30, pytest.approx(1.0))
    errors = []
    for number, (name, predictions) in enumerate((("fog", fog), ("noise", noise))):
        row = told["corruptions"][name]
        cells = [images[severities(30, number) == level] for level in range(1, 6)]
        expected = [coco_metrics(truth, predictions, some, ["crow", "tree"])["map50"] for some in (images, *cells)]
        assert [row["value"], *row["by_severity"]] == pytest.approx(expected, abs=1e-6)
        assert row["low"] < row["value"] < row["high"]
        errors += [1 - value for value in expected[1:]]
    assert told["mean_corruption_error"] == pytest.approx(np.mean(errors), abs=1e-6)
    assert told["low"] < told["mean_corruption_error"] < told["high"]


@pytest.mark.parametrize("count", [1, 12])
def test_of_images_without_boxes_nothing_is_known(count: int) -> None:
    names = [f"i{at:02}" for at in range(count)]
    images = pd.DataFrame({"image_id": names, "width": 100, "height": 100})
    found = matches(boxes(names, 0.0).iloc[:0], boxes(names, 0.0).assign(confidence=0.5), images, ["crow", "tree"])
    told = of_detector({"fog": found}, found, np.array(names), 100, 0)
    numbers = [told["clean"], told["mean_corruption_error"], told["low"], told["corruptions"]["fog"]["value"]]
    assert told["images"] == count and np.isnan(numbers).all()


def test_the_pictures_hold_every_corruption(tmp_path) -> None:
    rows = {name: {"value": 0.5, "by_severity": [0.9, 0.8, 0.7, float("nan"), 0.1]} for name in ("fog", "noise")}
    severity_picture(summary("map50", 12, 0.9, rows, (0.1, 0.5)), tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    clean = np.full((64, 64, 3), 10, np.uint8)
    sheet = corruptions_picture(clean, {"fog": [clean + level * 40 for level in range(1, 6)]})
    assert {10, 50, 90, 130, 170, 210} <= set(np.unique(sheet))
