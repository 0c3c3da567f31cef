"""`visionloop predict` answers the boxes that reach the operating point of their class, and draws them."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipelines import predict_command
from pipelines.chosen import Chosen
from pipelines.paths import Paths

FOUND = [("cat", 0.1, 0.7), ("cat", 0.3, 0.69), ("dog", 0.5, 0.2), ("dog", 0.7, 0.19)]  # label, left side, confidence


def detections(_network: object, seen: np.ndarray, images: pd.DataFrame, _classes: list[str]) -> pd.DataFrame:
    assert seen.shape == (1, 64, 64, 3)
    columns = ["image_id", "label", "x_min", "y_min", "x_max", "y_max", "confidence"]
    return pd.DataFrame([(images["image_id"][0], label, x, 0.2, x + 0.1, 0.4, sure) for label, x, sure in FOUND], columns=columns)


def test_only_boxes_from_the_operating_point_of_their_class_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {"task": "detection", "classes": ["cat", "dog"], "params": {"image_size": 64}, "operating_points": {"cat": 0.7, "dog": 0.2}}
    monkeypatch.setattr(predict_command, "choose", lambda *_: Chosen(tmp_path / "model.keras", report))
    monkeypatch.setattr("components.predict.load_model", lambda _: None)
    monkeypatch.setattr("components.predict.detections", detections)
    Image.fromarray(np.full((50, 80, 3), 90, np.uint8)).save(tmp_path / "photo.png")
    out = tmp_path / "out"
    assert predict_command.predict(Paths(tmp_path), [tmp_path / "photo.png"], "detection", "champion", out, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)["predictions"]
    assert [(row["label"], row["x_min"], row["confidence"]) for row in answer] == [("cat", 0.1, 0.7), ("dog", 0.5, 0.2)]
    drawn = np.asarray(Image.open(out / "photo.boxes.png").convert("RGB"))
    assert drawn.shape == (50, 80, 3) and (drawn != 90).any()
