"""Where weights come from: files, the registry, and what is said of their content."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from components.data.tables import CLASSIFICATION
from components.errors import DataError, UsageError
from components.models.catalog import Design, build, serving_model
from components.train.saving import save_model
from pipelines.digest import sha256
from pipelines.paths import Paths
from pipelines.pretrained import pinned, pins, pretrained
from pipelines.registry import Registry, Version
from pipelines.tracking import Tracking
from tests.pipelines.fabricate import write_evaluation
from tests.project import command, make_project

CNN = Design(CLASSIFICATION, "cnn", 3, 16, 0.0)


def registered(paths: Paths, name: str) -> tuple[Any, Version]:
    """A network with random weights, and the version that the registry holds of it."""
    model, _ = build(CNN, None)
    folder = paths.train(name)
    folder.mkdir(parents=True)
    save_model(serving_model(model, CNN), folder / "model.keras")
    (folder / "history.csv").write_text("epoch,loss,val/accuracy,learning_rate\n0,1,0.5,0.1\n")
    write_evaluation(paths.evaluate(name), name, sha256(folder / "model.keras"), 12, "t" * 64, {})
    run_id = Tracking(paths).publish(folder, paths.evaluate(name))
    return model, Registry(paths).register("classification", str(run_id))


def test_a_registered_model_begins_another_by_alias_and_by_number(paths: Paths) -> None:
    model, version = registered(paths, "first")
    Registry(paths).assign(version, "champion")
    for reference in ("models:/classifier@champion", f"models:/classifier/{version.number}"):
        start = pretrained(paths, reference)
        assert start is not None and start.sha256 == version.sha256
        other, filled = build(Design(CLASSIFICATION, "cnn", 7, 16, 0.0), start.source)
        assert filled == ["conv1", "conv2", "conv3", "dense1"]
        for name in filled:
            assert (np.asarray(other.get_layer(name).kernel) == np.asarray(model.get_layer(name).kernel)).all()


def test_a_registered_model_that_is_damaged_is_refused(paths: Paths) -> None:
    registered(paths, "first")
    start = pretrained(paths, "models:/classifier/1")
    assert start is not None and isinstance(start.source, Path)
    content = bytearray(start.source.read_bytes())
    content[len(content) // 2] ^= 1
    start.source.write_bytes(content)
    with pytest.raises(DataError, match="version 1 is damaged"):
        pretrained(paths, "models:/classifier/1")


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("models:/classifier@champion", "does not exist: `visionloop ui`"),
        ("models:/classifier/9", "does not exist"),
        ("models:/backbone@best", "names no registered model: expected such as models:/classifier@champion or models:/detector@champion"),
        ("models:/classifier", "names no registered model"),
        ("nowhere.npz", r"'nowhere.npz' is no file .*`sample` \(embedded\), `imagenet`"),
    ],
)
def test_weights_that_do_not_exist_are_refused(paths: Paths, reference: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        pretrained(paths, reference)


def test_an_alias_is_pinned_to_the_version_it_names_now(paths: Paths) -> None:
    _, first = registered(paths, "first")
    _, second = registered(paths, "second")
    registry = Registry(paths)
    for version in (first, second):
        registry.assign(version, "champion")
        assert pinned(paths, "models:/classifier@champion") == f"models:/classifier/{version.number}"


def test_a_path_is_pinned_to_its_content(paths: Paths) -> None:
    (paths.root / "w.npz").write_bytes(b"one")
    pin = pinned(paths, "w.npz")
    assert pin == f"w.npz#{sha256(paths.root / 'w.npz')[:16]}"
    start = pretrained(paths, pin)
    assert start is not None and start.source == (paths.root / "w.npz").resolve()
    (paths.root / "w.npz").write_bytes(b"two")
    assert pinned(paths, "w.npz") != pin
    with pytest.raises(DataError, match="another file than was meant"):
        pretrained(paths, pin)


def test_only_what_can_change_is_pinned_and_only_of_models_that_run(paths: Paths) -> None:
    (paths.root / "w.npz").write_bytes(b"one")
    named = {"a": None, "b": "sample", "c": "imagenet", "d": "w.npz", "e": "gone.npz"}
    settings: Any = SimpleNamespace(models={name: SimpleNamespace(name=name, weights=weights) for name, weights in named.items()})
    assert pins(paths, ["a", "b", "c", "d"], settings) == [f'models.d.weights="w.npz#{sha256(paths.root / "w.npz")[:16]}"']
    with pytest.raises(UsageError, match=r"gone\.npz"):
        pins(paths, None, settings)


@pytest.mark.slow
def test_pretrain_once_transfer_often_through_the_command_line(tmp_path: Path) -> None:
    paths = make_project(tmp_path / "project")
    first = command(paths, "run", "--json")
    assert first.returncode == 0, first.stderr
    transfer = "--set=models.tiny.weights=models:/classifier@champion"
    second = command(paths, "run", "--json", transfer, "--set=models.tiny.frozen_epochs=1")
    assert second.returncode == 0, second.stderr
    about = json.loads((paths.train("tiny") / "model.json").read_text())
    assert about["params"]["weights"] == "models:/classifier/1" and len(about["weights_sha256"]) == 64
    again = command(paths, "run", "--json", transfer, "--set=models.tiny.frozen_epochs=1")
    ran = json.loads(again.stdout)["ran"]
    second_won = json.loads(second.stdout)["decisions"]["classification"]["is_champion"]
    assert ("train@tiny" in ran) == second_won  # the alias moved, or nothing did
