"""The corruption error of rows written by hand, and which images are shown at which severity."""

import numpy as np
import pandas as pd
import pytest

from components.evaluate.robustness import chosen, corruptions_picture, of_classifier, severities, severity_picture, summary


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
    rows = [{"image_id": f"i{at}", "corruption": name, "severity": level, "correct": ok} for at, (name, level, ok) in enumerate(right)]
    told = of_classifier(pd.DataFrame(rows), {f"i{at}": at != 5 for at in range(6)})
    # Errors of the four cells: 1/3, 1, 0, 1; of six images five are right as they are.
    assert told["mean_corruption_error"] == pytest.approx((1 / 3 + 1 + 0 + 1) / 4)
    assert told["clean"] == pytest.approx(5 / 6)
    assert told["relative_corruption_error"] == pytest.approx(7 / 12 - 1 / 6)
    assert told["corruptions"]["fog"]["value"] == 0.5
    assert told["corruptions"]["blur"]["by_severity"][:2] == [1.0, 0.0] and np.isnan(told["corruptions"]["blur"]["by_severity"][2])
    assert told["low"] < 0.5 < told["high"]


def test_the_pictures_hold_every_corruption(tmp_path) -> None:
    rows = {name: {"value": 0.5, "by_severity": [0.9, 0.8, 0.7, float("nan"), 0.1]} for name in ("fog", "noise")}
    severity_picture(summary("map50", 12, 0.9, rows), tmp_path / "r.png")
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
    clean = np.full((64, 64, 3), 10, np.uint8)
    sheet = corruptions_picture(clean, {"fog": [clean + level * 40 for level in range(1, 6)]})
    assert {10, 50, 90, 130, 170, 210} <= set(np.unique(sheet))
