import os
import subprocess
from pathlib import Path

import pytest

from components.data.files import LeftOut, explore, walk
from components.data.survey import survey


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def names(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in walk(root)]


def left_out(root: Path) -> dict[str, str]:
    return {entry.path.relative_to(root).as_posix(): entry.code for entry in explore(root) if isinstance(entry, LeftOut)}


def test_files_come_before_folders_each_in_the_order_of_names(tmp_path: Path) -> None:
    make(tmp_path, "b/2", "b/10", "a/c/1", "a/b", "z", "C")
    assert names(tmp_path) == ["C", "z", "a/b", "a/c/1", "b/10", "b/2"]


def test_the_order_is_that_of_the_standard_walk(tmp_path: Path) -> None:
    make(tmp_path, *(f"{a}/{b}/{c}" for a in "bca" for b in "zx" for c in "21"), "b/0", "a/q")
    walked = []
    for folder, folders, files in os.walk(tmp_path):
        folders.sort()
        walked += [Path(folder, name).relative_to(tmp_path).as_posix() for name in sorted(files)]
    assert names(tmp_path) == walked


def test_hidden_and_system_things_are_left_out_with_all_they_hold(tmp_path: Path) -> None:
    make(tmp_path, "a.png", ".hidden", ".git/objects/1", "__MACOSX/._a.png", "Thumbs.db", "@eaDir/a.png")
    assert names(tmp_path) == ["a.png"]
    assert left_out(tmp_path) == {
        ".hidden": "hidden-file",
        ".git": "hidden-file",
        "__MACOSX": "system-file",
        "Thumbs.db": "system-file",
        "@eaDir": "system-file",
    }


def test_links(tmp_path: Path) -> None:
    root = tmp_path / "data"
    make(root, "real/a.png")
    make(tmp_path, "data-secret/b.png")  # its path begins like the dataset's
    for link, target in {"in": "real/a.png", "folder": "real", "out": "../data-secret/b.png", "up": ".", "gone": "nothing"}.items():
        (root / link).symlink_to(target)
    (root / "real" / "up").symlink_to(root)
    assert names(root) == ["in", "real/a.png"]
    expected = {"folder": "link-folder", "out": "link-outside", "up": "link-loop", "gone": "link-broken", "real/up": "link-loop"}
    assert left_out(root) == expected


def test_a_dataset_that_is_itself_reached_by_a_link_is_walked(tmp_path: Path) -> None:
    make(tmp_path, "disk/a.png")
    (tmp_path / "disk" / "again.png").symlink_to(tmp_path / "disk" / "a.png")
    (tmp_path / "data").symlink_to("disk")
    assert names(tmp_path / "data") == ["a.png", "again.png"]


def test_a_tree_deeper_than_the_interpreter_s_stack_is_walked(tmp_path: Path) -> None:
    deep = "/".join(["d"] * 1200)
    try:
        subprocess.run(["mkdir", "-p", deep], cwd=tmp_path, check=True)
        (tmp_path / deep / "a.png").write_bytes(b"x")
        assert names(tmp_path) == [f"{deep}/a.png"]
    finally:
        subprocess.run(["rm", "-rf", "d"], cwd=tmp_path, check=True)  # deeper than pytest could remove


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert names(tmp_path / "none") == []
    assert [one.code for one in survey(tmp_path / "none")] == ["folder-unreadable"]


@pytest.mark.parametrize(
    ("pair", "code"),
    [
        (("Cat/1.png", "cat/2.png"), "name-case"),
        (("caf\N{LATIN SMALL LETTER E WITH ACUTE}/1.png", "cafe\N{COMBINING ACUTE ACCENT}/2.png"), "name-twin"),
        (("a/Cat.png", "b/cat.png"), None),
        (("a/cat.png", "a/cat.jpg"), None),
        ((" a/1.png", "b/1.png"), "name-odd"),
    ],
)
def test_names_too_like_one_another(pair: tuple[str, str], code: str | None, tmp_path: Path) -> None:
    make(tmp_path, *pair)
    assert [one.code for one in survey(tmp_path)] == [code] * (code is not None)


def test_a_folder_s_name_is_told_once(tmp_path: Path) -> None:
    make(tmp_path, "odd: a/1.png", "odd: a/2.png", "odd: a/deep/3.png")
    assert [one.file for one in survey(tmp_path)] == ["odd: a"]
