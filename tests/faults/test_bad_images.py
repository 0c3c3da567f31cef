"""Every bad or odd image file is named by its code, in bounded time and memory, and none of its bytes is touched."""

import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from components.data import facts
from components.data.catalog import Catalog, Rules
from components.data.codes.files import CODES
from components.data.formats import read_dataset
from components.data.scan import scan
from components.data.survey import survey
from components.data.workers import CPU_SECONDS
from tests.faults.bad_images import FILES, PICTURE, SPECIAL, build, encode
from tests.project import environment, make_project

SECONDS, BYTES = 5, 1_000_000_000


def digests(root: Path) -> dict[str, tuple[str, int]]:
    """The SHA-256 and the time of change of every file."""
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns) for path in files}


def scanned(root: Path) -> Catalog:
    return scan(root, "classification", read_dataset(root, "classification", "folder"), Rules(min_side=16, max_side=20_000))


def codes(found: list[Any], folder: str) -> dict[str, set[str]]:
    """The codes about single files that each file of a folder was given, by its name."""
    by_name: dict[str, set[str]] = {}
    for one in found:
        file, code = (one["file"], one["code"]) if isinstance(one, dict) else (one.file, one.code)
        where, _, name = file.removeprefix("classification/").partition("/")
        if where == folder and code in CODES:
            by_name.setdefault(name, set()).add(code)
    return by_name


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What `visionloop data check --json` says of all FILES, and the peak memory of all its processes together."""
    root, project = tmp_path_factory.mktemp("bad") / "dataset", make_project(tmp_path_factory.mktemp("project") / "p", images=False)
    build(root)
    before = digests(root)
    arguments = ["data", "check", str(root), "--task", "classification", "--json"]
    command = [sys.executable, "-P", "-m", "pipelines", *arguments]
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen(command, cwd=project.root, env=environment(), stdout=out, stderr=subprocess.PIPE)
        peak = watch(process)
        out.seek(0)
        (summary,) = json.loads(out.read())
    assert process.stderr is not None
    yield {**summary, "peak": peak, "code": process.returncode, "said": process.stderr.read(), "unchanged": digests(root) == before}
    process.stderr.close()


def watch(process: "subprocess.Popen[bytes]") -> int:
    """Bytes of resident memory, at most, of a process and all below it until it ends."""
    peak, whole = 0, psutil.Process(process.pid)
    while process.poll() is None:
        size = 0
        for one in [whole, *_children(whole)]:
            try:
                size += one.memory_info().rss
            except psutil.Error:
                continue
        peak = max(peak, size)
        time.sleep(0.01)
    return peak


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


@pytest.mark.parametrize(("folder", "name"), [(folder, name) for folder, files in FILES.items() for name in files], ids=repr)
def test_a_file_is_given_its_codes_and_no_others(folder: str, name: str, watched: dict[str, Any]) -> None:
    assert codes(watched["findings"], folder).get(name, set()) == FILES[folder][name][1]


def test_the_check_answers_no_is_quiet_and_leaves_every_byte_as_it_was(watched: dict[str, Any]) -> None:
    assert watched["code"] == 1
    assert watched["said"] == b""
    assert watched["unchanged"]


def test_no_file_takes_the_memory_of_the_machine(watched: dict[str, Any]) -> None:
    assert 50_000_000 < watched["peak"] < BYTES


@pytest.mark.parametrize("name", [name for name in FILES["too-much"] if "megapixels" in name or "note" in name])
def test_no_file_takes_longer_than_it_may(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(FILES["too-much"][name][0])
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    facts.measure_all([tmp_path / name], 1)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # of computing, the start of the process included: on a busy machine the clock on the wall says nothing
    most = CPU_SECONDS if name.startswith("really-80") else SECONDS  # those can be decoded, and are: each takes what it needs
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < most


def test_there_are_enough_of_them() -> None:
    odd = [codes for files in FILES.values() for _, codes in files.values() if codes]
    assert len(odd) + len(SPECIAL) >= 120


@pytest.fixture
def special(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    (root / "one").mkdir(parents=True)
    (root / "sound").mkdir()
    (tmp_path / "outside.png").write_bytes(encode(PICTURE))
    (root / "one" / "one.png").write_bytes(encode(PICTURE))
    (root / "sound" / "two.png").write_bytes(encode(PICTURE[1:]))
    for name, (make, _) in SPECIAL.items():
        try:
            make(root / "one" / name)
        except PermissionError:
            assert name == "device.jpg"  # only the superuser makes devices
    (root / "one" / "inside.png").symlink_to("../sound/two.png")
    return root


def test_what_is_no_regular_file_of_the_dataset_is_named_and_never_opened(special: Path) -> None:
    begun = time.monotonic()
    found = scanned(special)
    assert time.monotonic() - begun < SECONDS
    made = {name for name in SPECIAL if os.path.lexists(special / "one" / name)}
    named = codes(found.findings, "one")
    assert {name: named.get(name) for name in made} == {name: {SPECIAL[name][1]} for name in made}
    assert sorted(found.images["path"]) == ["classification/one/inside.png", "classification/one/one.png", "classification/sound/two.png"]


def test_names_that_are_no_utf8_are_left_out_and_named_by_their_bytes(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"cl\xe9ment")
    for place in (folder / "inside.png", tmp_path / "one" / os.fsdecode(b"caf\xe9.png"), tmp_path / "one" / "good.png"):
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(encode(PICTURE))
    found = scanned(tmp_path)
    left_out = [one for one in found.findings if one.code == "name-not-utf8"]
    assert [one.file for one in left_out] == ["classification/cl\\xe9ment", "classification/one/caf\\xe9.png"]
    assert list(found.images["path"]) == ["classification/one/good.png"]
    json.dumps([one.file for one in found.findings]).encode()


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can look as somebody else")
def test_what_may_not_be_read_is_named() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "open").mkdir()
        for name, mode in (("open/closed.png", 0), ("open/good.png", 0o644)):
            (root / name).write_bytes(encode(PICTURE))
            (root / name).chmod(mode)
        (root / "shut").mkdir(mode=0o700)
        root.chmod(0o755)
        os.seteuid(65534)
        try:
            found = list(survey(root))
            closed, good = (facts.measure(root / "open" / name) for name in ("closed.png", "good.png"))
        finally:
            os.seteuid(0)
    assert [(one.code, one.file) for one in found] == [("folder-unreadable", "shut")]
    assert (closed["problems"], good["problems"]) == (["unreadable"], [])


def test_a_file_that_grows_while_it_is_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "growing.png"
    path.write_bytes(encode(PICTURE))
    fstat = os.fstat

    def grown(handle: int) -> os.stat_result:
        before = fstat(handle)
        with path.open("ab") as file:
            file.write(b"more")
        return before

    monkeypatch.setattr(os, "fstat", grown)
    found = facts.measure(path)
    assert (found["status"], found["problems"]) == ("quarantined", ["changes"])
    monkeypatch.undo()
    assert facts.measure(path)["problems"] == []


def test_a_pipe_put_in_a_file_s_place_after_the_walk_does_not_make_the_scan_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "late.png")
    assert facts.measure(tmp_path / "late.png")["problems"] == ["special-file"]
