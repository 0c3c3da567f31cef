"""Versions of data/ by name, laid out without touching data/, and their diff from the command line to the MLflow run."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.data import tables
from components.errors import DataError, UsageError
from pipelines import cli, data_change, data_diff, revisions, versions
from pipelines.paths import Paths
from pipelines.registry import Registry
from pipelines.tracking import Tracking
from tests.images import make_classification, make_detection_voc
from tests.pipelines.fabricate import Made, classifier, empty_store
from tests.project import ROOT

FIRST = "class_0/000.png"


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A DVC project under git whose first commit holds two classes of three images."""
    from dvc.repo import Repo

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    root = tmp_path / "a project"
    root.mkdir()
    git(root, "init", "-q")
    Repo.init(str(root)).close()
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    (root / "dvc.yaml").write_text("stages: {}\n")
    paths = Paths(root)
    make_classification(paths.data / "classification", classes=2, per_class=3, size=24)
    versions.add_data(paths)
    commit(root)
    return paths


def git(root: Path, *arguments: str) -> str:
    named = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(named, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path) -> str:
    git(root, "add", "data.dvc")
    git(root, "commit", "-q", "-m", "data")
    return git(root, "rev-parse", "HEAD")


def change(paths: Paths) -> None:
    """One image moves to the other class, one is gone, one is new."""
    data = paths.data / "classification"
    (data / FIRST).rename(data / "class_1" / "moved.png")
    (data / "class_1" / "000.png").unlink()
    shutil.copyfile(make_classification(paths.root / "more", classes=1, per_class=1, size=20) / FIRST, data / "class_0" / "new.png")
    shutil.rmtree(paths.root / "more")


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mode) for path in folder.rglob("*") if path.is_file()}


def kinds(found: dict[str, Any]) -> dict[str, int]:
    (task,) = found["tasks"]
    return dict(task["counts"]["images"])


WANTED = {"added": 1, "relabelled": 1, "removed": 1, "renamed": 1}


def test_a_revision_against_the_workspace_and_the_other_way_round(paths: Paths) -> None:
    change(paths)
    before, cache = contents(paths.data), contents(paths.root / ".dvc" / "cache")
    found = data_diff.data_diff(paths, "HEAD", "workspace", None, paths.root / "out")
    assert kinds(found) == WANTED
    assert kinds(data_diff.data_diff(paths, "workspace", "HEAD", "classification", None)) == WANTED
    assert kinds(data_diff.data_diff(paths, "workspace", "workspace", None, None)) == {}
    assert (contents(paths.data), contents(paths.root / ".dvc" / "cache")) == (before, cache)
    assert [path for path in paths.private.iterdir() if path.name.startswith("version-")] == []
    (task,) = found["tasks"]
    assert task["classes"] == {"class_0": {"before": 3, "after": 3}, "class_1": {"before": 3, "after": 3}}
    assert {Path(name).name for name in found["files"]} == {"data_diff-classification.json", "data_diff-classification.png"}
    assert json.loads((paths.root / "out" / "data_diff-classification.json").read_text()) == task
    from components.data.decode import read_image

    assert read_image(paths.root / "out" / "data_diff-classification.png").std() > 10


def test_every_way_to_name_a_version(paths: Paths) -> None:
    first, head = versions.data_digest(paths), git(paths.root, "rev-parse", "HEAD")
    change(paths)
    second = versions.add_data(paths)
    assert versions.kept_digests(paths) == [first]
    for name in (head, "HEAD", "main" if git(paths.root, "branch", "--show-current") == "main" else "master", head[:8]):
        assert revisions.resolve(paths, name).digest == first
    for name in (first, first.removesuffix(".dir"), first[:9]):
        assert revisions.resolve(paths, name).digest == first
    assert revisions.resolve(paths, second[:9]).digest == revisions.resolve(paths, "workspace").digest == second
    shutil.rmtree(paths.private)  # no pointer is kept, as on another machine with the same cache
    assert revisions.resolve(paths, first[:9]).digest == first
    assert kinds(data_diff.data_diff(paths, first[:9], second[:9], None, None)) == WANTED


