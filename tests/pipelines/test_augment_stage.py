"""Stage `augment` and what training is shown of it, on generated images."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from components.data import tables
from components.errors import UsageError
from components.evaluate.config import Evaluate
from components.predict import Latency
from pipelines.paths import Paths
from pipelines.stages import augment, evaluate_classification
from pipelines.stages.examples import read_dataset
from tests.pipelines.test_train_batches import all_of, decoded, made, project

BLACK = [{"RandomBrightnessContrast": {"brightness_limit": [-1.0, -1.0], "contrast_limit": 0, "p": 1.0}}]
LEFT_HALF = [{"Crop": {"x_max": 16, "y_max": 32, "p": 1.0}}, {"Resize": {}}]


def settings(policy: Any = "light", safety: Any = None, sizes: tuple[int, ...] = (32,)) -> Any:
    """The same policy and declaration for either task, which has a model of each of these sizes in pixels."""
    models = {f"{task}-{size}": SimpleNamespace(task=task, image_size=size, train_size=None) for task in tables.TASKS for size in sizes}
    data = dict.fromkeys(tables.TASKS, SimpleNamespace(label_safety=safety))
    policies = SimpleNamespace(**dict.fromkeys(tables.TASKS, policy), preview_images=2)
    return SimpleNamespace(seed=0, models=models, augment=policies, data=SimpleNamespace(**data))


def both(root: Path) -> Paths:
    """A project after its split stage, with either kind of data, and nothing written by the augment stage."""
    for task in tables.TASKS:
        paths = project(root, task, [])
        (paths.augment(task) / "policy.json").unlink()
        paths.augment(task).rmdir()
    return paths


def written(paths: Paths, task: str) -> dict[str, Any]:
    return dict(json.loads((paths.augment(task) / "audit.json").read_text()))


def test_each_task_gets_its_policy_audit_and_pictures(tmp_path: Path) -> None:
    paths = both(tmp_path)
    augment.run(paths, settings(LEFT_HALF))
    for task in tables.TASKS:
        assert json.loads((paths.augment(task) / "policy.json").read_text()) == LEFT_HALF
        for name in ("samples.png", "preview.png", "worst.png"):
            assert cv2.imread(str(paths.augment(task) / name)).std() > 1
        found = written(paths, task)
        assert [one["transform"] for one in found["transforms"]] == ["Crop", "Resize"] and "no_crop" in found["transforms"][0]["can"]
    counts = written(paths, tables.DETECTION)["transforms"][0]["boxes"]
    assert sum(counts.values()) == written(paths, tables.DETECTION)["shown"]["boxes"] > 0 and counts["lost"] > 0 < counts["whole"]
    assert written(paths, tables.CLASSIFICATION)["shown"]["boxes"] == 0


def test_the_same_twice(tmp_path: Path) -> None:
    paths = both(tmp_path)
    contents = []
    for _ in range(2):
        augment.run(paths, settings("strong"))
        contents.append([file.read_bytes() for task in tables.TASKS for file in sorted(paths.augment(task).iterdir())])
    assert contents[0] == contents[1]


def test_a_policy_that_could_change_a_label_stops_the_stage_and_leaves_what_was_there(tmp_path: Path) -> None:
    paths = both(tmp_path)
    augment.run(paths, settings("none", ["digits"]))
    with pytest.raises(UsageError, match=r"augment\.classification could change labels.*\n.*HorizontalFlip can mirror"):
        augment.run(paths, settings("light", ["digits"]))
    assert json.loads((paths.augment("classification") / "policy.json").read_text()) == []


@pytest.mark.parametrize(
    ("policy", "safety", "said"),
    [
        ("lihgt", None, r"augment\.classification: unknown augmentation policy 'lihgt'.*Did you mean 'light'"),
        ("none", ["digit"], r"data\.classification\.label_safety holds 'digit'.*Did you mean 'digits'"),
        ([{"HorizontalFlp": {}}], None, r"augment\.classification: .*Did you mean 'HorizontalFlip'"),
        ([{"CenterCrop": {"height": 20, "width": 20}}], [], r"augment\.classification: CenterCrop makes pictures of 20x20 pixels, 32x32"),
    ],
)
def test_what_params_should_not_hold_is_refused_with_its_key(tmp_path: Path, policy: Any, safety: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        augment.run(both(tmp_path), settings(policy, safety))


def test_a_policy_must_suit_every_model_of_its_task(tmp_path: Path) -> None:
    fits_one = [{"Resize": {"height": 32, "width": 32}}]
    with pytest.raises(UsageError, match="32x32 pixels, 24x24 pixels are wanted"):
        augment.run(both(tmp_path), settings(fits_one, sizes=(24, 32)))


def test_a_policy_file_is_read_and_written_out_in_full(tmp_path: Path) -> None:
    paths = both(tmp_path)
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "mine.yaml").write_text("- Blur: {blur_limit: 3}\n")
    augment.run(paths, settings("policies/mine.yaml"))
    assert json.loads((paths.augment("detection") / "policy.json").read_text()) == [{"Blur": {"blur_limit": 3}}]


@pytest.mark.parametrize("task", tables.TASKS)
def test_what_would_blacken_everything_blackens_training_images_only(tmp_path: Path, task: str) -> None:
    """Were the policy ever applied to validation images, they would be black too."""
    training, validation = made(project(tmp_path, task, BLACK), task)
    assert all_of(training, 0)[0].max() == 0
    assert (all_of(validation)[0] == decoded(Paths(tmp_path), "val", task)).all() and all_of(validation)[0].max() > 100


class Watcher:
    """A classifier that keeps what it is shown."""

    output_shape = (None, 2)
    layers: tuple[()] = ()

    def __init__(self) -> None:
        self.shown: list[np.ndarray] = []

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        self.shown.append(np.array(pixels))
        return np.tile(np.array([0.6, 0.4], np.float32), (len(pixels), 1))


def test_evaluation_is_shown_validation_and_test_images_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task, watcher = tables.CLASSIFICATION, Watcher()
    paths = project(tmp_path, task, BLACK)
    monkeypatch.setattr(evaluate_classification, "load_measured", lambda *_: (watcher, 1.0))
    monkeypatch.setattr(evaluate_classification, "latency_ms", lambda *_: Latency(1.0, 1.0))
    knobs = SimpleNamespace(seed=0, evaluate=Evaluate(2, 5, 2, 1, 100, [], 2, 0))
    about = {"params": {"image_size": 32}, "classes": ["class_0", "class_1"]}
    (tmp_path / "out" / "pictures").mkdir(parents=True)
    evaluate_classification.evaluate(paths, knobs, read_dataset(paths, task), about, (tmp_path / "model.keras", tmp_path / "out"))
    expected = np.concatenate([decoded(paths, split, task) for split in ("val", "test")])
    assert (np.concatenate(watcher.shown) == expected).all()


def test_a_told_audit_says_what_is_open(tmp_path: Path) -> None:
    paths = both(tmp_path)
    augment.run(paths, settings("light"))
    told = augment.in_words(written(paths, "detection"))
    assert "mirror the picture left to right" in told and "no label_safety is declared" in told and "0 of" in told
    augment.run(paths, settings("light", []))
    assert "label_safety" not in augment.in_words(written(paths, "detection"))
