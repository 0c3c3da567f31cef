"""MLflow away, slow, killed or full: trainings go on, nothing is lost, and the message says what to do."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.errors import ResourceError, ServiceError
from pipelines.paths import Paths
from pipelines.promote import promote
from pipelines.registry import Registry
from pipelines.tracking import Tracking
from tests.pipelines.fabricate import classifier, settings

ROOT = Path(__file__).resolve().parents[2]
OPEN = "t = Tracking(Paths(Path(sys.argv[1])))"
BEGIN = f"{OPEN}; run = t.start_candidate('classification', 'cnn', 'cnn', {{}}, {{}}); run.log_epoch(0, {{'loss': 1.0}})"
IMPORTS = "import sys, time; from pathlib import Path; from pipelines.paths import Paths; from pipelines.tracking import Tracking"


@pytest.fixture
def nobody() -> str:
    """An address where nothing listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def failing() -> Iterator[str]:
    """A server that answers everything with 500."""

    class Fail(BaseHTTPRequestHandler):
        def _fail(self) -> None:
            self.send_error(500)

        do_GET = do_POST = _fail

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Fail)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("where", ["nobody", "silent", "failing"])
def test_a_training_does_not_notice_a_server_that_is_away(paths: Paths, where: str, request: pytest.FixtureRequest) -> None:
    import mlflow  # noqa: F401  its import is not what is timed

    started = time.monotonic()
    run = Tracking(paths, request.getfixturevalue(where)).start_candidate("classification", "cnn", "cnn", {"epochs": 1}, {})
    assert run is None
    assert time.monotonic() - started < 4  # 2 s and a busy machine


@pytest.mark.parametrize("where", ["nobody", "silent", "failing"])
def test_looking_for_runs_that_were_left_holds_nothing_up(paths: Paths, where: str, request: pytest.FixtureRequest) -> None:
    import mlflow  # noqa: F401

    started = time.monotonic()
    assert Tracking(paths, request.getfixturevalue(where)).reconcile() == []
    assert time.monotonic() - started < 4


def test_publishing_to_a_server_that_is_away_says_what_is_kept_and_works_later(paths: Paths, nobody: str) -> None:
    made = classifier(paths, "cnn", 10)
    with pytest.raises(ServiceError, match=r"no MLflow server answers at .*next `visionloop run` publishes") as caught:
        Tracking(paths, nobody).publish(made.model_dir, made.evaluate_dir)
    assert caught.value.exit_code == 4
    assert Tracking(paths).publish(made.model_dir, made.evaluate_dir) is not None


def test_a_registry_that_is_away_makes_no_champion(paths: Paths, nobody: str) -> None:
    made = classifier(paths, "cnn", 10)
    Tracking(paths).publish(made.model_dir, made.evaluate_dir)
    with pytest.raises(ServiceError):
        promote("classification", paths, settings(), [made.evaluate_dir], registry=Registry(paths, nobody))
    assert Registry(paths).at("classification", "champion") is None
    assert Registry(paths).history("classification") == []


def test_a_store_that_breaks_while_training_is_noticed_once_and_filled_in_later(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    made = classifier(paths, "cnn", 10)
    tracking = Tracking(paths)
    run = tracking.start_candidate("classification", "cnn", "cnn-dddddddd", {}, {})
    assert run is not None
    run.log_epoch(0, {"loss": 1.0})
    database = paths.mlflow_store / "mlflow.db"
    content = database.read_bytes()
    tracking.store.client._tracking_client.store.engine.dispose()  # or SQLite answers from the file it still holds open
    database.write_bytes(b"no database" * 500)
    for epoch in (1, 2, 3):
        run.log_epoch(epoch, {"loss": 0.5})
    run.finish(made.sha256)
    assert caplog.text.count("live metrics stop here") == 1
    database.write_bytes(content)
    published = Tracking(paths).publish(made.model_dir, made.evaluate_dir)
    assert published is not None
    assert len(Tracking(paths).store.client.get_metric_history(published, "loss")) == 4


@pytest.mark.parametrize("wanted", [signal.SIGKILL, signal.SIGTERM])
def test_the_run_of_a_killed_training_is_closed_by_the_next(paths: Paths, wanted: signal.Signals) -> None:
    code = f"{IMPORTS}; {BEGIN}; print(run.run_id, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code, str(paths.root)], stdout=subprocess.PIPE, text=True, env=_environment())
    assert process.stdout is not None
    killed = process.stdout.readline().strip()
    process.send_signal(wanted)
    process.wait()
    process.stdout.close()
    tracking = Tracking(paths)
    assert tracking.store.client.get_run(killed).info.status == "RUNNING"
    tracking.start_candidate("classification", "cnn", "cnn", {}, {})
    assert tracking.store.client.get_run(killed).info.status == "KILLED"


@pytest.mark.slow
def test_processes_that_open_a_fresh_store_together_all_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", f"{IMPORTS}; {BEGIN}; run.finish('a' * 64)", str(tmp_path / "fresh")]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=_environment()) for _ in range(3)]
    failures = [errors for process in processes for errors in [process.communicate()[1]] if process.returncode]
    assert failures == []
    tracking = Tracking(Paths(tmp_path / "fresh"))
    assert len(tracking.store.client.search_runs([tracking.store.experiment("classification")])) == 3


@pytest.mark.slow
def test_requests_that_are_mistreated_make_nothing_twice_and_lose_no_metric() -> None:
    command = [sys.executable, "-m", "benchmarks.tracking_faults", "--faults", "10", "--share", "0.3"]
    answered = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=_environment())
    assert answered.returncode == 0, answered.stdout + answered.stderr
    assert re.search(r"runs made twice +0\n.* without a model +0\n.* RUNNING +0\n", answered.stdout)


def test_publishers_at_once_make_one_run(paths: Paths) -> None:
    made = classifier(paths, "cnn", 10)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: Tracking(paths).publish(made.model_dir, made.evaluate_dir), range(4)))
    assert len(found) == 1
    tracking = Tracking(paths)
    assert len(tracking.store.client.search_runs([tracking.store.experiment("classification")])) == 1


def test_promoters_at_once_decide_once_and_the_better_model_wins(paths: Paths) -> None:
    candidates = [
        classifier(paths, name, wrong, seed=seed) for seed, (name, wrong) in enumerate([("worse", 50), ("better", 10), ("middle", 30)])
    ]
    for made in candidates:
        Tracking(paths).publish(made.model_dir, made.evaluate_dir)
    for _ in range(4):
        with ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda made: promote("classification", paths, settings(), [made.evaluate_dir]), candidates))
        champion = Registry(paths).at("classification", "champion")
        assert champion is not None and champion.model == "better"
    keys = [entry["key"] for entry in Registry(paths).history("classification")]
    assert len(keys) == len(set(keys))


def test_a_full_disk_is_named_as_such(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    made = classifier(paths, "cnn", 10)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipelines.tracking.publish.write_model_files", full)
    with pytest.raises(ResourceError, match="No space left") as caught:
        Tracking(paths).publish(made.model_dir, made.evaluate_dir)
    assert caught.value.exit_code == 5
    monkeypatch.undo()
    assert Tracking(paths).publish(made.model_dir, made.evaluate_dir) is not None


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
