"""Whoever dies while promoting or rolling back, wherever: the next promoter ends what was begun, and the ledger tells one story."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.promoters_stores import prepare
from components.errors import ServiceError
from pipelines import acts, rollback
from pipelines.cli import main
from pipelines.paths import Paths
from pipelines.promote import promote
from pipelines.registry import Registry
from tests.pipelines.fabricate import empty_store, enter, project, settings

TASK = "classification"
UNGUARDED = dict.fromkeys(["max_recall_drop", "max_size_ratio", "max_latency_ratio", "max_ece_rise"])
SETTINGS = settings(floor=0.0, **UNGUARDED)
CHANGES = ("set_registered_model_alias", "set_registered_model_tag", "set_model_version_tag", "delete_model_version_tag", "set_tag")


class Killed(BaseException):
    """What a SIGKILL would have ended here."""


class Deadly:
    """A client that dies before its n-th change of the registry, counted over all of them and the ledger's lines."""

    def __init__(self, client: Any, at: int) -> None:
        self.client, self.left = client, at

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)
        return self.guard(method) if name in CHANGES else method

    def guard(self, method: Any) -> Any:
        def called(*arguments: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                raise Killed
            return method(*arguments, **named)

        return called


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four versions, model00 to model03, each better than the one before; no champion."""
    root = tmp_path_factory.mktemp("made") / "project"
    (root / "mlflow" / "store").mkdir(parents=True)
    database = root / "mlflow" / "store" / "mlflow.db"
    shutil.copyfile(empty_store(), database)
    prepare(root, f"sqlite:///{database}", 3)
    return root


@pytest.fixture
def paths(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    copy = project(tmp_path / "project")
    shutil.copyfile(made / "mlflow" / "store" / "mlflow.db", copy.mlflow_store / "mlflow.db")
    shutil.copytree(made / "outputs", copy.outputs)
    return copy


def promoted(paths: Paths, registry: Registry, model: str) -> None:
    promote(TASK, paths, SETTINGS, [paths.evaluate(model)], None, registry)


def aliases(registry: Registry) -> tuple[str | None, str | None]:
    found = [registry.at(TASK, alias) for alias in ("champion", "previous")]  # type: ignore[arg-type]
    champion, previous = (version.model if version else None for version in found)
    return champion, previous


def verdicts(registry: Registry) -> dict[str, str | None]:
    """What the runs tell was decided, by model; each run must tell what its version does."""
    told = {}
    for run in registry.store.runs(TASK, ""):
        [version] = registry.store.client.search_model_versions(f"run_id = '{run.info.run_id}'")
        for name in ("verdict", "reasons", "decided", "decision"):
            assert run.data.tags.get(f"visionloop.{name}") == version.tags.get(f"visionloop.{name}"), (version.version, name)
        told[version.tags["visionloop.model"]] = run.data.tags.get("visionloop.verdict")
    return told


def story(registry: Registry) -> list[tuple[str | None, str | None]]:
    """The moves of the ledger, each of which must begin where the one before ended."""
    entries = registry.history(TASK)
    voided = {entry["of"] for entry in entries if entry["event"] == "void"}
    moves = [entry for entry in entries if (acts.moves(entry) or entry["event"] == "moved") and entry["number"] not in voided]
    told = [tuple(entry[side]["model"] if entry[side] else None for side in ("from", "to")) for entry in moves]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(told)), told
    assert registry.ledger.verify([registry.settled(TASK)]) == []
    return told  # type: ignore[return-value]


@pytest.fixture
def deaths(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Do something again and again, dying one change later each time, each time in a registry as it was; yields what survived."""

    def each(act: Any) -> Iterator[Registry]:
        for at in range(1, 40):
            copy = Paths(paths.root.parent / f"death{at}")
            shutil.copytree(paths.mlflow_store, copy.mlflow_store)
            registry = Registry(copy)
            client, experiments = registry.store._open()
            deadly = Deadly(client, at)
            registry.store._opened[0] = (deadly, experiments)  # type: ignore[assignment]
            with monkeypatch.context() as patch:
                patch.setattr(registry.ledger, "_write", deadly.guard(registry.ledger._write))
                try:
                    act(registry)
                except Killed:
                    pass
                else:
                    assert at > 5
                    return
            yield Registry(copy)

    return each


def test_a_promotion_that_died_anywhere_is_completed_or_never_was(paths: Paths, deaths: Any) -> None:
    promoted(paths, Registry(paths), "model00")
    promoted(paths, Registry(paths), "model01")
    for registry in deaths(lambda registry: promoted(paths, registry, "model02")):
        champion, previous = aliases(registry)
        assert champion in ("model01", "model02") and previous in ("model00", "model01")
        begun = len(registry.history(TASK)) == 3
        promoted(paths, registry, "model03")  # another one's promotion
        promoted(paths, registry, "model02")
        assert aliases(registry) == ("model03", "model02" if begun else "model01")
        assert verdicts(registry) == {"model00": "promote", "model01": "promote", "model02": "keep", "model03": "promote"}
        assert story(registry)[-1] == (("model02" if begun else "model01"), "model03")


@pytest.fixture
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """These versions have no model that could be loaded before a rollback to them."""
    monkeypatch.setattr(rollback, "try_out", lambda *_: rollback.Tried(0, None, 0.0, 0.0))


@pytest.mark.usefixtures("untried")
def test_a_rollback_that_died_anywhere_is_done_once_when_asked_again(paths: Paths, deaths: Any) -> None:
    def roll(registry: Registry) -> None:
        rollback.rollback(registry, paths, TASK)

    promoted(paths, Registry(paths), "model01")
    promoted(paths, Registry(paths), "model02")
    for registry in deaths(roll):
        champion, previous = aliases(registry)
        assert champion in ("model01", "model02") and previous in ("model01", "model02")
        if champion == "model02":  # it did not come to its end, so it is asked for again
            roll(registry)
        assert aliases(registry) == ("model01", "model02")
        assert story(registry) == [(None, "model01"), ("model01", "model02"), ("model02", "model01")]
        promoted(paths, registry, "model02")
        assert aliases(registry)[0] == "model01", "what was rolled back is not promoted again"


def test_a_champion_chosen_past_the_ledger_stays_and_is_told(paths: Paths) -> None:
    registry = Registry(paths)
    promoted(paths, registry, "model01")
    promoted(paths, registry, "model02")
    registry.store.client.set_registered_model_alias("classifier", "champion", "1")
    promoted(paths, registry, "model03")
    assert aliases(registry) == ("model03", "model00")
    assert story(registry) == [(None, "model01"), ("model01", "model02"), ("model02", "model00"), ("model00", "model03")]
    assert "past the ledger" in registry.history(TASK)[2]["reasons"][0]


@pytest.mark.usefixtures("untried")
def test_a_rollback_undoes_a_choice_past_the_ledger_wherever_it_died(paths: Paths, deaths: Any) -> None:
    registry = Registry(paths)
    promoted(paths, registry, "model00")
    promoted(paths, registry, "model01")
    assert aliases(registry) == ("model01", "model00")
    registry.store.client.set_registered_model_alias("classifier", "champion", "1")
    assert aliases(registry) == ("model00", "model00")
    for survived in deaths(lambda registry: rollback.rollback(registry, paths, TASK)):
        assert "model01" in aliases(survived) or aliases(survived) == ("model00", "model00")
        if aliases(survived)[0] == "model00":  # it did not come to its end, so it is asked for again
            rollback.rollback(survived, paths, TASK)
        with survived.promoting(TASK):
            assert aliases(survived) == ("model01", "model00")
        assert story(survived) == [(None, "model00"), ("model00", "model01"), ("model01", "model00"), ("model00", "model01")]
        back, left = survived.numbered(TASK, 2), survived.numbered(TASK, 1)
        assert back is not None and left is not None and back.rolled_back is None and left.rolled_back is not None


@pytest.mark.usefixtures("untried")
def test_a_champion_is_not_rolled_back_to_itself(paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry(paths)
    promoted(paths, registry, "model00")
    promoted(paths, registry, "model01")
    registry.store.client.set_registered_model_alias("classifier", "previous", "2")
    before = registry.store.client.get_model_version("classifier", "2").tags, registry.history(TASK)
    enter(paths, monkeypatch)
    assert main(["rollback", TASK]) == 2
    told = capsys.readouterr().err
    assert "version 2 (model01) of the classifier is both champion and previous" in told and "alias `previous`" in told
    assert aliases(registry) == ("model01", "model01")
    assert (registry.store.client.get_model_version("classifier", "2").tags, registry.history(TASK)) == before


def test_a_choice_of_no_champion_keeps_the_one_that_was_as_previous(paths: Paths) -> None:
    registry = Registry(paths)
    promoted(paths, registry, "model00")
    promoted(paths, registry, "model01")
    registry.store.client.delete_registered_model_alias("classifier", "champion")
    with registry.promoting(TASK):
        assert aliases(registry) == (None, "model01")


def test_previous_stays_where_the_version_that_the_ledger_had_was_deleted(paths: Paths) -> None:
    registry = Registry(paths)
    for model in ("model00", "model01", "model02"):
        promoted(paths, registry, model)
    registry.store.client.set_registered_model_alias("classifier", "champion", "1")
    registry.store.client.delete_model_version("classifier", "3")
    with registry.promoting(TASK):
        assert aliases(registry) == ("model00", "model01")
    assert registry.history(TASK)[-1]["event"] == "moved"


def test_what_was_begun_is_voided_when_the_champion_became_a_third(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(paths)
    promoted(paths, registry, "model01")
    with monkeypatch.context() as patch:
        patch.setattr(acts, "apply", lambda *_: None)  # dies after the ledger
        promoted(paths, registry, "model02")
    registry.store.client.set_registered_model_alias("classifier", "champion", "1")
    promoted(paths, registry, "model01")
    entries = registry.history(TASK)
    assert [entry["event"] for entry in entries] == ["decision", "decision", "void", "moved", "decision"]
    assert (entries[2]["of"], aliases(registry)) == (2, ("model01", "model00"))
    assert story(registry)[-1] == ("model00", "model01")


def test_a_promoter_that_was_overtaken_moves_nothing(paths: Paths) -> None:
    registry, other = Registry(paths), Registry(paths)
    promoted(paths, registry, "model01")
    version = registry.numbered(TASK, 1)
    assert version is not None
    with registry.promoting(TASK):
        other._take_turn(TASK, lambda: None)  # as if the lock had been lost and taken
        for act in (lambda: registry.assign(version, "champion"), lambda: registry.release(TASK, "champion")):
            with pytest.raises(ServiceError, match="lost its turn"):
                act()
        with pytest.raises(ServiceError, match="lost its turn"):
            acts.note(registry, {"task": TASK, "event": "void", "of": 1, "reasons": []})
    assert aliases(registry) == ("model01", None) and len(registry.history(TASK)) == 1
