"""What every command owes: help with an example that works, no heavy import before it is needed, an exit code that says why."""

import argparse
import errno
import logging
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import cli
from tests.images import make_classification
from tests.imports import ROOT
from tests.project import environment, make_project

HEAVY = ("prefect", "mlflow", "dvc", "tensorflow", "keras", "albumentations", "great_expectations", "pandas", "numpy")


def leaves(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield parser
    for group in groups:
        for child in group.choices.values():
            yield from leaves(child)


COMMANDS = list(leaves(cli._parser()))


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Commands set signal handlers and log levels for their own process."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    levels = {name: logging.getLogger(name).level for name in ("pipelines", "components")}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("parser", COMMANDS, ids=lambda parser: parser.prog)
def test_help_shows_an_example_that_parses(parser: argparse.ArgumentParser) -> None:
    (example,) = [line.removeprefix("example: ") for line in parser.format_help().splitlines() if line.startswith("example: ")]
    command, *arguments = shlex.split(example)
    assert command == "visionloop"
    parsed = cli._parser().parse_args(arguments)
    assert parsed.handler == parser.get_default("handler")
    assert example.startswith(parser.prog)


def test_the_commands_are_those_of_the_design() -> None:
    names = {parser.prog.removeprefix("visionloop ") for parser in COMMANDS}
    loop = {
        "run",
        "stage",
        "data sample",
        "data import",
        "data check",
        "data diff",
        "data suspects",
        "models",
        "summary",
        "promote",
        "rollback",
        "history",
        "tune",
        "lr",
        "predict",
        "explain",
        "export",
        "ui",
    }
    assert loop <= names


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    code = "import sys; from pipelines.cli import main\ntry: main(['--help'])\n"
    code += f"except SystemExit: print([name for name in {HEAVY} if name in sys.modules])"
    before = time.perf_counter()
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "exit codes" in done.stdout
    assert time.perf_counter() - before < 3  # 0.1 s on an idle machine


def test_reading_the_settings_imports_nothing_heavy(tmp_path: Path) -> None:
    paths = make_project(tmp_path / "p", images=False)
    code = f"import sys; from pathlib import Path; from pipelines import settings; settings.load(Path({str(paths.params)!r}))"
    code += f"; print([n for n in {HEAVY} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-P", "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]"]


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["run", "--task", "poetry"], ["stage", "nothing"], ["predict", "x.png"], ["data", "import"]]
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(arguments)
    assert left.value.code == 2
    assert "usage: visionloop" in capsys.readouterr().err


def wrong_parameter(text: str) -> str:
    return text.replace("max_bad_fraction:", "max_bad_fractoin:")


def wrong_type(text: str) -> str:
    return text.replace("min_side: 16", "min_side: sixteen")


def not_yaml(text: str) -> str:
    return text + "\n: [unclosed"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(wrong_parameter, "did you mean validate.max_bad_fraction"), (wrong_type, "min_side is 'sixteen'"), (not_yaml, "not valid YAML")],
)
def test_wrong_parameters_exit_with_2_and_say_which(
    spoil: object, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = make_project(tmp_path / "p", images=False)
    assert callable(spoil)
    paths.params.write_text(spoil(paths.params.read_text()))
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(["stage", "validate"]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["stage", "validate", "--model", "tiny"],
        ["stage", "train"],
        ["summary", "vgg99"],
        ["predict", "x.png", "--task", "classification", "--model", "nobody"],
        ["explain", "x.png"],
    ],
)
def test_a_model_that_is_unknown_missing_or_out_of_place_exits_with_2(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = make_project(tmp_path / "p", images=False)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_outside_a_project_exits_with_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("VISIONLOOP_ROOT", raising=False)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["stage", "validate"]) == 2
    assert "dvc.yaml" in capsys.readouterr().err


def test_data_that_are_not_there_exit_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    paths = make_project(tmp_path / "p", images=False)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    assert cli.main(["data", "check"]) == 3
    assert "visionloop data sample" in capsys.readouterr().err


def test_a_check_of_sound_data_exits_with_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_project(tmp_path / "p", images=False)
    monkeypatch.setenv("VISIONLOOP_ROOT", str(paths.root))
    dataset = make_classification(tmp_path / "mine", classes=2, per_class=3)
    assert cli.main(["data", "check", str(dataset), "--task", "classification"]) == 0


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (KeyboardInterrupt(), 130, "interrupted"),
        (MemoryError(), 5, "batch_size"),
        (OSError(errno.ENOSPC, "No space left on device", "x"), 5, "disk is full"),
    ],
)
def test_what_stops_a_command_from_outside_has_its_code(
    raised: BaseException, code: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def handler(_: argparse.Namespace) -> int:
        raise raised

    monkeypatch.setattr(cli, "_parser", lambda: SimpleNamespace(parse_args=lambda _argv: SimpleNamespace(handler=handler)))
    assert cli.main([]) == code
    assert said in capsys.readouterr().err


def test_a_fault_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def handler(_: argparse.Namespace) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(cli, "_parser", lambda: SimpleNamespace(parse_args=lambda _argv: SimpleNamespace(handler=handler)))
    with pytest.raises(PermissionError):
        cli.main([])


def test_a_reader_that_has_had_enough_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `visionloop data check --json | head` does: the pipe is closed before everything is written."""
    talk = "cli_data._data_sample = lambda _: print('x' * 10_000_000) or 0"
    code = f"import sys; from pipelines import cli, cli_data; {talk}; sys.exit(cli.main(['data', 'sample']))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == (b"", 0)


def test_another_pipe_that_breaks_is_not_taken_for_an_answer_nobody_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import cli_data

    def broken(_: object) -> int:
        raise BrokenPipeError(errno.EPIPE, "a server went away")

    monkeypatch.setattr(cli_data, "_data_sample", broken)
    with pytest.raises(BrokenPipeError, match="a server went away"):
        cli.main(["data", "sample"])
