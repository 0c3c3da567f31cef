import json
from pathlib import Path

import pytest

from components.data.formats import read_dataset
from components.errors import DataError, UsageError
from pipelines import cli, data_export
from pipelines.paths import Paths
from tests.images import make_classification, make_detection_voc, make_detection_yolo


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("link", [False, True])
def test_export_writes_a_dataset_that_reads_the_same_and_leaves_the_source(tmp_path: Path, link: bool) -> None:
    source = make_detection_voc(tmp_path / "own", images=4)
    before = files(source)
    summary = data_export.export(Paths(tmp_path), "yolo", tmp_path / "new", source, link=link)
    assert (summary["images"], summary["layout"], summary["splits"]) == (4, "voc", ["none 4"])
    assert files(source) == before
    image = tmp_path / "new/images/000.png"
    assert image.samefile(source / "JPEGImages/000.png") is link and image.read_bytes() == before["JPEGImages/000.png"]
    one, two = read_dataset(source, "detection"), read_dataset(tmp_path / "new", "detection")
    assert list(one.boxes["label"]) == list(two.boxes["label"]) and one.classes == two.classes


def test_the_command_answers_in_json_and_needs_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dvc.yaml").write_text("")
    monkeypatch.setenv("VISIONLOOP_ROOT", str(tmp_path))
    make_detection_yolo(tmp_path / "data/detection", images=6)
    command = ["data", "export", "--format", "coco", "--out", str(tmp_path / "new"), "--json"]
    assert cli.main(command) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["splits"] == ["test 1", "train 4", "val 1"] and said["out"] == str(tmp_path / "new")
    before = files(tmp_path / "new")
    assert cli.main(command) == 2 and "empty or new folder" in capsys.readouterr().err
    assert files(tmp_path / "new") == before


@pytest.mark.parametrize("place", ["own/new", ".", "own", "file"])
def test_places_that_cannot_be_written_to_are_refused(tmp_path: Path, place: str) -> None:
    source = make_detection_voc(tmp_path / "own", images=2)
    (tmp_path / "file").write_text("x")
    before = files(tmp_path)
    with pytest.raises(UsageError):
        data_export.export(Paths(tmp_path), "coco", tmp_path / place, source)
    assert files(tmp_path) == before


def test_a_failed_export_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_detection_voc(tmp_path / "own", images=3)
    copied: list[str] = []

    def failing(one: Path, other: Path) -> None:
        copied.append(one.name)
        if len(copied) == 2:
            raise OSError("disk full")

    monkeypatch.setattr(data_export.shutil, "copyfile", failing)
    with pytest.raises(OSError, match="disk full"):
        data_export.export(Paths(tmp_path), "voc", tmp_path / "new", source)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own"]


def test_what_is_no_detection_dataset_is_refused(tmp_path: Path) -> None:
    source = make_classification(tmp_path / "own", classes=1, per_class=1)
    with pytest.raises(UsageError, match="formats of boxes"):
        data_export.export(Paths(tmp_path), "coco", tmp_path / "new", source, "classification")
    with pytest.raises(DataError, match="classification dataset"):
        data_export.export(Paths(tmp_path), "coco", tmp_path / "new", source)
    with pytest.raises(DataError, match="holds no files"):
        data_export.export(Paths(tmp_path), "coco", tmp_path / "new")
