"""`visionloop run` on a small complete project, undisturbed and disturbed; each disturbance is followed by a run that just works."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pipelines.paths import Paths
from tests.images import classification_image, write_png
from tests.project import command, make_project, processes_in, start

pytestmark = pytest.mark.slow
ALL = ["validate", "split", "augment", "train@tiny", "evaluate@tiny"]
NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Paths, "subprocess.CompletedProcess[str]"]:
    """A project after its first run."""
    paths = make_project(tmp_path_factory.mktemp("run") / "project")
    return paths, command(paths, "run", "--json")


@pytest.fixture
def project(first: tuple[Paths, "subprocess.CompletedProcess[str]"]) -> Paths:
    """The same project, which each test leaves in order: its last run was complete."""
    return first[0]


def answer(done: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(json.loads(done.stdout))


def versions(paths: Paths) -> dict[int, str | None]:
    """Registered versions, by number, and what they are of."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{paths.mlflow_store / 'mlflow.db'}")
    return {int(one.version): one.run_id for one in client.search_model_versions("name='classifier'")}


def change(paths: Paths, old: str, new: str) -> None:
    text = paths.params.read_text()
    assert text.count(old) == 1
    paths.params.write_text(text.replace(old, new))


def eventually(holds: Callable[[], bool], seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.2)
    return holds()


@pytest.mark.ci
def test_the_first_run_goes_from_images_to_a_champion(first: tuple[Paths, "subprocess.CompletedProcess[str]"]) -> None:
    paths, done = first
    result = answer(done)
    assert result["ran"] == ALL
    assert result["decisions"]["classification"]["verdict"] == "promote"
    (row,) = result["candidates"]
    assert row["model"] == "tiny" and 0 <= row["test/accuracy"] <= 1
    assert list(versions(paths)) == [1]
    assert "data/detection is absent or empty: the detection half is skipped" in done.stderr
    assert "Traceback" not in done.stderr and "Error logging to API" not in done.stderr and "Timeout of" not in done.stderr
    assert not processes_in(paths.root)
    assert json.loads((paths.evaluate("tiny") / "report.json").read_text())["model"] == "tiny"


@pytest.mark.ci
def test_a_second_run_retrains_nothing_publishes_nothing_and_ends_at_once(project: Paths) -> None:
    before, model = versions(project), (project.train("tiny") / "model.keras").stat().st_mtime_ns
    used = os.times()
    result = answer(command(project, "run", "--json"))
    spent = os.times()
    assert result["ran"] == []
    assert versions(project) == before and (project.train("tiny") / "model.keras").stat().st_mtime_ns == model
    cpu = spent.children_user + spent.children_system - used.children_user - used.children_system
    assert cpu < 30  # seconds; 11 measured with the server, which on two idle cores is under 12 s of wall time


def test_the_table_is_for_people_and_a_champion_that_stays_meets_the_requirement(project: Paths) -> None:
    done = command(project, "run", "--require")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "everything was up to date" in done.stdout and "tiny is already champion" in done.stdout


def test_a_server_that_is_away_exits_with_4(project: Paths) -> None:
    done = command(project, "run", PREFECT_API_URL=f"{NOWHERE}/api")
    assert done.returncode == 4
    assert "error: no Prefect server answers at PREFECT_API_URL" in done.stderr and "Traceback" not in done.stderr


def test_an_unknown_model_or_parameter_exits_with_2_before_anything_runs(project: Paths) -> None:
    for arguments in (["--model", "nobody"], ["--set", "train.thraeds=3"], ["--task", "detection"]):
        done = command(project, "run", *arguments)
        assert done.returncode == 2, arguments
        assert done.stderr.splitlines()[-1].startswith("error: "), done.stderr


def test_two_runs_at_once_are_refused(project: Paths) -> None:
    from filelock import FileLock

    with FileLock(project.private / "run.lock"):
        done = command(project, "run")
    assert done.returncode == 2 and "another `visionloop run`" in done.stderr


