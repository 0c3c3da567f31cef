"""The scheduled deployment of prefect.yaml: a real server, a real worker, and a run that the schedule alone starts."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from pipelines import local_server
from pipelines.paths import Paths
from tests.project import ROOT, environment, make_project, processes_in

RUN_SECONDS = 240
DEPLOYMENT = yaml.safe_load((ROOT / "prefect.yaml").read_text("utf-8"))["deployments"][0]


def test_the_deployment_names_the_flow_a_schedule_and_no_folder_of_this_machine() -> None:
    file, _, flow = DEPLOYMENT["entrypoint"].partition(":")
    assert f"def {flow}(" in (ROOT / file).read_text("utf-8")
    (schedule,) = DEPLOYMENT["schedules"]
    assert schedule["cron"] == "0 3 * * *" and schedule["timezone"]
    assert DEPLOYMENT["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
    assert str(ROOT) not in (ROOT / "prefect.yaml").read_text("utf-8")


class Prefect:
    """A server of its own on loopback, and commands that speak to it."""

    def __init__(self, home: Path, paths: Paths) -> None:
        self.paths, self.port = paths, local_server.free_port()
        self.api = f"http://{local_server.HOST}:{self.port}/api"
        quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "true"}
        self.environment = environment(PREFECT_HOME=str(home), PREFECT_API_URL=self.api, NO_COLOR="1", **quiet)
        self.logs = home

    def start(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.logs / f"{name}.log").open("wb") as log:
            command = [sys.executable, "-P", "-m", "prefect", *arguments]
            return subprocess.Popen(
                command, cwd=self.paths.root, env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )

    def command(self, *arguments: str) -> None:
        command = [sys.executable, "-P", "-m", "prefect", "--no-prompt", *arguments]
        done = subprocess.run(command, cwd=self.paths.root, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def ask(self, path: str, **body: Any) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.api}/{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def flow_runs(self) -> list[dict[str, Any]]:
        return list(self.ask("flow_runs/filter", sort="EXPECTED_START_TIME_ASC"))


def end(process: "subprocess.Popen[bytes]") -> None:
    """Stop a process and all it started, politely first."""
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    local_server.stop(process.pid, process)
    for child in family:  # a worker's flow runs are leaders of their own groups
        if child.is_running():
            child.terminate()
    _, alive = psutil.wait_procs(family, 15)
    for child in alive:
        child.kill()


@pytest.fixture
def prefect(tmp_path: Path) -> Iterator[Prefect]:
    paths = make_project(tmp_path / "project")
    home = tmp_path / "prefect"
    home.mkdir()
    prefect = Prefect(home, paths)
    server = prefect.start("server", "server", "start", "--host", local_server.HOST, "--port", str(prefect.port))
    try:
        local_server.wait(server, f"{prefect.api}/health", home / "server.log")
        yield prefect
    finally:
        end(server)


def completed(prefect: Prefect) -> dict[str, Any]:
    """The first scheduled run, once it has ended."""
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        for run in prefect.flow_runs():
            if run["state_type"] in ("COMPLETED", "FAILED", "CRASHED"):
                return run
        time.sleep(1)
    raise TimeoutError((prefect.logs / "worker.log").read_text()[-3000:])


@pytest.mark.ci
@pytest.mark.slow
def test_the_schedule_starts_a_run_that_completes(prefect: Prefect) -> None:
    prefect.command("work-pool", "create", "--type", "process", DEPLOYMENT["work_pool"]["name"])
    prefect.command("deploy", "--name", DEPLOYMENT["name"], "--interval", "15")
    worker = prefect.start("worker", "worker", "start", "--pool", DEPLOYMENT["work_pool"]["name"], "--type", "process", "--name", "test")
    try:
        run = completed(prefect)
    finally:
        end(worker)
    assert run["state_type"] == "COMPLETED", (prefect.logs / "worker.log").read_text()[-4000:]
    assert run["auto_scheduled"] and run["work_pool_name"] == DEPLOYMENT["work_pool"]["name"]
    assert set(DEPLOYMENT["tags"]) <= set(run["tags"])
    report = json.loads((prefect.paths.evaluate("tiny") / "report.json").read_text())
    assert 0 <= report["metrics"]["test/accuracy"] <= 1
    tasks = {one["name"].rsplit("-", 1)[0] for one in prefect.ask("task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})}
    assert {"validate", "split", "augment", "train-tiny", "evaluate-tiny", "publish-tiny", "promote-classification"} <= tasks
    logs = prefect.ask("logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}}, limit=200)
    assert any("tiny epoch 2/2" in line["message"] for line in logs), "the stage's own lines are in the run's log"
    artifacts = {one["key"] for one in prefect.ask("artifacts/filter")}
    assert {"candidates", "decision-classification"} <= artifacts
    assert not [line for line in processes_in(prefect.paths.root).values() if "stage" in line or "worker" in line]


@pytest.mark.slow
def test_a_cancelled_worker_leaves_no_stage_behind(prefect: Prefect) -> None:
    params = prefect.paths.params
    params.write_text(params.read_text().replace("epochs: 2\n", "epochs: 100000\n").replace("patience: 10\n", "patience: 0\n"))
    prefect.command("work-pool", "create", "--type", "process", DEPLOYMENT["work_pool"]["name"])
    prefect.command("deploy", "--name", DEPLOYMENT["name"], "--interval", "15")
    worker = prefect.start("worker", "worker", "start", "--pool", DEPLOYMENT["work_pool"]["name"], "--type", "process", "--name", "test")
    try:
        until = time.monotonic() + RUN_SECONDS
        while not stages(prefect) and time.monotonic() < until:
            time.sleep(0.5)
        assert stages(prefect), (prefect.logs / "worker.log").read_text()[-3000:]
        for process in psutil.Process(worker.pid).children(recursive=True):
            if "prefect" in " ".join(process.cmdline()) and process.pid != worker.pid:
                os.kill(process.pid, signal.SIGKILL)
        until = time.monotonic() + 30
        while stages(prefect) and time.monotonic() < until:
            time.sleep(0.5)
        assert not stages(prefect)
    finally:
        end(worker)


def stages(prefect: Prefect) -> list[str]:
    return [line for line in processes_in(prefect.paths.root).values() if "stage train" in line]
