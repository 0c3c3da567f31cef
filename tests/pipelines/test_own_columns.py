"""A column `camera` of a CSV file, from the label file through validate, split and evaluate to the report's slices."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from components.data import tables
from components.errors import UsageError
from components.predict import Latency
from pipelines.paths import Paths
from pipelines.settings import Settings, load
from pipelines.stages import evaluate, evaluate_classification, split, validate
from tests.images import classification_image, write_png
from tests.project import make_project

PER_CLASS = 30
CAMERAS = ("north", "south", "")


def project(root: Path, header: str = "image,label,camera,exposure,serial") -> Paths:
    """Images whose camera, exposure (a number of many values) and serial (as many texts) a CSV file tells."""
    paths = make_project(root, images=False)
    rows = []
    for number in range(2 * PER_CLASS):
        name = f"{number:02}.png"
        write_png(paths.data / "classification" / "images" / name, classification_image(number % 2, 48, np.random.default_rng(number)))
        rows.append(f"{name},{'ab'[number % 2]},{CAMERAS[number % 3]},{number / 10},s{number}")
    (paths.data / "classification" / "labels.csv").write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return paths


def knobs(paths: Paths, *slices: str) -> Settings:
    found = load(paths.params)
    data = replace(found.data, classification=replace(found.data.classification, format="csv"))
    return replace(found, data=data, evaluate=replace(found.evaluate, slices=list(slices), slice_images=2, robustness_images=0, rounds=100))


class Constant:
    """A classifier that always answers the first class."""

    output_shape = (None, 2)
    layers: tuple[()] = ()

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        return np.tile(np.array([0.6, 0.4], np.float32), (len(pixels), 1))


def evaluated(paths: Paths, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(evaluate_classification, "load_measured", lambda *_: (Constant(), 1.0))
    monkeypatch.setattr(evaluate_classification, "latency_ms", lambda *_: Latency(1.0, 1.0))
    model = paths.root / "model.keras"
    model.write_bytes(b"weights")
    about = {"name": "tiny", "classes": ["a", "b"], "data_digest": "d" * 64, "seed": 0, "flops": 1, "parameters": 1, "seconds": 1.0}
    about["params"] = {"architecture": "cnn", "image_size": 32}
    evaluate.evaluate_model(paths, settings, (model, about), paths.evaluate("tiny"), tables.CLASSIFICATION)
    return dict(json.loads((paths.evaluate("tiny") / "report.json").read_text("utf-8")))


def test_a_column_of_the_csv_file_is_a_slice_of_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths = project(tmp_path / "p")
    settings = knobs(paths, "camera", "exposure", "serial")
    validate.run(paths, settings)
    split.run(paths, settings)
    test = tables.read(paths.split("classification") / "images.parquet", tables.IMAGES).query("split == 'test'")
    with caplog.at_level(logging.WARNING):
        report = evaluated(paths, settings, monkeypatch)
    told = {row["slice"]: row for row in report["slices"]}
    numbers = test["path"].str.slice(-6, -4).astype(int).to_numpy()
    assert len(numbers) > 12
    for place, camera in enumerate(("north", "south")):
        own = numbers[numbers % 3 == place]
        assert told[f"camera: {camera}"]["images"] == len(own) and told[f"camera: {camera}"]["value"] == pytest.approx(
            (own % 2 == 0).mean()
        )
    assert {name for name in told if name.startswith("camera")} == {"camera: north", "camera: south"}  # a blank is no slice
    assert (
        {name for name in told if name.startswith("exposure")} <= {f"exposure: {third}" for third in ("low", "middling", "high")} != set()
    )
    assert not [name for name in told if name.startswith("serial")]
    assert f"serial has {len(numbers)} different texts among the test images, more than 12: no slices" in caplog.text


def test_a_column_that_no_dataset_has_is_refused_before_anything_is_split_or_trained(tmp_path: Path) -> None:
    paths = project(tmp_path / "p")
    validate.run(paths, knobs(paths))
    with pytest.raises(
        UsageError, match=r"names 'kamera', expected columns .*label.* camera, exposure, serial; did you mean camera\?"
    ) as told:
        split.run(paths, knobs(paths, "camera", "kamera"))
    assert told.value.exit_code == 2 and not paths.split("classification").exists()


def test_columns_named_like_those_there_are_keep_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = project(tmp_path / "p", "image,label,source,source_id,format")
    settings = knobs(paths, "source", "csv.format", "format")
    validate.run(paths, settings)
    split.run(paths, settings)
    names = {row["slice"] for row in evaluated(paths, settings, monkeypatch)["slices"]}
    assert {"csv.source: north", "csv.source: south"} <= names
    assert not [name for name in names if name.startswith("format: ")]  # PNG, all of them


def test_what_only_one_task_has_is_told_of_the_other(caplog: pytest.LogCaptureFixture) -> None:
    from pipelines.stages.evaluate_slices import _columns
    from tests.components.evaluate.test_slices import images

    test = images(2, **{"csv.camera": ["north", "south"]})
    dataset: Any = SimpleNamespace(task="classification", images=test, part=lambda _split: test)
    with caplog.at_level(logging.WARNING):
        assert _columns(dataset, ["camera", "altitude"]) == ["camera"]
    assert "the classification images have no column altitude" in caplog.text


def test_without_such_columns_the_tables_are_what_they_were(tmp_path: Path) -> None:
    paths = project(tmp_path / "p")
    csv = paths.data / "classification" / "labels.csv"
    csv.write_text("\n".join(",".join(line.split(",")[:2]) for line in csv.read_text().splitlines()) + "\n")
    validate.run(paths, knobs(paths))
    split.run(paths, knobs(paths))
    for place in (paths.validate, paths.split):
        assert list(tables.read(place("classification") / "images.parquet", tables.IMAGES)) == tables.IMAGES.names
