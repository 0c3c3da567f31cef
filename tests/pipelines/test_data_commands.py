import json
import shutil
from pathlib import Path

import pytest

from components.data import sample as sample_module
from components.errors import DataError, ResourceError, ServiceError, UsageError
from pipelines import copying, data_check, data_commands, versions
from pipelines.paths import Paths
from tests.images import make_classification, make_detection_voc, make_detection_yolo
from tests.imports import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Paths:
    """A DVC project without git, and without data."""
    from dvc.repo import Repo

    root = tmp_path / "project"
    root.mkdir()
    Repo.init(str(root), no_scm=True).close()
    (root / "requirements").mkdir()
    (root / "requirements" / "sample.txt").write_text("deepforest==2.1.0 --hash=sha256:" + "0" * 64 + "\n")
    return Paths(root)


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_import_copies_versions_and_tells(project: Paths, tmp_path: Path) -> None:
    source = make_classification(tmp_path / "own", classes=2, per_class=3)
    before = files(source)
    summary = data_commands.import_dataset(project, source, "classification")
    assert (summary["layout"], summary["images"], summary["classes"]) == ("folder", 6, ["class_0", "class_1"])
    assert files(project.data / "classification") == before == files(source)
    assert versions.is_current(project) and versions.data_digest(project) == summary["digest"]
    (project.data / "classification" / "class_0" / "000.png").unlink()
    assert not versions.is_current(project)


@pytest.mark.parametrize(("policy", "advised"), [("aerial", True), ("boxes", False)])
def test_the_policy_of_the_samples_aerial_photographs_is_pointed_out(project: Paths, tmp_path: Path, policy: str, advised: bool) -> None:
    params = (ROOT / "params.yaml").read_text()
    assert "  detection: aerial " in params
    (project.root / "params.yaml").write_text(params.replace("  detection: aerial ", f"  detection: {policy} "))
    advice = data_commands.import_dataset(project, make_detection_voc(tmp_path / "own", images=2), "detection")["advice"]
    assert any("augment.detection to boxes" in line for line in advice) == advised


def test_nothing_is_lost_when_another_dataset_takes_its_place(project: Paths, tmp_path: Path) -> None:
    make_classification(project.data / "classification", classes=2, per_class=3)  # never versioned by anyone
    before = files(project.data)
    source = make_detection_yolo(tmp_path / "own", images=6)
    kept = data_commands.import_dataset(project, source, "detection")
    assert "data/classification still holds" in kept["advice"][0]
    other = data_commands.import_dataset(project, make_classification(tmp_path / "new", classes=4), "classification")
    assert other["restore"].endswith("dvc checkout data.dvc")
    (pointer,) = [path for path in (project.private / "versions").iterdir() if path.stem != kept["digest"]]
    shutil.copyfile(pointer, project.root / "data.dvc")
    shutil.rmtree(project.data)
    versions.pull(project)
    assert files(project.data) == before


@pytest.mark.parametrize("spoil", ["empty", "file", "inside", "around", "unknown", "link", "folder link", "dangling"])
def test_a_refused_import_changes_nothing(project: Paths, tmp_path: Path, spoil: str) -> None:
    make_detection_voc(project.data / "detection", images=3)
    before = files(project.root)
    source = make_detection_voc(tmp_path / "own", images=2)
    (tmp_path / "elsewhere").mkdir()
    if spoil == "empty":
        source = tmp_path / "elsewhere"
    elif spoil == "file":
        source = source / "JPEGImages" / "000.png"
    elif spoil in ("inside", "around"):
        source = project.data / "detection" if spoil == "inside" else project.root
    elif spoil == "unknown":
        shutil.rmtree(source / "Annotations")
    else:
        target = {"link": project.root / "requirements" / "sample.txt", "folder link": tmp_path / "elsewhere"}
        (source / "linked").symlink_to(target.get(spoil, tmp_path / "nowhere"))
    with pytest.raises((DataError, UsageError)):
        data_commands.import_dataset(project, source, "detection")
    after = files(project.root)
    assert {name: after[name] for name in before if not name.startswith(".dvc/")} == {
        name: data for name, data in before.items() if not name.startswith(".dvc/")
    }
    assert not [path for path in project.data.iterdir() if path.name != "detection"]