def test_the_digest_of_the_workspace_is_what_dvc_would_record(paths: Paths) -> None:
    change(paths)
    digest, files = versions.workspace_files(paths)
    assert digest == versions.add_data(paths)
    assert files == versions.files_of(paths, digest)
    path = "classification/class_1/moved.png"
    done = subprocess.run(["md5sum", path], cwd=paths.data, capture_output=True, text=True, check=True)
    assert files[path] == done.stdout.split()[0]


@pytest.mark.parametrize("name", ["nothing", "0000", "HEAD~7", "--help", ""])
def test_a_name_that_means_nothing(paths: Paths, name: str) -> None:
    with pytest.raises(UsageError, match="neither a git revision nor"):
        revisions.resolve(paths, name)


def test_the_beginning_of_several_digests(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "kept_digests", lambda _: ["abcd1.dir", "abcd2.dir"])
    with pytest.raises(UsageError, match="beginning of 2 digests"):
        revisions.resolve(paths, "abcd")


def test_outputs_of_stages_in_the_cache_are_no_versions(paths: Paths) -> None:
    from dvc.repo import Repo

    (paths.root / "other").mkdir()
    (paths.root / "other" / "table.csv").write_text("a\n")
    with Repo(str(paths.root)) as repo:
        repo.add([str(paths.root / "other")])
    digest = versions.digest_in((paths.root / "other.dvc").read_text(), "other.dvc")
    with pytest.raises(UsageError, match="neither"):
        revisions.resolve(paths, digest[:8])


def test_a_revision_from_before_there_were_data(paths: Paths) -> None:
    git(paths.root, "checkout", "-q", "--orphan", "bare")
    git(paths.root, "rm", "-q", "--cached", "-r", ".")
    git(paths.root, "commit", "-q", "--allow-empty", "-m", "nothing")
    with pytest.raises(DataError, match=r"no data\.dvc"):
        revisions.resolve(paths, "HEAD")


def forget(paths: Paths, digest: str, files: versions.Files, *, manifest: bool) -> None:
    """Take a version's files that data/ has no more, and its manifest, from the cache."""
    cache = paths.root / ".dvc" / "cache" / "files" / "md5"
    gone = set(files.values()) - set(versions.workspace_files(paths)[1].values()) | ({digest} if manifest else set())
    for md5 in gone:
        (cache / md5[:2] / md5[2:]).unlink()


