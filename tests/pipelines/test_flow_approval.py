"""A flow that waits for a human, with a Prefect server of its own: approved there, on the command line, or not at all."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.promoters_stores import evaluation, prepare
from pipelines.approval import Say, awaits
from pipelines.paths import Paths
from pipelines.registry import Registry
from tests.pipelines.fabricate import empty_store
from tests.project import ROOT

TASK, DETECTION = "classification", "detection"
MODELS = ["model01", "model02", "model03"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prefect server's address; one for all, since Prefect reads it once a process."""
    from pipelines.prefect_server import prefect_server

    with pytest.MonkeyPatch.context() as patch:
        for name in ("PREFECT_API_URL", "PREFECT_HOME"):
            patch.delenv(name, raising=False)
        with prefect_server(Paths(tmp_path_factory.mktemp("prefect"))) as started:
            yield started.ready()


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    made = Paths(tmp_path / "project")
    made.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), made.mlflow_store / "mlflow.db")
    prepare(made.root, f"sqlite:///{made.mlflow_store / 'mlflow.db'}", 3)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    raw["models"] = dict.fromkeys(MODELS, raw["models"]["cnn"]) | {"boxes": raw["models"]["yolo"]}
    raw["promote"] |= {"approval": "required", "approval_timeout": 20}
    for task in (TASK, DETECTION):
        raw["promote"][task] |= {knob: None for knob in raw["promote"][task] if knob.startswith("max_")}
    made.params.write_text(yaml.safe_dump(raw))
    return made


def add_detector(paths: Paths) -> None:
    """A detector `boxes`, evaluated, published and registered."""
    from mlflow import MlflowClient

    from pipelines.tracking.live import MODEL, MODEL_SHA256
    from pipelines.tracking.publish import EVALUATION, LOGGED_MODEL

    sha = evaluation(paths.evaluate("boxes"), "boxes", 9, 10)
    path = paths.evaluate("boxes") / "report.json"
    report = json.loads(path.read_text())
    measured = {f"{split}/map50": 0.9 for split in ("val", "test")}
    path.write_text(json.dumps({**report, "task": DETECTION, "metrics": {**report["metrics"], **measured}}))
    client = MlflowClient(f"sqlite:///{paths.mlflow_store / 'mlflow.db'}")
    tags = {MODEL: "boxes", MODEL_SHA256: sha, EVALUATION: "e", LOGGED_MODEL: "m"}
    run = client.create_run(client.get_experiment_by_name(DETECTION).experiment_id, tags=tags)
    client.create_registered_model("detector")
    client.create_model_version("detector", "nowhere", run.info.run_id, tags=tags)


def said(paths: Paths, task: str, answer: Any, by: str) -> Say:
    waiting = awaits(Registry(paths).history(task))
    assert waiting is not None
    return Say(answer, by, key=waiting["key"])


def paused(act: Callable[[Any, Any], None]) -> threading.Thread:
    """Do something as soon as a flow run is paused."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter

    def wait() -> None:
        with get_client(sync_client=True) as client:
            for _ in range(300):
                runs = client.read_flow_runs(flow_run_filter=FlowRunFilter(state={"type": {"any_": ["PAUSED"]}}))  # type: ignore[arg-type]
                if runs:
                    time.sleep(1)  # the form is saved a moment after the pause
                    return act(client, runs[0])
                time.sleep(0.1)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_it_waits_for_prefect_for_the_command_line_and_not_for_ever(paths: Paths, server: str) -> None:
    from prefect import flow
    from prefect.events import emit_event  # noqa: F401

    from pipelines import flows, settings
    from pipelines.publishing import promote_models

    @flow(persist_result=False)
    def decide(model: str) -> Any:
        decision = flows.promote.submit(str(paths.root), TASK, [model], []).result()
        return flows._approved(paths, settings.load(paths.params), {TASK: [model]}, {TASK: decision})[TASK]

    yes = {"approve": True, "by": "ada", "why": "good"}
    waiter = paused(lambda client, run: client.resume_flow_run(run.id, run_input=yes))
    assert decide("model01")["verdict"] == "promote"
    waiter.join()
    waiter = paused(lambda *_: promote_models(paths, TASK, ["model02"], said(paths, TASK, "approved", "bob")))
    assert decide("model02")["is_champion"]
    waiter.join()
    began = time.monotonic()
    assert decide("model03")["reasons"][0] == "nobody approved it in time (20 s)"
    assert 20 < time.monotonic() - began < 50
    flows.deliver()
    told = events(server)
    approvals = [entry.get("approval") for entry in Registry(paths).history(TASK) if entry["event"] == "decision"]
    assert [(one["answer"], one["by"]) for one in approvals if one] == [("approved", "ada"), ("approved", "bob"), ("timed out", "20 s")]
    assert [event["payload"]["to"]["model"] for event in told] == ["model02", "model01"]


def events(url: str) -> list[dict[str, Any]]:
    """What the server knows of our events, newest first."""
    import requests

    for _ in range(50):
        asked = requests.post(f"{url}/events/filter", json={"filter": {"event": {"prefix": ["visionloop."]}}}, timeout=10)
        found: list[dict[str, Any]] = asked.json()["events"]
        if len(found) == 2:
            return found
        time.sleep(0.2)
    return found


@pytest.mark.usefixtures("server")
def test_both_tasks_wait_at_once_and_each_answer_is_carried_out_when_it_comes(paths: Paths) -> None:
    from prefect import flow

    from pipelines import flows, settings
    from pipelines.publishing import promote_models

    add_detector(paths)
    models = {TASK: ["model01"], DETECTION: ["boxes"]}
    seen: list[Any] = []

    def answer(client: Any, run: Any) -> None:
        seen.append([said(paths, task, "approved", "ada").key for task in models])
        client.resume_flow_run(run.id, run_input={"task": DETECTION, "approve": True, "by": "ada"})
        end = time.monotonic() + 15
        while Registry(paths).at(DETECTION, "champion") is None and time.monotonic() < end:
            time.sleep(0.2)
        seen.append((Registry(paths).at(DETECTION, "champion"), Registry(paths).at(TASK, "champion")))
        promote_models(paths, TASK, ["model01"], said(paths, TASK, "rejected", "bob"))

    @flow(persist_result=False)
    def decide() -> Any:
        first = {task: flows.promote.submit(str(paths.root), task, names, []).result() for task, names in models.items()}
        return flows._approved(paths, settings.load(paths.params), models, first)

    waiter = paused(answer)
    decided = decide()
    waiter.join()
    flows.deliver()
    keys, (detector, classifier) = seen
    assert len(set(keys)) == 2, "both wait at once"
    assert detector.model == "boxes" and classifier is None, "the detector does not wait for the classifier's answer"
    assert decided[DETECTION]["is_champion"] and decided[DETECTION]["verdict"] == "promote"
    assert decided[TASK]["reasons"][0] == "rejected by bob"
