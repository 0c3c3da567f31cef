"""`batch_size: auto` in the train stage: a number in its place, kept while the same training goes on."""

import json
from pathlib import Path

import pytest
import yaml

from components.train import batch_size as memory
from pipelines.paths import Paths
from pipelines.stages import batch_size
from pipelines.stages.command import run_stage
from tests.project import make_project


def test_a_batch_size_is_remembered_for_its_own_training_until_that_has_ended(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    assert batch_size.remembered(paths, "cnn", "abc") is None
    batch_size.remember(paths, "cnn", "abc/64")
    assert batch_size.remembered(paths, "cnn", "abc") == 64
    assert batch_size.remembered(paths, "cnn", "abd") is None and batch_size.remembered(paths, "vgg", "abc") is None
    batch_size.forget(paths, "cnn")
    batch_size.forget(paths, "cnn")
    assert batch_size.remembered(paths, "cnn", "abc") is None


@pytest.mark.slow
def test_an_interrupted_training_keeps_its_batch_size_though_less_memory_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    paths = make_project(tmp_path / "p")
    raw = yaml.safe_load(paths.params.read_text())
    raw["models"]["tiny"]["batch_size"] = "auto"
    paths.params.write_text(yaml.safe_dump(raw, sort_keys=False))
    for name in ("validate", "split", "augment"):
        run_stage(paths, name, None)
    import pipelines.stages.train as stage

    def leave(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(memory, "largest", lambda *_: 7)
        patch.setattr(stage, "_fit", leave)
        run_stage(paths, "train", "tiny")
    monkeypatch.setattr(memory, "largest", lambda *_: 2)
    run_stage(paths, "train", "tiny")
    assert json.loads((paths.train("tiny") / "model.json").read_text())["params"]["batch_size"] == 7
    run_stage(paths, "train", "tiny")  # another training: it has ended since
    assert json.loads((paths.train("tiny") / "model.json").read_text())["params"]["batch_size"] == 2