def test_links_within_the_source_become_files(project: Paths, tmp_path: Path) -> None:
    source = make_classification(tmp_path / "own", classes=1, per_class=2)
    (source / "class_0" / "again.png").symlink_to(source / "class_0" / "000.png")
    data_commands.import_dataset(project, source, "classification")
    copied = project.data / "classification" / "class_0" / "again.png"
    assert not copied.is_symlink() and copied.read_bytes() == (source / "class_0" / "000.png").read_bytes()


def test_a_disk_too_small_is_said_before_copying(project: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = make_classification(tmp_path / "own", classes=1, per_class=2)
    monkeypatch.setattr(copying.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(ResourceError, match="MiB free"):
        data_commands.import_dataset(project, source, "classification")
    assert not (project.data / "classification").exists()


def test_check_reads_only_and_finds_the_task(tmp_path: Path, project: Paths) -> None:
    source = make_detection_voc(tmp_path / "own", images=3)
    (source / "JPEGImages" / "000.png").write_bytes(b"junk")
    before = files(tmp_path)
    (summary,) = data_check.check(project, source)
    assert (summary["task"], summary["layout"], summary["images"], summary["usable_images"]) == ("detection", "voc", 3, 2)
    assert [one["code"] for one in summary["findings"]] == ["not-an-image"]
    assert files(tmp_path) == before
    with pytest.raises(DataError, match="visionloop data"):
        data_check.check(project)


@pytest.fixture
def small_sample(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The sample's commands with a sample of a few generated images and no index."""

    def build(_: Path, destination: Path) -> dict[str, object]:
        make_classification(destination / "classification", classes=2, per_class=2)
        make_detection_voc(destination / "detection", images=2)
        for task, text in sample_module.CREDITS.items():
            (destination / task / "README.md").write_text(text, encoding="utf-8")
        return {"images": 6}

    monkeypatch.setattr(sample_module, "build_sample", build)
    monkeypatch.setattr(data_commands, "fetch_wheels", lambda _: tmp_path)


@pytest.mark.usefixtures("small_sample")
def test_the_sample_is_built_then_left_alone_then_restored(project: Paths) -> None:
    first = data_commands.sample(project)
    assert first["state"] == "built" and versions.is_current(project)
    assert data_commands.sample(project)["state"] == "present"
    shutil.rmtree(project.data)
    assert data_commands.sample(project) == {"state": "restored", "data": str(project.data), "digest": first["digest"]}
    shutil.rmtree(project.data)
    shutil.rmtree(project.root / ".dvc" / "cache", ignore_errors=True)
    assert data_commands.sample(project)["digest"] == first["digest"]


@pytest.mark.usefixtures("small_sample")
def test_a_remote_comes_first(project: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dvc.repo import Repo

    data_commands.sample(project)
    remote = f"['remote \"store\"']\n    url = {tmp_path / 'store'}\n"
    (project.root / ".dvc" / "config").write_text(f"[core]\n    no_scm = True\n    remote = store\n{remote}")
    with Repo(str(project.root)) as repo:
        repo.push()
    for folder in (project.data, project.root / ".dvc" / "cache"):
        shutil.rmtree(folder)
    monkeypatch.setattr(data_commands, "fetch_wheels", lambda _: pytest.fail("the index was asked"))
    assert data_commands.sample(project)["state"] == "restored"
    assert versions.is_current(project)


@pytest.mark.usefixtures("small_sample")
def test_other_data_are_never_replaced_by_the_sample(project: Paths) -> None:
    make_classification(project.data / "classification", classes=1, per_class=2)
    before = files(project.data)
    with pytest.raises(UsageError, match="stay as they are"):
        data_commands.sample(project)
    data_commands.ensure_data(project)
    assert files(project.data) == before


@pytest.mark.usefixtures("small_sample")
@pytest.mark.parametrize("remote", [None, "store"])
def test_a_run_without_the_recorded_data_takes_no_other(project: Paths, tmp_path: Path, remote: str | None) -> None:
    make_classification(project.data / "classification", classes=2, per_class=3)
    digest = versions.add_data(project)
    recorded = (project.root / "data.dvc").read_bytes()
    for folder in (project.data, project.root / ".dvc" / "cache"):
        shutil.rmtree(folder)
    if remote:
        address = f"[core]\n    no_scm = True\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'gone'}\n"
        (project.root / ".dvc" / "config").write_text(address)
    with pytest.raises(DataError, match=f"{digest}.*{remote or 'no remote'}.*dvc pull") as caught:
        data_commands.ensure_data(project)
    assert caught.value.exit_code == 3 and "\n" not in str(caught.value)
    assert (project.root / "data.dvc").read_bytes() == recorded and not project.data.exists()
    assert data_commands.sample(project)["state"] == "built"  # whoever asks for it gets it


@pytest.mark.usefixtures("small_sample")
def test_a_run_begins_with_the_sample_where_that_is_recorded_or_nothing_is(project: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    data_commands.ensure_data(project)
    first = files(project.data)
    monkeypatch.setattr(data_commands, "SAMPLE", versions.data_digest(project))
    for folder in (project.data, project.root / ".dvc" / "cache"):
        shutil.rmtree(folder)
    data_commands.ensure_data(project)
    assert files(project.data) == first


def test_without_a_network_the_remedy_is_named(project: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(ServiceError, match="UV_DEFAULT_INDEX") as caught:
        data_commands.sample(project)
    assert caught.value.exit_code == 4
    assert not project.data.exists() and not list(project.private.iterdir())


def test_wheels_are_fetched_once_for_each_list(project: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(data_commands, "_install", lambda requirements, folder: asked.append(requirements))
    first, second = (data_commands.fetch_wheels(project) for _ in range(2))
    assert first == second and len(asked) == 1
    (project.root / "requirements" / "sample.txt").write_text("other\n")
    data_commands.fetch_wheels(project)
    assert len(asked) == 2


def test_a_project_without_dvc_is_named(tmp_path: Path) -> None:
    make_classification(tmp_path / "data" / "classification")
    with pytest.raises(UsageError, match="dvc init"):
        versions.add_data(Paths(tmp_path))
    with pytest.raises(DataError, match="dvc add data"):
        versions.data_digest(Paths(tmp_path))


def test_check_groups_what_it_found_and_answers_no_when_something_is_left_out(
    tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]
) -> None:
    source = make_classification(tmp_path / "own", classes=2, per_class=6)
    assert data_check.command(project, source, None, None, as_json=False) == 0
    assert "nothing was found" in capsys.readouterr().out
    for number in range(5):
        (source / "class_0" / f"00{number}.png").write_bytes(b"junk" + bytes([number]))
    before = files(tmp_path)
    assert data_check.command(project, source, "classification", tmp_path / "out", as_json=False) == 1
    said = capsys.readouterr().out
    assert said.count("not-an-image") == 1 and "and 2 more" in said and "class_0/002.png" in said
    assert {name: data for name, data in files(tmp_path).items() if not name.startswith("out/")} == before
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"classification.html", "classification.json"}


def test_check_prints_json_for_machines(tmp_path: Path, project: Paths, capsys: pytest.CaptureFixture[str]) -> None:
    source = make_classification(tmp_path / "own", classes=2, per_class=3)
    (source / "class_0" / "000.png").write_bytes(b"")
    assert data_check.command(project, source, None, None, as_json=True) == 1
    (summary,) = json.loads(capsys.readouterr().out)
    assert (summary["task"], summary["images"], summary["usable_images"], summary["codes"]) == ("classification", 6, 5, {"empty": 1})
    assert summary["bad"] == 1 and summary["findings"][0]["remedy"]


def test_check_judges_by_the_limits_of_params(tmp_path: Path, project: Paths) -> None:
    source = make_classification(tmp_path / "own", classes=2, per_class=2, size=24)
    assert data_check.check(project, source)[0]["findings"] == []
    shutil.copyfile(Path(__file__).parents[2] / "params.yaml", project.params)
    project.params.write_text(project.params.read_text().replace("min_side: 16", "min_side: 30"))
    assert data_check.check(project, source)[0]["codes"] == {"too-small": 4}


def test_a_check_reads_in_the_format_it_is_told(tmp_path: Path, project: Paths) -> None:
    source = tmp_path / "own"
    make_detection_yolo(source, images=6)
    make_detection_voc(source, images=2)
    with pytest.raises(DataError, match="yolo and as voc"):
        data_check.checks(project, source, "detection")
    for layout in ("yolo", "voc"):
        (one,) = data_check.checks(project, source, layout=layout)
        assert (one.task, one.layout) == ("detection", layout)
