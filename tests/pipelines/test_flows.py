import json
import logging
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from components.errors import DataError, ServiceError, UsageError
from pipelines import flows, settings
from pipelines.dvc_stages import StageFailed
from pipelines.paths import Paths
from pipelines.turns import Turns
from tests.project import ROOT

RAW = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))


@pytest.fixture
def knobs() -> settings.Settings:
    return settings.parse({**RAW, "models": {name: {**RAW["models"]["cnn"], "task": task} for name, task in MODELS.items()}})


MODELS = {"a": "classification", "b": "classification", "c": "detection"}


@pytest.mark.parametrize(
    ("tasks", "models", "chosen"),
    [
        (None, None, {"classification": ["a", "b"], "detection": ["c"]}),
        (["detection"], None, {"detection": ["c"]}),
        (None, ["b"], {"classification": ["b"]}),
        (["classification"], ["a"], {"classification": ["a"]}),
        ([], [], {"classification": ["a", "b"], "detection": ["c"]}),
    ],
)
def test_select_narrows_by_task_and_model(
    knobs: settings.Settings, tasks: list[str] | None, models: list[str] | None, chosen: dict[str, list[str]]
) -> None:
    assert flows.select(knobs, tasks, models) == chosen


@pytest.mark.parametrize(
    ("tasks", "models", "said"), [(None, ["z"], "unknown z"), (["poetry"], None, "unknown poetry"), (["detection"], ["a"], "no model")]
)
def test_select_refuses_what_there_is_not(knobs: settings.Settings, tasks: list[str] | None, models: list[str] | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        flows.select(knobs, tasks, models)


class Answer:
    """A task run's end, as a future tells it."""

    def __init__(self, kind: str, error: Exception | None = None) -> None:
        self.kind, self.error, self.waited = kind, error, False
        self.state = SimpleNamespace(is_failed=lambda: kind == "failed", is_crashed=lambda: kind == "crashed")

    def wait(self) -> None:
        self.waited = True

    def result(self) -> None:
        if self.error:
            raise self.error


def test_the_first_cause_is_raised_after_all_have_ended() -> None:
    cause = StageFailed("train@a", 3, "stage train@a: no image to train on")
    answers = [
        Answer("completed"),
        Answer("failed", cause),
        Answer("pending", RuntimeError("never ran")),
        Answer("failed", ServiceError("away")),
    ]
    with pytest.raises(StageFailed) as raised:
        flows._raise_first(answers)  # type: ignore[arg-type]
    assert raised.value is cause and all(answer.waited for answer in answers)
    flows._raise_first([Answer("completed"), Answer("pending")])  # type: ignore[list-item]


def test_the_spread_over_seeds_is_in_the_answer_and_in_the_table(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    paths, shown = Paths(tmp_path), []
    for seed, (name, accuracy) in enumerate({"a": 0.75, "b": 0.85}.items()):
        known = {"model": name, "task": "classification", "test_images": 8, "data_digest": "d", "test_digest": "t"}
        paths.evaluate(name).mkdir(parents=True)
        report = {**known, "params": {"epochs": 2, "seed": seed}, "metrics": {"test/accuracy": accuracy}}
        (paths.evaluate(name) / "report.json").write_text(json.dumps(report))
    ended: dict[str, Any] = {name: Answer("completed") for name in "ab"}
    plan = SimpleNamespace(stages={}, submit=lambda _chosen: {"classification": ended}, ran=list)
    monkeypatch.setattr(flows, "_Plan", lambda *_: plan)
    monkeypatch.setattr(flows.dvc_stages, "stale", lambda _paths: set())
    monkeypatch.setattr(flows.promote, "with_options", lambda **_: SimpleNamespace(submit=lambda *_: Answer("completed")))
    monkeypatch.setattr(flows, "create_table_artifact", lambda table, **_: shown.extend(table))
    knobs: Any = SimpleNamespace(models={"a": None, "b": None}, promote=SimpleNamespace(approval_timeout=1))
    answer = flows._loop(paths, knobs, {"classification": ["a", "b"]})
    (spread,) = answer["seeds"]
    assert (spread["models"], spread["seeds"]) == (["a", "b"], [0, 1])
    assert spread["metrics"]["test/accuracy"]["mean"] == pytest.approx(0.8)
    assert [row["model"] for row in shown] == ["a", "b", "a, b: mean ± deviation of 2 seeds"]
    assert shown[-1]["test/accuracy"] == "0.800 ± 0.071"


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (StageFailed("s", 3, "bad data"), False),
        (StageFailed("s", 2, "bad parameter"), False),
        (StageFailed("s", 130, "interrupted"), False),
        (StageFailed("s", 4, "away"), True),
        (StageFailed("s", 139, "segmentation fault"), True),
        (ServiceError("away"), True),
        (UsageError("wrong"), False),
        (OSError("odd"), True),
    ],
)
def test_only_what_the_user_need_not_mend_is_tried_again(error: Exception, again: bool) -> None:
    state: Any = Answer("failed", error)
    assert flows._worth_retrying(None, None, state) is again


