"""What the train stage feeds a network: augmented training images, and validation images as they are."""

import hashlib
import json
from types import SimpleNamespace

import numpy as np
import pytest

from components.augment.policies import NAMED
from components.data import tables
from components.data.decode import letterbox, read_image, resize_crop
from components.errors import DataError
from pipelines.paths import Paths
from pipelines.stages.examples import read_dataset
from pipelines.stages.training import Job, _batches
from tests.images import DETECTION_CLASSES, classification_image, detection_image, write_png

SIZE = 32
SPLITS = ["train"] * 8 + ["val"] * 5 + ["test"] * 2
FRAME = {"group_id": None, "channels": 3, "format": "PNG", "bytes": 1, "orientation": 1, "phash": "0", "status": "ok", "problems": []}
FRAME |= {"given_split": None, "brightness": 0.5, "contrast": 0.1, "sharpness": 1.0}


def project(root, task: str, policy: list) -> Paths:
    """A project after its split and augment stages: 15 images of `task`, 40 x 56 pixels."""
    paths, rng = Paths(root), np.random.default_rng(0)
    images, boxes = [], []
    for number, split in enumerate(SPLITS):
        picture, found = (classification_image(number % 2, 40, rng), []) if task == tables.CLASSIFICATION else detection_image(40, rng)
        path = paths.data / task / f"{number:02d}.png"
        write_png(path, np.concatenate([picture, np.full((16, 40, 3), number, np.uint8)]))
        name = hashlib.sha256(path.read_bytes()).hexdigest()
        label = f"class_{number % 2}" if task == tables.CLASSIFICATION else None
        where = {"image_id": name, "path": f"{task}/{path.name}", "task": task, "label": label, "split": split}
        images.append({**FRAME, **where, "width": 40, "height": 56})
        for place, (kind, x_min, y_min, x_max, y_max) in enumerate(found):
            corners = {"x_min": x_min / 40, "y_min": y_min / 56, "x_max": x_max / 40, "y_max": y_max / 56}
            box = {"image_id": name, "box_id": f"{number}-{place}", "label": kind, "is_crowd": False, "is_difficult": False}
            boxes.append({**box, **corners, "status": "ok", "problems": []})
    folder = paths.split(task)
    folder.mkdir(parents=True)
    tables.write(tables.frame(images, tables.IMAGES), folder / "images.parquet", tables.IMAGES)
    tables.write(tables.frame(boxes, tables.BOXES), folder / "boxes.parquet", tables.BOXES)
    (folder / "classes.json").write_text(json.dumps(["class_0", "class_1"] if task == tables.CLASSIFICATION else DETECTION_CLASSES))
    paths.augment(task).mkdir(parents=True)
    (paths.augment(task) / "policy.json").write_text(json.dumps(policy))
    return paths


def made(paths: Paths, task: str):
    config = SimpleNamespace(batch_size=4, threads=1, mixup=0.0, cutmix=0.0, mosaic=0.0, box_mixup=0.0, class_balance="none")
    model = SimpleNamespace(task=task, image_size=SIZE, train_size=None, mirror=False, train=config, name="tiny")
    policy = json.loads((paths.augment(task) / "policy.json").read_text())
    return _batches(paths, Job(model, read_dataset(paths, task), 0, "digest"), policy)


def decoded(paths: Paths, split: str, task: str) -> np.ndarray:
    resize = resize_crop if task == tables.CLASSIFICATION else lambda image, size: letterbox(image, size)[0]
    numbers = [number for number, name in enumerate(SPLITS) if name == split]
    return np.stack([resize(read_image(paths.data / task / f"{number:02d}.png"), SIZE) for number in numbers])


def all_of(batches, *epoch: int) -> tuple[np.ndarray, np.ndarray]:
    pixels, targets = zip(*(batches.batch(*epoch, number) for number in range(len(batches))), strict=True)
    return np.concatenate(pixels), np.concatenate(targets)


def among(images: np.ndarray, known: np.ndarray) -> np.ndarray:
    return np.array([any((image == other).all() for other in known) for image in images])


@pytest.mark.parametrize("task", tables.TASKS)
@pytest.mark.parametrize("policy", ["strong", "aerial"])
def test_only_training_images_are_augmented(tmp_path, task, policy):
    training, validation = made(project(tmp_path, task, NAMED[policy]), task)
    train, val = decoded(Paths(tmp_path), "train", task), decoded(Paths(tmp_path), "val", task)
    for epoch in range(3):
        shown, targets = all_of(training, epoch)
        assert len(shown) == 8 and among(shown, train).mean() < 0.5
        assert (all_of(validation)[0] == val).all()
        assert len(targets) == 8


def test_every_image_stays_in_its_split(tmp_path):
    training, validation = made(project(tmp_path, tables.CLASSIFICATION, []), tables.CLASSIFICATION)
    shown, labels = all_of(training, 0)
    known = decoded(Paths(tmp_path), "train", tables.CLASSIFICATION)
    assert among(shown, known).all() and among(known, shown).all()
    order = [next(number for number, image in enumerate(known) if (image == picture).all()) for picture in shown]
    assert labels.tolist() == [number % 2 for number in order]
    assert all_of(validation)[1].tolist() == [number % 2 for number in range(8, 13)]


def test_boxes_lie_on_the_letterboxed_rectangles(tmp_path):
    _, validation = made(project(tmp_path, tables.DETECTION, []), tables.DETECTION)
    colours = {0: np.array([225, 40, 40]), 1: np.array([40, 60, 225])}  # of DETECTION_CLASSES, as tests.images paints them
    pixels, targets = all_of(validation)
    for image, rows in zip(pixels, targets, strict=True):
        for number, *corners in rows[rows[:, 0] >= 0]:
            x_min, y_min, x_max, y_max = np.array(corners) * SIZE
            inner = image[int(np.ceil(y_min)) + 1 : int(y_max) - 1, int(np.ceil(x_min)) + 1 : int(x_max) - 1]
            assert np.abs(inner.astype(int) - colours[int(number)]).max() < 3


def test_a_missing_split_is_said(tmp_path):
    with pytest.raises(DataError, match="dvc repro"):
        read_dataset(Paths(tmp_path), tables.DETECTION)
