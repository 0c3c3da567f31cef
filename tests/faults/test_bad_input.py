"""What users bring that is missing, broken or too much: a message, an exit code, nothing spoilt, and a second run that works."""

import errno
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipelines import cli
from pipelines.paths import Paths
from tests.images import make_detection_voc
from tests.project import command, make_project

SMALL = 24_000_000  # bytes of the disk that fills up: two reports of the validation, with their pages


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    for name in ("pipelines", "components"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A command in this process, in the project: answers its exit code."""

    def run(paths: Paths, *arguments: str) -> int:
        monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
        return cli.main(arguments)

    return run


def outputs(paths: Paths) -> dict[str, bytes]:
    return {str(path.relative_to(paths.root)): path.read_bytes() for path in paths.outputs.rglob("*") if path.is_file()}


def report(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "report.json").read_text()))


def test_no_data_and_no_network_exits_with_4_and_says_what_to_do(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_project(tmp_path / "p", images=False)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "empty-cache"))
    assert run(paths, "run") == 4
    said = capsys.readouterr().err
    assert "check the network" in said and "visionloop data import" in said
    assert not paths.data.exists()
    make_detection_voc(paths.data / "detection")
    assert run(paths, "stage", "validate") == 0


@pytest.mark.parametrize("folders", [(), ("classification",), ("classification/cats", "detection")])
def test_data_with_nothing_in_them_exit_with_3(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str], folders: tuple[str, ...]
) -> None:
    paths = make_project(tmp_path / "p", images=False)
    paths.data.mkdir()
    for folder in folders:
        (paths.data / folder).mkdir(parents=True, exist_ok=True)
    assert run(paths, "stage", "validate") == 3
    assert "visionloop data sample" in capsys.readouterr().err
    shutil.rmtree(paths.data)
    make_detection_voc(paths.data / "detection")
    assert run(paths, "stage", "validate") == 0


def test_a_later_stage_without_the_earlier_exits_with_3_and_names_it(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = make_project(tmp_path / "p")
    assert run(paths, "stage", "split") == 3
    assert capsys.readouterr().err.startswith("error: ")
    assert run(paths, "stage", "validate") == 0 == run(paths, "stage", "split")


def test_an_unknown_model_exits_with_2_and_names_those_there_are(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = make_project(tmp_path / "p")
    assert run(paths, "run", "--model", "resnet9000") == 2
    said = capsys.readouterr().err
    assert "resnet9000" in said and "tiny" in said
    assert not paths.outputs.exists()


def test_a_class_of_one_image_fails_validation_by_name_until_the_limit_is_lowered(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = make_project(tmp_path / "p")
    single = paths.data / "classification" / "lonely" / "one.png"
    single.parent.mkdir()
    shutil.copyfile(paths.data / "classification" / "class_0" / "000.png", single)
    with single.open("ab") as file:
        file.write(b"\0")  # other bytes: no copy
    assert run(paths, "stage", "validate") == 1
    said = capsys.readouterr().err
    assert "validation failed" in said and "params.yaml" in said
    single.unlink()
    assert run(paths, "stage", "validate") == 0


def test_one_kind_of_data_alone_goes_through_and_the_other_is_said_to_be_skipped(
    tmp_path: Path, run: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    paths = make_project(tmp_path / "p", detector=True)
    shutil.rmtree(paths.data / "classification")
    with caplog.at_level(logging.INFO):
        for stage in ("validate", "split", "augment"):
            assert run(paths, "stage", stage) == 0
    assert "data/classification is absent or empty: the classification half is skipped" in caplog.text
    assert "skipped" in report(paths.split("classification")) and report(paths.split("detection"))["images"]


@pytest.mark.parametrize("damage", [b"", b"this is no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "half"])
def test_a_broken_image_is_quarantined_by_name_and_the_run_goes_on(
    tmp_path: Path, run: Callable[..., int], caplog: pytest.LogCaptureFixture, damage: bytes | str
) -> None:
    paths = make_project(tmp_path / "p")
    broken = paths.data / "classification" / "class_1" / "003.png"
    spoilt = broken.read_bytes()[:-200] if isinstance(damage, str) else damage
    broken.write_bytes(spoilt)
    with caplog.at_level(logging.WARNING):
        assert run(paths, "stage", "validate") == 0
    assert "classification/class_1/003.png" in caplog.text
    assert "classification/class_1/003.png" in (paths.validate("classification") / "quarantine.csv").read_text()
    assert report(paths.validate("classification"))["images"] == {"found": 24, "kept": 23, "quarantined": 1}
    assert broken.read_bytes() == spoilt, "the source is never written to"
    assert run(paths, "stage", "split") == 0


def test_too_many_broken_images_stop_the_run_and_mending_them_lets_it_go(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    paths = make_project(tmp_path / "p")
    images = sorted((paths.data / "classification" / "class_1").iterdir())[:6]
    kept = {path: path.read_bytes() for path in images}
    for path in images:
        path.write_bytes(b"junk")
    assert run(paths, "stage", "validate") == 1
    assert "quarantine.csv" in capsys.readouterr().err
    for path, data in kept.items():
        path.write_bytes(data)
    assert run(paths, "stage", "validate") == 0


def test_a_disk_that_fills_up_exits_with_5_and_leaves_what_was_there(
    tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from components.data import tables

    paths = make_project(tmp_path / "p")
    assert run(paths, "stage", "validate") == 0 == run(paths, "stage", "split")
    before = outputs(paths)
    write, count = tables.write, iter(range(100))

    def full(frame: Any, path: Path, schema: Any) -> None:
        write(frame, path, schema)
        if next(count) == 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(tables, "write", full)
    for stage in ("validate", "split"):
        count = iter(range(100))
        assert run(paths, "stage", stage) == 5
        assert "the disk is full" in capsys.readouterr().err
        assert outputs(paths) == before
    monkeypatch.setattr(tables, "write", write)
    assert run(paths, "stage", "validate") == 0 == run(paths, "stage", "split")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that is soon full; only the superuser can make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if (
        os.geteuid()
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "tmpfs", str(folder)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_really_full_exits_with_5_and_once_there_is_room_all_is_well(small_disk: Path, tmp_path: Path) -> None:
    paths = make_project(tmp_path / "p")
    shutil.copytree(
        paths.root, small_disk / "p", dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git", "components", "pipelines", "requirements")
    )
    project = Paths(small_disk / "p")
    (project.root / "components").mkdir()
    assert command(project, "stage", "validate").returncode == 0
    before = outputs(project)
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space left"), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    done = command(project, "stage", "validate")
    assert done.returncode == 5, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: the disk is full"), done.stderr
    assert outputs(project) == before
    ballast.unlink()
    assert command(project, "stage", "validate").returncode == 0
