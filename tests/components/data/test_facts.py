import hashlib
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


def test_sharpness_of_a_large_image_does_not_depend_on_its_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = np.random.default_rng(0).integers(0, 256, (70, 33)).astype(np.uint8)
    whole = cv2.Laplacian(gray, cv2.CV_64F).var()
    for rows in (1, 2, 16, 69):
        monkeypatch.setattr(facts, "_BAND", 33 * rows)
        assert facts.sharpness(gray) == pytest.approx(whole)


@pytest.mark.parametrize("shape", [(32, 32), (40, 97), (320, 640), (31, 7), (1, 50), (200, 1023)])
def test_shrinking_takes_the_mean_of_each_area(shape: tuple[int, int]) -> None:
    gray = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    finer = np.repeat(np.repeat(gray, 32, axis=0), 32, axis=1).astype(float)  # each side a multiple of 32
    exact = finer.reshape(32, shape[0], 32, shape[1]).mean(axis=(1, 3))
    assert np.abs(facts.shrink(gray) - exact).max() <= 0.51


def test_shrinking_a_large_image_comes_near_the_mean_of_each_area() -> None:
    gray = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (2051, 3075)).astype(np.uint8), (0, 0), 40)
    gray = cv2.normalize(gray, None, 0, 255, cv2.NORM_MINMAX)
    theirs = np.asarray(Image.fromarray(gray).resize((32, 32), Image.Resampling.BOX)).astype(int)
    assert np.abs(facts.shrink(gray) - theirs).max() <= 4


def test_perceptual_hash_is_near_for_the_same_picture_and_far_for_another() -> None:
    rng = np.random.default_rng(1)
    first, second = (cv2.GaussianBlur(rng.integers(0, 256, (96, 96)).astype(np.uint8), (0, 0), 9) for _ in range(2))
    first, second = (cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX) for image in (first, second))

    def distance(a: np.ndarray, b: np.ndarray) -> int:
        hashes = [int(facts.perceptual_hash(facts.shrink(image)), 16) for image in (a, b)]
        return (hashes[0] ^ hashes[1]).bit_count()

    smaller = cv2.resize(first, (60, 60), interpolation=cv2.INTER_AREA)
    assert distance(first, smaller) <= 6
    assert distance(first, second) >= 16


def test_the_thumbnail_is_upright(tmp_path: Path) -> None:
    dark_top = np.zeros((64, 32), np.uint8)
    dark_top[32:] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the stored top is the right side
    Image.fromarray(dark_top).save(tmp_path / "turned.png", exif=exif.tobytes())
    found = facts.measure(tmp_path / "turned.png")
    thumbnail = np.frombuffer(found["thumbnail"], np.uint8).reshape(32, 32)
    assert (found["width"], found["height"]) == (64, 32)
    assert thumbnail[:, :16].min() == 255 and thumbnail[:, 16:].max() == 0


def test_when_and_with_what_a_photograph_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "Canon", "EOS\0"
    exif.get_ifd(0x8769).update({0x9003: "2024:02:29 23:59:58", 0x9291: "07", 0xA431: "12 34"})
    Image.new("RGB", (30, 20)).save(tmp_path / "photo.jpg", exif=exif.tobytes())
    found = facts.measure(tmp_path / "photo.jpg")
    assert (found["taken"], found["camera"]) == ("2024-02-29T23:59:58.07", "Canon EOS 12 34")
    Image.new("RGB", (30, 20)).save(tmp_path / "plain.jpg")
    assert facts.measure(tmp_path / "plain.jpg")["taken"] is None


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
    make_classification(tmp_path, classes=2, per_class=40, size=16)
    paths = sorted(tmp_path.rglob("*.png"), reverse=True)
    told: list[int] = []
    assert facts.measure_all(paths, 2, told.append) == [facts.measure(path) for path in paths]
    assert sum(told) == len(paths)


def test_files_that_end_their_process_are_quarantined_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_classification(tmp_path, classes=1, per_class=6, size=16)
    paths = sorted(tmp_path.rglob("*.png"))
    paths[1].write_text("crash")
    paths[4].write_text("hoard")
    monkeypatch.setattr(facts, "MEASURE", "tests.components.data.hostile:measure")
    found = facts.measure_all(paths, 2)
    assert [one["problems"] for one in found] == [[], ["decoder-crashed"], [], [], ["out-of-memory"], []]
    assert "SIGSEGV" in found[1]["findings"][0][1]
