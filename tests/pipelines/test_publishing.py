"""Publishing and deciding from the files of the stages, on fabricated candidates."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.errors import DataError
from pipelines import publishing
from pipelines.paths import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / "data.dvc").write_text("outs:\n- md5: 0f0f.dir\n  path: data\n")
    return Paths(tmp_path)


def test_lineage_of_a_project_under_git(paths: Paths) -> None:
    (paths.root / "dvc.lock").write_bytes(b"lock")
    for arguments in (["init", "-q"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *arguments], cwd=paths.root, check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=paths.root, capture_output=True, text=True, check=True).stdout.strip()
    # sha256 of b"lock", by sha256sum
    locked = subprocess.run(["sha256sum", "dvc.lock"], cwd=paths.root, capture_output=True, text=True, check=True).stdout.split()[0]
    assert publishing.lineage(paths) == {"git_commit": head, "data_revision": "0f0f.dir", "dvc_lock": locked}


def test_lineage_without_git_and_lock_leaves_them_out(paths: Paths) -> None:
    assert publishing.lineage(paths) == {"data_revision": "0f0f.dir"}


def test_data_without_a_version_are_an_error_that_says_how(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="dvc add data"):
        publishing.lineage(Paths(tmp_path))


def report(paths: Paths, model: str, /, **values: Any) -> None:
    paths.evaluate(model).mkdir(parents=True)
    (paths.evaluate(model) / "report.json").write_text(json.dumps(values))


def test_a_skipped_model_is_neither_published_nor_judged(paths: Paths) -> None:
    report(paths, "yolo", skipped="data/detection is absent")
    assert publishing.publish_model(paths, "yolo", {}) is None
    assert publishing.promote_models(paths, "detection", ["yolo"]) is None


def test_a_model_that_was_never_evaluated_is_an_error(paths: Paths) -> None:
    with pytest.raises(DataError, match="run the evaluate stage again"):
        publishing.publish_model(paths, "cnn", {})


@dataclass
class Verdict:
    verdict: str = "keep"


@pytest.mark.parametrize(("champion", "is_champion"), [(None, False), ("aaa", False), ("bbb", True), ("other", False)])
def test_whether_the_one_that_validation_prefers_is_champion_now(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, champion: str | None, is_champion: bool
) -> None:
    from tests.project import ROOT

    (paths.root / "params.yaml").write_bytes((ROOT / "params.yaml").read_bytes())
    for name, sha, accuracy in (("cnn", "aaa", 0.8), ("vgg", "bbb", 0.9)):
        measured = {"metrics": {"val/accuracy": accuracy}, "test_digest": "t"}
        report(paths, name, model=name, task="classification", model_sha256=sha, **measured)
    holder = SimpleNamespace(sha256=champion) if champion else None
    monkeypatch.setattr("pipelines.promote.promote", lambda *_, **_say: Verdict())
    monkeypatch.setattr("pipelines.registry.Registry.at", lambda _self, _task, _alias: holder)
    assert publishing.promote_models(paths, "classification", ["cnn", "vgg"]) == {
        "verdict": "keep",
        "is_champion": is_champion,
        "waits": None,
    }