def test_a_users_error_is_logged_without_a_traceback_and_ours_with_one(caplog: pytest.LogCaptureFixture) -> None:
    flows.speak_plainly()
    flows.speak_plainly()
    logger = logging.getLogger("prefect.task_runs")
    assert [one for one in logger.filters if isinstance(one, flows._Plain)] == [flows._PLAIN]
    for error in (DataError("the label is wrong"), ZeroDivisionError("ours")):
        try:
            raise error
        except Exception:
            record = logger.makeRecord("prefect.task_runs", logging.ERROR, "", 0, "Task run failed with %r", (error,), sys.exc_info())
        assert flows._PLAIN.filter(record)
        if isinstance(error, DataError):
            assert (record.getMessage(), record.exc_info) == ("the label is wrong", None)
        else:
            assert "ZeroDivisionError" in record.getMessage() and record.exc_info


def test_an_up_to_date_stage_after_stages_that_did_not_run_asks_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told: list[str] = []
    monkeypatch.setattr(flows, "get_run_logger", lambda: SimpleNamespace(info=lambda text, *values: told.append(text % values)))
    monkeypatch.setattr(flows.dvc_stages, "reproduce", lambda *_: told.append("asked") or True)
    turns = Turns(1)
    assert flows.stage.fn(str(tmp_path), "split", [False], True, turns.next(), 1.0) is False
    assert told == ["split is up to date"] and turns.ended == 1, "the turn is over, those that come later may begin"


@pytest.mark.parametrize(("upstream", "fresh"), [([True], True), ([False], False), ([], False)])
def test_a_changed_stage_or_one_after_a_changed_one_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, upstream: list[bool], fresh: bool
) -> None:
    import threading

    monkeypatch.setattr(flows, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(flows.dvc_stages, "reproduce", lambda *_: True)
    assert flows.stage.fn(str(tmp_path), "split", upstream, fresh, threading.Lock(), 1.0) is True


@pytest.mark.parametrize("fails", [True, False])
def test_what_validation_found_is_an_artifact_most_of_all_when_it_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fails: bool
) -> None:
    import threading

    folder = tmp_path / "outputs" / "validate" / "detection"
    unmet = {"table": "boxes_kept", "column": "area", "expectation": "values to be at most 1", "severity": "critical", "observed": "1 of 2"}

    def reproduce(*_: object) -> bool:
        folder.mkdir(parents=True)
        (folder / "report.json").write_text(json.dumps({"stops": [], "failed": [unmet] if fails else [], "met": []}))
        if fails:
            raise StageFailed("validate", 1, "stage validate: no")
        return True

    shown: list[Any] = []
    monkeypatch.setattr(flows, "get_run_logger", lambda: logging.getLogger("test"))
    monkeypatch.setattr(flows, "create_table_artifact", lambda table, key, description: shown.append((key, table)))
    monkeypatch.setattr(flows.dvc_stages, "reproduce", reproduce)
    for name in ("split", "validate"):
        try:
            flows.stage.fn(str(tmp_path), name, [], False, threading.Lock(), 1.0)
        except StageFailed:
            assert fails
        shutil.rmtree(folder) if name == "split" else None
    assert shown == ([("validation", [{"dataset": "detection", "verdict": "failed", **unmet}])] if fails else [])


def test_tasks_are_cached_by_dvc_alone_and_no_result_is_pickled() -> None:
    from prefect.cache_policies import NO_CACHE

    for one in (flows.stage, flows.publish, flows.promote):
        assert one.cache_policy == NO_CACHE and one.persist_result is False
    assert flows.visionloop.persist_result is False
