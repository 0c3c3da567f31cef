"""DVC asked and driven, on a project of toy stages."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from pipelines import dvc_stages
from pipelines.paths import Paths
from tests.project import environment, processes_in

SLEEP = "import os, time; open('pids', 'a').write(f'{os.getpid()}\\n'); time.sleep(100)"
WATCHED = "from pipelines.stages.watchdog import watch_parent; watch_parent(); " + SLEEP
REPRODUCE = "import sys; from pathlib import Path; from pipelines import dvc_stages; from pipelines.paths import Paths\n"
REPRODUCE += "dvc_stages.reproduce(Paths(Path(sys.argv[1])), sys.argv[2], print, 100)"


def stage(code: str, **more: object) -> dict[str, object]:
    return {"cmd": [f'{sys.executable} -P -c "{code}"'], **more}


STAGES = {
    "copy": stage("print('hello'); open('out', 'w').write(open('in').read())", deps=["in"], outs=["out"]),
    "bad": stage("import sys; print('error: the label is wrong', file=sys.stderr); sys.exit(3)"),
    "crash": stage("raise ValueError('nobody foresaw this')"),
    "sleep": {"cmd": f'{sys.executable} -P -c "{SLEEP}" & {sys.executable} -P -c "{SLEEP}"'},
    "watched": stage(WATCHED),
    "stubborn": stage(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN); " + SLEEP
    ),
}


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paths]:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").touch()
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": STAGES}))
    (tmp_path / "in").write_text("1")
    dvc_stages.begin()
    yield Paths(tmp_path)
    dvc_stages.begin()


def wait_for_pids(paths: Paths, count: int) -> list[int]:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with_pids = paths.root / "pids"
        if with_pids.is_file() and len(found := with_pids.read_text().split()) >= count:
            return [int(pid) for pid in found]
        time.sleep(0.05)
    raise TimeoutError("the stage did not start")


def gone(pids: list[int], seconds: float) -> bool:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], seconds)
    return not alive


def test_a_stage_runs_once_and_its_lines_are_told_without_dvcs_advice(paths: Paths) -> None:
    said: list[str] = []
    assert "copy" in dvc_stages.stale(paths)  # there is no .git here, as in a container
    assert dvc_stages.reproduce(paths, "copy", said.append, 100)
    assert "hello" in said and (paths.root / "out").read_text() == "1"
    assert not [line for line in said if "dvc push" in line or "git add" in line or "autostage" in line]
    assert "copy" not in dvc_stages.stale(paths)
    assert not dvc_stages.reproduce(paths, "copy", said.append, 100)
    (paths.root / "in").write_text("2")
    assert "copy" in dvc_stages.stale(paths)


def test_a_users_error_comes_through_in_its_words_and_exit_code(paths: Paths) -> None:
    with pytest.raises(dvc_stages.StageFailed) as failed:
        dvc_stages.reproduce(paths, "bad", lambda _: None, 100)
    assert (failed.value.exit_code, failed.value.stage, failed.value.is_users) == (3, "bad", True)
    assert str(failed.value) == "stage bad: the label is wrong"


def test_an_unforeseen_error_shows_the_end_of_the_output(paths: Paths) -> None:
    with pytest.raises(dvc_stages.StageFailed, match="nobody foresaw this") as failed:
        dvc_stages.reproduce(paths, "crash", lambda _: None, 100)
    assert failed.value.exit_code == 1


def test_a_stage_that_dvc_does_not_know_is_an_error(paths: Paths) -> None:
    with pytest.raises(dvc_stages.StageFailed, match="nosuch"):
        dvc_stages.reproduce(paths, "nosuch", lambda _: None, 100)


def test_the_timeout_ends_the_whole_process_group(paths: Paths) -> None:
    begun = threading.Thread(target=wait_for_pids, args=(paths, 2))
    begun.start()
    with pytest.raises(TimeoutError, match=r"run\.stage_timeout"):
        dvc_stages.reproduce(paths, "sleep", lambda _: None, 6)
    begun.join()
    assert gone(wait_for_pids(paths, 2), 5)


def test_what_ignores_a_polite_signal_is_ended_for_certain(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_stages, "GRACE_SECONDS", 0.5)
    with pytest.raises(TimeoutError):
        dvc_stages.reproduce(paths, "stubborn", lambda _: None, 4)
    assert gone(wait_for_pids(paths, 1), 5)


def test_end_all_interrupts_and_no_stage_starts_until_begin(paths: Paths) -> None:
    failures: list[dvc_stages.StageFailed] = []

    def run() -> None:
        try:
            dvc_stages.reproduce(paths, "sleep", lambda _: None, 100)
        except dvc_stages.StageFailed as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    pids = wait_for_pids(paths, 2)
    dvc_stages.end_all()
    thread.join(30)
    assert gone(pids, 5)
    assert [failure.exit_code for failure in failures] == [130] and failures[0].is_users
    with pytest.raises(dvc_stages.StageFailed, match="interrupted"):
        dvc_stages.reproduce(paths, "copy", lambda _: None, 100)
    dvc_stages.begin()
    assert dvc_stages.reproduce(paths, "copy", lambda _: None, 100)


def test_a_stage_ends_when_the_run_that_asked_for_it_is_killed(paths: Paths) -> None:
    run = subprocess.Popen(
        [sys.executable, "-P", "-c", REPRODUCE, str(paths.root), "watched"], env=environment(), stdout=subprocess.DEVNULL
    )
    pids = wait_for_pids(paths, 1)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert gone(pids, 15)
    end = time.monotonic() + 15
    while processes_in(paths.root) and time.monotonic() < end:
        time.sleep(0.2)
    assert not processes_in(paths.root)


def test_without_a_named_parent_nothing_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.stages import watchdog

    monkeypatch.delenv(watchdog.PARENT, raising=False)
    watchdog.watch_parent()
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}
