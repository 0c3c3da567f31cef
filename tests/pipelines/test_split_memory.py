"""The split stage on files: what it placed it finds again, also after a kill, and under `dvc repro`."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.data import tables
from components.errors import DataError
from components.split import PLACEMENTS
from pipelines.paths import Paths
from pipelines.stages import split
from tests.images import classification_image, write_png
from tests.pipelines.test_data_stages import settings as knobs
from tests.project import environment, make_project

FILES = ("placements.parquet", "images.parquet", "boxes.parquet", "classes.json", "split.png", "report.json")


def validated(paths: Paths, numbers: list[int], groups: dict[int, int]) -> None:
    """What the validate stage would have written of these images."""
    for task in tables.TASKS:
        folder = paths.validate(task)
        folder.mkdir(parents=True, exist_ok=True)
        rows = [
            {"image_id": f"{n:064x}", "path": f"{n:04d}.png", "task": task, "label": "ab"[n % 2], "status": "ok", "problems": []}
            | {"group_id": f"{groups.get(n, n):064x}"}
            for n in (numbers if task == "classification" else [])
        ]
        tables.write(tables.frame(rows, tables.IMAGES), folder / "images.parquet", tables.IMAGES)
        tables.write(tables.frame([], tables.BOXES), folder / "boxes.parquet", tables.BOXES)
        (folder / "classes.json").write_text('["a", "b"]\n')
        (folder / "report.json").write_text('{"skipped": "none"}\n')


def places(paths: Paths) -> dict[str, str]:
    images = tables.read(paths.split("classification") / "images.parquet", tables.IMAGES).dropna(subset="split")
    return dict(zip(images["image_id"], images["split"], strict=True))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(
            st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)), st.dictionaries(st.integers(0, 40), st.integers(0, 40), max_size=3)
        )
    )
)
def test_nothing_moves_through_the_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, growth: list[tuple[set[int], set[int], dict[int, int]]]
) -> None:
    monkeypatch.setattr(split, "draw", lambda _told, path: path.touch())
    paths = Paths(tmp_path)
    shutil.rmtree(paths.outputs, ignore_errors=True)
    present, groups, ever = set(range(100, 112)), {}, {}
    for added, removed, joined in growth:
        present, groups = (present | added) - removed, groups | joined
        validated(paths, sorted(present), groups)
        split.run(paths, knobs())
        now = places(paths)
        assert all(ever.get(image, place) == place for image, place in now.items())
        ever |= now


def test_a_run_that_is_killed_midway_changes_nothing_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths, apart = Paths(tmp_path / "killed"), Paths(tmp_path / "whole")
    for own in (paths, apart):
        validated(own, list(range(30)), {})
        split.run(own, knobs())
        validated(own, list(range(35)), {})
    with monkeypatch.context() as broken, pytest.raises(KeyboardInterrupt):
        broken.setattr(split, "draw", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        split.run(paths, knobs())
    for file in FILES[1:]:  # as DVC does before it runs a stage again
        (paths.split("classification") / file).unlink(missing_ok=True)
    split.run(paths, knobs())
    split.run(apart, knobs())
    for file in FILES:
        assert (paths.split("classification") / file).read_bytes() == (apart.split("classification") / file).read_bytes()
    assert sorted(path.name for path in paths.split("classification").iterdir()) == sorted(FILES)


def test_a_damaged_memory_is_named_with_what_to_do(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    validated(paths, list(range(30)), {})
    split.run(paths, knobs())
    (paths.split("classification") / "placements.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="dvc checkout"):
        split.run(paths, knobs())


def test_another_seed_deals_anew_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    paths = Paths(tmp_path)
    validated(paths, list(range(30)), {})
    split.run(paths, knobs())
    before, changed = places(paths), knobs()
    changed.seed = 1
    split.run(paths, changed)
    assert places(paths) != before and "dealt anew, for seed 0 became 1" in caplog.text


def repro(paths: Paths) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro", "split"],
        cwd=paths.root,
        env=environment(PYTHONPATH=str(paths.root)),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.ci
def test_dvc_keeps_the_memory_between_runs(tmp_path: Path) -> None:
    paths = make_project(tmp_path / "project")
    repro(paths)
    first, rng = places(paths), np.random.default_rng(9)
    extra = paths.data / "classification" / "class_0" / "extra.png"
    for number in range(4):
        write_png(extra.with_stem(f"extra{number}"), classification_image(0, 48, rng))
    repro(paths)
    grown = places(paths)
    assert len(grown) == len(first) + 4 and first.items() <= grown.items()
    moved = [path.rename(tmp_path / path.name) for path in extra.parent.glob("extra*.png")]
    repro(paths)
    assert places(paths) == first  # and not from DVC's run cache, which would have brought the shorter memory back
    memory = tables.read(paths.split("classification") / "placements.parquet", PLACEMENTS)
    assert dict(zip(memory["image_id"], memory["split"], strict=True)) == grown
    for path in moved:
        path.rename(extra.parent / path.name)
    repro(paths)
    assert places(paths) == grown
    params = yaml.safe_load(paths.params.read_text("utf-8"))
    paths.params.write_text(yaml.safe_dump(params | {"seed": 5}), "utf-8")
    assert "dealt anew" in repro(paths)