@pytest.mark.parametrize("manifest", [True, False])
def test_a_version_in_neither_cache_nor_remote(paths: Paths, manifest: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    first, (_, files) = versions.data_digest(paths), versions.workspace_files(paths)
    change(paths)
    versions.add_data(paths)
    forget(paths, first, files, manifest=manifest)
    with pytest.raises(DataError, match="dvc push"):
        data_diff.data_diff(paths, "HEAD", "workspace", None, None)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(["data", "diff", "HEAD"]) == 3


@pytest.mark.parametrize("manifest", [True, False])
def test_what_the_cache_lacks_comes_from_the_remote(paths: Paths, tmp_path: Path, manifest: bool) -> None:
    from dvc.repo import Repo

    with Repo(str(paths.root)) as repo, repo.config.edit("repo") as config:
        config["remote"] = {"store": {"url": str(tmp_path / "store")}}
        config["core"]["remote"] = "store"
    with Repo(str(paths.root)) as repo:
        repo.push()
    first, (_, files) = versions.data_digest(paths), versions.workspace_files(paths)
    change(paths)
    versions.add_data(paths)
    forget(paths, first, files, manifest=manifest)
    assert kinds(data_diff.data_diff(paths, "HEAD", "workspace", None, None)) == WANTED
    shutil.rmtree(tmp_path / "store")
    (tmp_path / "store").mkdir()
    forget(paths, first, files, manifest=False)
    with pytest.raises(DataError, match=r"remote (does not|holds)"):
        data_diff.data_diff(paths, "HEAD", "workspace", None, None)


def test_laying_out_cannot_hurt_the_cache(paths: Paths) -> None:
    files = revisions.resolve(paths, "HEAD").files
    cache = contents(paths.root / ".dvc" / "cache")
    with versions.laid_out(paths, files) as folder:
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")} == set(files)
        for path in folder.rglob("*.png"):
            assert path.stat().st_mode & 0o222 == 0 or path.stat().st_nlink == 1  # what is shared is write-protected
            assert not path.is_symlink()
    assert not folder.exists()
    assert contents(paths.root / ".dvc" / "cache") == cache
    assert versions.is_current(paths)


def test_a_manifest_that_climbs_out_is_refused(paths: Paths) -> None:
    text = b'[{"md5": "d41d8cd98f00b204e9800998ecf8427e", "relpath": "../../evil"}]'
    digest = "00" + "1" * 30 + ".dir"
    place = paths.root / ".dvc" / "cache" / "files" / "md5" / "00" / digest[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text)
    with pytest.raises(DataError, match="outside"):
        revisions.resolve(paths, digest)


def test_corrections_are_part_of_a_version(paths: Paths) -> None:
    (paths.data / "classification" / "corrections.csv").write_text(f"path,action,label,expected\n{FIRST},relabel,class_1,class_0\n")
    found = data_diff.data_diff(paths, "HEAD", "workspace", None, None)
    assert kinds(found) == {"relabelled": 1}
    (one,) = found["tasks"][0]["images"]
    assert (one["before"]["label"], one["after"]["label"], one["after"]["path"]) == ("class_0", "class_1", FIRST)


def placed(paths: Paths) -> None:
    """A split as its stage leaves it: the first image of each class is tested on."""
    rows = [
        {"path": f"classification/{path.relative_to(paths.data / 'classification').as_posix()}", "status": "ok", "problems": []}
        | {"split": "test" if path.name == "000.png" else "train"}
        for path in sorted((paths.data / "classification").rglob("*.png"))
    ]
    paths.split("classification").mkdir(parents=True)
    tables.write(tables.frame(rows, tables.IMAGES), paths.split("classification") / "images.parquet", tables.IMAGES)


def test_the_split_effect_is_told(paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    placed(paths)
    change(paths)
    (task,) = data_diff.data_diff(paths, "HEAD", "workspace", None, None)["tasks"]
    assert task["split"]["changed"] == {"test": {"removed": 1, "relabelled": 1, "renamed": 1}, "unplaced": {"added": 1}}
    assert (task["split"]["test_images"], task["split"]["test_changed"], task["split"]["digest"]) == (2, 2, "changes")
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(["data", "diff", "HEAD", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == [task]
    assert cli.main(["data", "diff", "HEAD"]) == 0
    shown = capsys.readouterr().out
    assert "class_0 → class_1" in shown and "2 of 2 images changed; its digest changes" in shown


def test_boxes_of_a_detection_dataset(paths: Paths) -> None:
    make_detection_voc(paths.data / "detection", images=3, size=64)
    versions.add_data(paths)
    commit(paths.root)
    label = paths.data / "detection" / "Annotations" / "001.xml"
    text = label.read_text()
    first = "red" if "<name>red" in text else "blue"
    label.write_text(text.replace(f"<name>{first}", f"<name>{'blue' if first == 'red' else 'red'}", 1))
    found = data_diff.data_diff(paths, "HEAD", "workspace", "detection", paths.root / "out")
    both = data_diff.data_diff(paths, "HEAD~1", "workspace", None, None)
    assert [task["task"] for task in both["tasks"]] == ["classification", "detection"]
    assert both["tasks"][1]["counts"]["images"] == {"added": 3}
    (task,) = found["tasks"]
    assert task["counts"] == {"images": {}, "boxes": {"relabelled": 1}}
    assert (paths.root / "out" / "data_diff-detection.png").stat().st_size > 1000


def published(paths: Paths, name: str, seed: int) -> str:
    """A candidate trained on data/ as it is, published."""
    return publish(paths, classifier(paths, name, 3, seed=seed))


def publish(paths: Paths, made: Made) -> str:
    """As `publishing.publish_model` does."""
    tracking = Tracking(paths)
    tags = {"data_revision": versions.data_digest(paths)}
    then = lambda run_id: data_change.attach(paths, tracking.store, "classification", run_id)  # noqa: E731
    return str(tracking.publish(made.model_dir, made.evaluate_dir, tags=tags, then=then))


@pytest.fixture
def champion(paths: Paths) -> str:
    """The run of the champion, trained on the first version."""
    paths.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), paths.mlflow_store / "mlflow.db")
    run_id = published(paths, "old", 1)
    registry = Registry(paths)
    registry.assign(registry.register("classification", run_id), "champion")
    return run_id


def attached(paths: Paths, run_id: str) -> tuple[str | None, set[str]]:
    client = Registry(paths).store.client
    return client.get_run(run_id).data.tags.get(data_change.CHANGED), {one.path for one in client.list_artifacts(run_id, "data")}


def test_the_run_of_a_candidate_holds_what_changed_since_the_champion(paths: Paths, champion: str) -> None:
    placed(paths)
    change(paths)
    versions.add_data(paths)
    run_id = published(paths, "new", 2)
    told, files = attached(paths, run_id)
    assert files == {"data/data_diff.json", "data/data_diff.png"}
    assert told is not None and told.startswith("since old (version 1, data ")
    assert told.endswith("images: 1 added, 1 relabelled, 1 removed, 1 renamed; test set: 2 of 2 images changed")
    assert attached(paths, champion) == (None, set())


def test_data_that_did_not_change_cost_nothing(paths: Paths, champion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_change, "resolve", lambda *_: pytest.fail("a version was read"))
    made = classifier(paths, "new", 3, seed=2)
    run_id = publish(paths, made)
    assert attached(paths, run_id) == (None, set())
    change(paths)
    versions.add_data(paths)
    monkeypatch.setattr(data_change, "attach", lambda *_: pytest.fail("a run that was published before was touched"))
    assert publish(paths, made) == run_id


def test_another_tasks_data_are_no_change(paths: Paths, champion: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_detection_voc(paths.data / "detection", images=2, size=32)
    versions.add_data(paths)
    monkeypatch.setattr(data_change, "compared", lambda *_: pytest.fail("labels were read"))
    assert attached(paths, published(paths, "new", 2)) == (None, set())


def test_publishing_never_fails_for_it(paths: Paths, champion: str, caplog: pytest.LogCaptureFixture) -> None:
    first, (_, files) = versions.data_digest(paths), versions.workspace_files(paths)
    change(paths)
    versions.add_data(paths)
    forget(paths, first, files, manifest=True)
    run_id = published(paths, "new", 2)
    assert "cannot be had" in caplog.text
    run = Registry(paths).store.client.get_run(run_id)
    assert run.info.status == "FINISHED" and data_change.CHANGED not in run.data.tags


def test_import_carries_corrections_along(paths: Paths, tmp_path: Path) -> None:
    from pipelines.data_commands import import_dataset

    kept = paths.data / "classification" / "corrections.csv"
    own = f"path,action\n{FIRST},delete\nclass_9/9.png,delete\n"
    kept.write_text(own)
    again = make_classification(tmp_path / "again", classes=2, per_class=3, size=24)
    summary = import_dataset(paths, again, "classification")
    assert kept.read_text() == own
    assert "kept: 1 of its 2 rows" in summary["advice"][0]
    (again / "corrections.csv").write_text("path,action\n")
    assert import_dataset(paths, again, "classification")["advice"] == []
    assert kept.read_text() == "path,action\n"
    kept.write_text(own)
    other = make_classification(tmp_path / "other", classes=2, per_class=3, size=24)
    for folder in list(other.iterdir()):
        folder.rename(other / f"other {folder.name}")
    assert "left behind" in import_dataset(paths, other, "classification")["advice"][0]
    assert not kept.exists()


def test_a_folder_that_is_no_git_repository(paths: Paths) -> None:
    shutil.rmtree(paths.root / ".git")
    digest = versions.data_digest(paths)
    assert revisions.resolve(paths, digest[:6]).digest == digest
    with pytest.raises(UsageError):
        revisions.resolve(paths, "HEAD")
