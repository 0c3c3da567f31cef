"""A flow that waits for a human, with a Prefect server of its own: approved there, on the command line, or not at all."""

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.promoters_stores import prepare
from pipelines.approval import Say
from pipelines.paths import Paths
from pipelines.registry import Registry
from tests.pipelines.fabricate import empty_store
from tests.project import ROOT

TASK = "classification"
MODELS = ["model01", "model02", "model03"]

pytestmark = pytest.mark.slow


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made = Paths(tmp_path / "project")
    made.mlflow_store.mkdir(parents=True)
    shutil.copyfile(empty_store(), made.mlflow_store / "mlflow.db")
    prepare(made.root, f"sqlite:///{made.mlflow_store / 'mlflow.db'}", 3)
    raw = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    raw["models"] = dict.fromkeys(MODELS, raw["models"]["cnn"])
    raw["promote"] |= {"approval": "required", "approval_timeout": 20}
    for knob in [key for key in raw["promote"][TASK] if key.startswith("max_")]:
        raw["promote"][TASK][knob] = 1000.0
    made.params.write_text(yaml.safe_dump(raw))
    return made


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


def test_it_waits_for_prefect_for_the_command_line_and_not_for_ever(paths: Paths) -> None:
    from pipelines.prefect_server import prefect_server

    with prefect_server(paths) as server:
        server.ready()
        from prefect import flow
        from prefect.events import emit_event  # noqa: F401

        from pipelines import flows, settings
        from pipelines.publishing import promote_models

        @flow(persist_result=False)
        def decide(model: str) -> Any:
            decision = flows.promote.submit(str(paths.root), TASK, [model], []).result()
            return flows._approved(paths, settings.load(paths.params), TASK, [model], decision)

        waiter = paused(lambda client, run: client.resume_flow_run(run.id, run_input={"approve": True, "by": "ada", "why": "good"}))
        assert decide("model01")["verdict"] == "promote"
        waiter.join()
        waiter = paused(lambda *_: promote_models(paths, TASK, ["model02"], Say("approved", "bob")))
        assert decide("model02")["is_champion"]
        waiter.join()
        began = time.monotonic()
        assert decide("model03")["reasons"][0] == "nobody approved it in time (20 s)"
        assert 20 < time.monotonic() - began < 50
        flows.deliver()
        told = events(server.url)
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
