import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import UsageError
from pipelines import settings
from pipelines.overrides import overridden
from pipelines.paths import Paths
from tests.project import ROOT, environment

ORIGINAL = (ROOT / "params.yaml").read_bytes()


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    (tmp_path / ".visionloop").mkdir()
    (tmp_path / "params.yaml").write_bytes(ORIGINAL)
    return Paths(tmp_path)


def test_the_file_holds_the_override_for_the_block_and_is_byte_identical_afterwards(paths: Paths) -> None:
    with overridden(paths, ["train.threads=7", "models.cnn.epochs=3"]):
        during = settings.load(paths.params)
        text = paths.params.read_text()
    assert (during.models["yolo"].train.threads, during.models["cnn"].train.epochs) == (7, 3)
    comments = [line.partition("#")[2] for line in ORIGINAL.decode().splitlines() if "#" in line]
    assert [line.partition("#")[2] for line in text.splitlines() if "#" in line] == comments
    assert paths.params.read_bytes() == ORIGINAL
    assert not (paths.private / "params.before-set.yaml").exists()


def test_only_the_lines_of_the_override_differ(paths: Paths) -> None:
    with overridden(paths, ["seed=5"]):
        changed = [
            (a, b)
            for a, b in zip(ORIGINAL.decode().splitlines(), paths.params.read_text().splitlines(), strict=True)
            if a.split() != b.split()
        ]
    assert [after.split()[:2] for _, after in changed] == [["seed:", "5"]]


def test_an_exception_in_the_block_puts_the_file_back(paths: Paths) -> None:
    with pytest.raises(KeyboardInterrupt), overridden(paths, ["seed=5"]):
        raise KeyboardInterrupt
    assert paths.params.read_bytes() == ORIGINAL


@pytest.mark.parametrize("assignment", ["train.thraeds=3", "models.cnn.epochs=-1", "nosuch.key=1", "seed"])
def test_a_wrong_assignment_touches_nothing(paths: Paths, assignment: str) -> None:
    before = paths.params.stat()
    with pytest.raises(UsageError), overridden(paths, [assignment]):
        pytest.fail("the block must not run")
    after = paths.params.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)
    assert not list(paths.private.glob("params.before*"))


def test_after_a_kill_the_next_run_puts_the_file_back(paths: Paths) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from pipelines.overrides import overridden; from pipelines.paths import Paths\n"
        "with overridden(Paths(Path(sys.argv[1])), ['seed=5']): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code, str(paths.root)], env=environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    assert settings.load(paths.params).seed == 5
    with overridden(paths, []):
        assert paths.params.read_bytes() == ORIGINAL
    assert paths.params.read_bytes() == ORIGINAL


def test_after_a_kill_an_override_starts_from_the_original(paths: Paths) -> None:
    pid = os.fork()
    if pid == 0:
        with overridden(paths, ["seed=5"]):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    with overridden(paths, ["train.threads=9"]):
        during = settings.load(paths.params)
    assert (during.seed, during.models["cnn"].train.threads) == (0, 9)
    assert paths.params.read_bytes() == ORIGINAL


def test_an_edit_by_hand_while_it_holds_is_kept_and_said(paths: Paths, caplog: pytest.LogCaptureFixture) -> None:
    edited = ORIGINAL + b"# mine\n"
    with caplog.at_level(logging.WARNING), overridden(paths, ["seed=5"]):
        paths.params.write_bytes(edited)
    assert paths.params.read_bytes() == edited
    assert "edited" in caplog.text
    assert (paths.private / "params.before-edit.yaml").read_bytes() == ORIGINAL
    with overridden(paths, []):
        assert paths.params.read_bytes() == edited