@pytest.mark.ci
def test_mlflow_away_keeps_the_training_and_the_next_run_publishes_it(project: Paths) -> None:
    change(project, "epochs: 2\n", "epochs: 3\n")
    before = versions(project)
    done = command(project, "run", MLFLOW_TRACKING_URI=NOWHERE)
    assert done.returncode == 4, done.stderr[-3000:]
    assert NOWHERE in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    assert json.loads((project.evaluate("tiny") / "report.json").read_text())["params"]["epochs"] == 3
    assert versions(project) == before
    assert answer(command(project, "run", "--json"))["ran"] == []
    assert len(versions(project)) == len(before) + 1


def training(paths: Paths, epochs: str, **more: str) -> "tuple[subprocess.Popen[str], list[str]]":
    """A run that is in the middle of a long training, and its output so far."""
    change(paths, f"epochs: {epochs}\n", "epochs: 100000\n")
    change(paths, "patience: 10\n", "patience: 0\n")
    process = start(paths, "run", **more)
    lines: list[str] = []
    assert process.stderr is not None

    def keep() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)

    threading.Thread(target=keep, daemon=True).start()
    assert eventually(lambda: any("tiny epoch 3/" in line for line in lines) or process.poll() is not None, 120)
    assert process.poll() is None, "".join(lines[-30:])
    return process, lines


def short_again(paths: Paths, epochs: str) -> None:
    change(paths, "epochs: 100000\n", f"epochs: {epochs}\n")
    change(paths, "patience: 0\n", "patience: 10\n")


@pytest.mark.parametrize("wanted", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything_with_130_and_the_next_run_completes(project: Paths, wanted: signal.Signals) -> None:
    epochs = "3" if "epochs: 3\n" in project.params.read_text() else "2"
    process, lines = training(project, epochs)
    process.send_signal(wanted)
    process.wait(60)
    assert process.returncode == 130, "".join(lines[-30:])
    assert eventually(lambda: any("interrupted" in line for line in lines[-5:]), 5)
    assert eventually(lambda: not processes_in(project.root), 15), processes_in(project.root)
    assert not list((project.outputs / "train").glob(".*")), "partial output is left"
    short_again(project, epochs)
    assert answer(command(project, "run", "--json"))["ran"] in ([], ["train@tiny", "evaluate@tiny"], ["train@tiny"])


@pytest.mark.ci
def test_a_killed_run_takes_its_stage_along_and_the_next_run_completes(project: Paths) -> None:
    epochs = "3" if "epochs: 3\n" in project.params.read_text() else "2"
    process, _ = training(project, epochs)
    process.kill()
    process.wait()
    # Prefect's server outlives it until the next run; stages do not.
    assert eventually(lambda: not [line for line in processes_in(project.root).values() if "server" not in line], 30), processes_in(
        project.root
    )
    short_again(project, epochs)
    answer(command(project, "run", "--json"))
    assert not processes_in(project.root)


def test_new_images_retrain_and_change_the_version_of_the_data(project: Paths) -> None:
    import numpy as np

    before = (project.root / "data.dvc").read_text()
    for kind in range(2):
        rng = np.random.default_rng(99 + kind)
        write_png(project.data / "classification" / f"class_{kind}" / "new.png", classification_image(kind, 48, rng))
    assert answer(command(project, "run", "--json"))["ran"] == ALL
    assert (project.root / "data.dvc").read_text() != before


def test_a_stage_that_fails_tells_its_own_reason_and_exit_code(project: Paths) -> None:
    labels = sorted((project.data / "classification" / "class_1").iterdir())
    kept = {path: path.read_bytes() for path in labels}
    for path in labels[1:]:
        path.unlink()
    done = command(project, "run")
    assert done.returncode in (1, 3), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: stage validate: ")
    for path, data in kept.items():
        path.write_bytes(data)
    answer(command(project, "run", "--json"))
