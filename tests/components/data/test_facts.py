import hashlib
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from components.data import facts
from tests.images import make_classification, write_png


def test_values_worked_by_hand(tmp_path: Path) -> None:
    half = np.zeros((40, 60, 3), np.uint8)
    half[:, 30:] = 255
    write_png(tmp_path / "half.png", half)
    found = facts.measure(tmp_path / "half.png")
    assert (found["width"], found["height"], found["channels"], found["format"]) == (60, 40, 3, "PNG")
    assert found["brightness"] == pytest.approx(0.5) and found["contrast"] == pytest.approx(0.5)
    assert found["image_id"] == hashlib.sha256((tmp_path / "half.png").read_bytes()).hexdigest()
    assert (found["status"], found["problems"]) == ("ok", [])


def test_sharpness_is_the_variance_of_the_laplacian(tmp_path: Path) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (32, 32)).astype(np.uint8)
    write_png(tmp_path / "noise.png", gray)
    assert facts.measure(tmp_path / "noise.png")["sharpness"] == pytest.approx(cv2.Laplacian(gray, cv2.CV_64F).var())


def test_perceptual_hash_is_near_for_the_same_picture_and_far_for_another() -> None:
    rng = np.random.default_rng(1)
    first, second = (cv2.GaussianBlur(rng.integers(0, 256, (96, 96)).astype(np.uint8), (0, 0), 9) for _ in range(2))
    first, second = (cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX) for image in (first, second))

    def distance(a: np.ndarray, b: np.ndarray) -> int:
        return (int(facts.perceptual_hash(a), 16) ^ int(facts.perceptual_hash(b), 16)).bit_count()

    smaller = cv2.resize(first, (60, 60), interpolation=cv2.INTER_AREA)
    assert distance(first, smaller) <= 6
    assert distance(first, second) >= 16


def test_orientation_swaps_the_sides(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (30, 20)).save(tmp_path / "turned.jpg", exif=exif.tobytes())
    found = facts.measure(tmp_path / "turned.jpg")
    assert (found["width"], found["height"], found["orientation"]) == (20, 30, 6)


def test_a_broken_file_is_quarantined_by_code(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>")
    found = facts.measure(tmp_path / "page.jpg")
    assert (found["status"], found["problems"], found["bytes"]) == ("quarantined", ["not-an-image"], 6)
    assert facts.measure(tmp_path / "absent.jpg")["problems"] == ["unreadable"]


def test_processes_answer_what_one_process_answers_and_in_order(tmp_path: Path) -> None:
    make_classification(tmp_path, classes=2, per_class=20, size=16)
    paths = sorted(tmp_path.rglob("*.png"), reverse=True)
    told: list[int] = []
    assert facts.measure_all(paths, 2, told.append) == facts.measure_all(paths, 1)
    assert sum(told) == len(paths)


def test_a_file_that_kills_the_decoder_is_quarantined_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_classification(tmp_path, classes=1, per_class=5, size=16)
    paths = sorted(tmp_path.rglob("*.png"))
    (tmp_path / "class_0" / "002.png").write_text("kill")
    monkeypatch.setattr(facts, "_measure_chunk", dying)
    statuses = [one["problems"] for one in facts.measure_all(paths, 2)]
    assert statuses == [[], [], ["decoder-crashed"], [], []]


def dying(paths: list[Path]) -> list[facts.Facts]:
    if any(path.read_bytes() == b"kill" for path in paths):
        os._exit(139)
    return [facts.measure(path) for path in paths]
