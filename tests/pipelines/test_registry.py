"""Versions, aliases, the ledger, and going back."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import DataError, ServiceError, UsageError
from pipelines.ledger import Ledger
from pipelines.paths import Paths
from pipelines.registry import Registry, Version
from pipelines.rollback import rollback
from pipelines.tracking import Tracking
from pipelines.tracking.publish import EVALUATION, NOTE
from tests.pipelines.fabricate import classifier, write_evaluation


def published(paths: Paths, registry: Registry, name: str, seed: int) -> Version:
    made = classifier(paths, name, 12, seed=seed)
    run_id = Tracking(paths).publish(made.model_dir, made.evaluate_dir)
    return registry.register("classification", str(run_id))


def test_the_same_weights_get_one_version(paths: Paths, registry: Registry) -> None:
    one, two = published(paths, registry, "one", 1), published(paths, registry, "two", 2)
    assert (one.number, two.number) == (1, 2)
    assert registry.register("classification", one.run_id) == one
    assert (one.name, one.model, one.test_digest, one.data_digest) == ("classifier", "one", "t" * 64, "d" * 64)
    assert len(registry.store.client.search_model_versions("name = 'classifier'")) == 2


def test_a_version_tells_the_evaluation_that_its_run_tells(paths: Paths, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    made = classifier(paths, "one", 12)
    version = registry.register("classification", str(Tracking(paths).publish(made.model_dir, made.evaluate_dir)))
    registry.assign(version, "champion")
    client = registry.store.client
    client.update_model_version("classifier", "1", description="what somebody wrote")
    registry.register("classification", version.run_id)
    assert client.get_model_version("classifier", "1").description == "what somebody wrote"

    write_evaluation(made.evaluate_dir, "one", made.sha256, 24, "u" * 64, {})
    assert Tracking(paths).publish(made.model_dir, made.evaluate_dir) == version.run_id
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("mlflow.MlflowClient.set_model_version_tag", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        registry.register("classification", version.run_id)
    assert registry.register("classification", version.run_id).test_digest == "u" * 64
    assert registry.at("classification", "champion") == replace(version, test_digest="u" * 64)
    now, run = client.get_model_version("classifier", "1"), client.get_run(version.run_id)
    # 24 wrong of 120.
    assert "| test/accuracy | 0.8 |" in now.description and "test set `uuuuuuuuuuuu`" in now.description
    assert now.description == run.data.tags[NOTE] and now.tags[EVALUATION] == run.data.tags[EVALUATION]


def test_aliases_name_versions_and_none_means_none(paths: Paths, registry: Registry) -> None:
    assert registry.at("classification", "champion") is None  # no registered model yet
    version = published(paths, registry, "one", 1)
    assert registry.at("classification", "champion") is None  # no alias yet
    registry.assign(version, "champion")
    assert registry.at("classification", "champion") == version
    registry.release("classification", "champion")
    assert registry.at("classification", "champion") is None


def test_a_registry_that_cannot_be_read_is_not_an_empty_one(paths: Paths, registry: Registry) -> None:
    registry.assign(published(paths, registry, "one", 1), "champion")
    (paths.mlflow_store / "mlflow.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(ServiceError, match="champion is unchanged"):
        Registry(paths).at("classification", "champion")


def test_an_unpublished_run_is_not_registered(paths: Paths, registry: Registry) -> None:
    live = Tracking(paths).start_candidate("classification", "cnn", "cnn", {}, {})
    assert live is not None
    with pytest.raises(UsageError, match="not published"):
        registry.register("classification", live.run_id)


def test_a_damaged_artifact_is_not_handed_out(paths: Paths, registry: Registry, tmp_path: Path) -> None:
    version = published(paths, registry, "one", 1)
    path = registry.model_file(version, tmp_path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged"):
        registry.model_file(version, tmp_path)
    path.unlink()
    with pytest.raises((DataError, ServiceError)):
        registry.model_file(version, tmp_path)


def test_what_lies_on_this_machine_is_not_copied(paths: Paths, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version, scratch = published(paths, registry, "one", 1), tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    found = registry.evaluation(version, scratch)
    assert (found / "report.json").is_file() and found.is_relative_to(paths.mlflow_store)
    assert registry.model_file(version, scratch).is_relative_to(paths.mlflow_store)
    assert list(scratch.iterdir()) == []


def test_rollback_swaps_and_is_recorded_and_swaps_back(paths: Paths, registry: Registry) -> None:
    old, new = published(paths, registry, "old", 1), published(paths, registry, "new", 2)
    registry.assign(old, "previous")
    registry.assign(new, "champion")
    entry = rollback(registry, paths, "classification")
    assert (entry["from"]["model"], entry["to"]["model"]) == ("new", "old")
    champion, previous = registry.at("classification", "champion"), registry.at("classification", "previous")
    assert champion is not None and previous is not None
    assert (champion.number, previous.number) == (old.number, new.number)
    assert previous.rolled_back is not None and champion.rolled_back is None
    rollback(registry, paths, "classification")
    champion, previous = registry.at("classification", "champion"), registry.at("classification", "previous")
    assert champion == new and previous is not None and previous.number == old.number
    assert [line["event"] for line in registry.history("classification")] == ["rollback", "rollback"]
    assert registry.history("detection") == []


def test_rollback_to_a_damaged_model_changes_nothing(paths: Paths, registry: Registry, tmp_path: Path) -> None:
    old, new = published(paths, registry, "old", 1), published(paths, registry, "new", 2)
    registry.assign(old, "previous")
    registry.assign(new, "champion")
    registry.model_file(old, tmp_path).write_bytes(b"")
    with pytest.raises(DataError, match="damaged"):
        rollback(registry, paths, "classification")
    assert registry.at("classification", "champion") == new
    assert registry.history("classification") == []


def test_without_a_previous_champion_there_is_no_way_back(paths: Paths, registry: Registry) -> None:
    registry.assign(published(paths, registry, "one", 1), "champion")
    with pytest.raises(UsageError, match="no previous classifier"):
        rollback(registry, paths, "classification")


def test_only_one_promotes_at_a_time(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.registry.LOCK_SECONDS", 0.2)
    with (
        Registry(paths).promoting("classification"),
        pytest.raises(ServiceError, match="another promotion"),
        Registry(paths).promoting("classification"),
    ):
        pytest.fail("two promotions at once")
    with Registry(paths).promoting("classification"):
        pass


def test_the_ledger_survives_a_line_cut_short(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "store" / "ledger.jsonl")
    assert ledger.entries("classification") == []
    first = ledger.append({"task": "classification", "n": 1})
    with ledger.path.open("a") as file:
        file.write('{"task": "classification", "n":')
    ledger.append({"task": "classification", "n": 2})
    assert [entry["n"] for entry in ledger.entries("classification")] == [1, 2]
    assert json.loads(ledger.path.read_text().splitlines()[0]) == first
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
