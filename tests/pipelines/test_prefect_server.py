import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil
import pytest

from components.errors import ServiceError, UsageError
from pipelines import local_server
from pipelines.paths import Paths
from pipelines.prefect_server import PrefectServer, prefect_server
from tests.project import processes_in


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "PREFECT_HOME"):
        monkeypatch.setenv(name, "")  # so that what a server sets is taken back
        monkeypatch.delenv(name)


def test_a_named_server_that_is_away_is_a_service_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(ServiceError, match="PREFECT_API_URL=http://127"), prefect_server(Paths(tmp_path)) as server:
        server.ready()
    assert not list(tmp_path.iterdir())


def orphan(paths: Paths, started: float | None = None) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"], start_new_session=True)
    paths.prefect_home.mkdir()
    begun = psutil.Process(process.pid).create_time() if started is None else started
    (paths.prefect_home / "server.json").write_text(json.dumps({"pid": process.pid, "started": begun}))
    return process


def test_the_server_of_a_killed_run_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    process = orphan(Paths(tmp_path))
    PrefectServer(Paths(tmp_path))._clear_orphan()
    assert process.wait(5) == -signal.SIGTERM


def test_another_process_with_the_same_number_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    process = orphan(Paths(tmp_path), started=1.0)
    try:
        PrefectServer(Paths(tmp_path))._clear_orphan()
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": 999999999, "started": 1}'])
def test_a_spoilt_record_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    paths = Paths(tmp_path)
    paths.prefect_home.mkdir()
    (paths.prefect_home / "server.json").write_text(text)
    PrefectServer(paths)._clear_orphan()


@pytest.mark.slow
def test_our_own_server_answers_on_loopback_only_and_is_gone_afterwards(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    with prefect_server(paths) as server:
        url = server.ready()
        assert server.process is not None
        with urllib.request.urlopen(f"{url}/health") as answer:
            assert answer.read() == b"true"
        family = [psutil.Process(server.process.pid), *psutil.Process(server.process.pid).children(recursive=True)]
        listening = {one.laddr.ip for process in family for one in process.net_connections() if one.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        assert paths.prefect_home.stat().st_mode & 0o077 == 0
    assert not processes_in(tmp_path)
    assert not (paths.prefect_home / "server.json").exists()


def test_a_server_that_ends_at_once_shows_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    command = [sys.executable, "-c", "print('the port is taken'); raise SystemExit(1)"]
    with pytest.raises(ServiceError, match="the port is taken"), local_server.local_server(command, "http://127.0.0.1:9", log, {}):
        pytest.fail("it must not come up")


def test_a_taken_port_is_refused_and_none_named_gives_a_free_one() -> None:
    import socket

    with socket.socket() as listener:
        listener.bind((local_server.HOST, 0))
        listener.listen()
        with pytest.raises(UsageError, match="--port"):
            local_server.free_port(listener.getsockname()[1])
    assert 1024 <= local_server.free_port() <= 65535
