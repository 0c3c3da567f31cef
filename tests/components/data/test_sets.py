"""What is found in a dataset as a whole, on files."""

from pathlib import Path

import cv2
import numpy as np

from tests.components.data.test_catalog import cataloged, problems
from tests.components.data.test_duplicates import picture
from tests.images import make_classification, make_detection_yolo


def save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), image)


def found(root: Path, task: str = "classification") -> dict[str, list[tuple[str, str]]]:
    told: dict[str, list[tuple[str, str]]] = {}
    for one in cataloged(root, task).findings:
        told.setdefault(one.code, []).append((one.file.removeprefix(f"{task}/"), one.found))
    return told


def test_near_copies_are_named_with_what_they_copy_and_kept(tmp_path: Path) -> None:
    for seed in range(6):
        save(tmp_path / "train" / "ab"[seed % 2] / f"{seed}x.png", picture(seed))
    save(tmp_path / "train" / "a" / "again.jpg", picture(0))
    save(tmp_path / "train" / "b" / "mirror.png", picture(2)[:, ::-1])
    save(tmp_path / "test" / "a" / "new.png", picture(7))
    save(tmp_path / "test" / "b" / "turned.png", np.rot90(picture(1)))
    told = found(tmp_path)
    assert told["near-copy"] == [("train/a/again.jpg", "shows the same picture as classification/train/a/0x.png")]
    assert told["near-copy-other-class"] == [("train/b/mirror.png", "shows the same picture as classification/train/a/2x.png, mirrored")]
    assert told["near-copy-in-two-splits"] == [("train/b/1x.png", "shows the same picture as classification/test/b/turned.png, turned by 90°")]
    catalog = cataloged(tmp_path, "classification")
    assert not problems(catalog) and catalog.grouped == {"near-copies": 3}
    assert cataloged(tmp_path, "classification", near_duplicates=False).images["group_id"].is_unique


def test_the_same_bytes_in_two_splits(tmp_path: Path) -> None:
    for path in ("train/a/0.png", "test/a/1.png"):
        save(tmp_path / path, picture(0))
    assert found(tmp_path)["in-two-splits"] == [("train/a/0.png", "has the same bytes as classification/test/a/1.png")]


def test_classes_that_cannot_be_learned_or_tested(tmp_path: Path) -> None:
    make_classification(tmp_path, classes=1, per_class=45)
    assert found(tmp_path)["one-class"] == [("classification", "every image has the class class_0")]
    save(tmp_path / "rare" / "0.png", picture(0))
    told = found(tmp_path)
    assert told["class-of-one"] == [("classification", "class rare is in one image")]
    assert told["imbalance"] == [("classification", "class class_0 has 45 images, class rare 1: 45 to 1")]
    assert "one-class" not in told


def test_classes_that_some_splits_lack(tmp_path: Path) -> None:
    for seed, path in enumerate(("train/a", "train/b", "train/c", "val/a", "test/a", "test/b")):
        save(tmp_path / path / f"{seed}.png", picture(seed))
    assert found(tmp_path)["class-not-in-split"] == [
        ("classification", "class b is in train, test, not in val"),
        ("classification", "class c is in train, not in val or test"),
    ]


def test_one_class_is_enough_for_detection(tmp_path: Path) -> None:
    make_detection_yolo(tmp_path, images=6)
    assert not {"one-class", "imbalance", "class-of-one"} & set(found(tmp_path, "detection"))
