import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from components.data import tables
from components.errors import DataError
from pipelines.paths import Paths
from pipelines.stages import split, validate
from tests.images import make_classification, make_detection_voc
from tests.project import ROOT


def project(root: Path) -> Paths:
    """A folder with nothing but the suites of expectations."""
    shutil.copytree(ROOT / "expectations", root / "expectations")
    return Paths(root)


def settings(**changed: object) -> SimpleNamespace:
    dataset = SimpleNamespace(format="auto", group_pattern=None, group_column=None, near_duplicates=True)
    own = {"on_bad": "quarantine", "max_bad_fraction": 0.2, "min_side": 16, "max_side": 999, "min_images_per_class": 2, "labels": None}
    own["expectations"] = {}
    return SimpleNamespace(
        seed=0,
        data=SimpleNamespace(classification=dataset, detection=dataset),
        validate=SimpleNamespace(**own | changed),
        split=SimpleNamespace(train=0.6, val=0.2, test=0.2, on_leak="refuse"),
        evaluate=SimpleNamespace(slices=[]),
    )


def read(folder: Path) -> tuple[object, object, list[str], dict[str, object]]:
    images, boxes = tables.read(folder / "images.parquet", tables.IMAGES), tables.read(folder / "boxes.parquet", tables.BOXES)
    return images, boxes, json.loads((folder / "classes.json").read_text()), json.loads((folder / "report.json").read_text())


def test_both_halves_end_to_end_with_a_broken_image(tmp_path: Path) -> None:
    paths = project(tmp_path)
    make_classification(paths.data / "classification", classes=3, per_class=8)
    make_detection_voc(paths.data / "detection", images=12)
    (paths.data / "classification" / "class_1" / "003.png").write_bytes(b"junk")
    validate.run(paths, settings())
    split.run(paths, settings())
    images, boxes, classes, report = read(paths.split("classification"))
    assert (len(images), len(boxes), classes) == (24, 0, ["class_0", "class_1", "class_2"])
    broken = images[images["path"] == "classification/class_1/003.png"].iloc[0]
    assert broken["status"] == "quarantined" and pd.isna(broken["split"]) and list(broken["problems"]) == ["not-an-image"]
    assert images.loc[images["status"] == "ok", "split"].notna().all()
    assert sum(report["images"].values()) == 23
    with (paths.validate("classification") / "quarantine.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["file"] == "classification/class_1/003.png" and row["code"] == "not-an-image" and row["remedy"]
    images, boxes, classes, report = read(paths.split("detection"))
    assert len(images) == 12 and set(boxes["image_id"]) <= set(images["image_id"]) and classes == ["blue", "red"]
    assert (paths.validate("detection") / "docs" / "index.html").is_file()


def test_an_absent_half_is_empty_tables_and_said_and_the_same_bytes_twice(tmp_path: Path) -> None:
    paths = project(tmp_path)
    make_detection_voc(paths.data / "detection", images=12)
    contents = []
    for _ in range(2):
        validate.run(paths, settings())
        split.run(paths, settings())
        folders = (paths.validate("detection"), paths.split("detection"))
        contents.append([(folder / name).read_bytes() for folder in folders for name in ("images.parquet", "report.json")])
    assert contents[0] == contents[1]
    images, boxes, classes, report = read(paths.split("classification"))
    assert images.empty and boxes.empty and classes == [] and "absent" in report["skipped"]


def test_no_data_at_all_is_refused_with_the_commands_to_run(tmp_path: Path) -> None:
    (tmp_path / "data" / "classification").mkdir(parents=True)
    with pytest.raises(DataError, match="visionloop data sample"):
        validate.run(project(tmp_path), settings())


def test_leakage_in_a_given_split_stops_the_split_by_name(tmp_path: Path) -> None:
    paths = project(tmp_path)
    for name in ("train", "test"):
        make_classification(paths.data / "classification" / name, classes=2, per_class=4, seed=7)
    validate.run(paths, settings(on_bad="report"))
    with pytest.raises(DataError, match=r"classification: The same image.*test/class_0/000\.png"):
        split.run(paths, settings())
