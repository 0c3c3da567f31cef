"""Pictures of results: PNGs of sensible size, for one class or fifty, for no error at all."""

import cv2
import numpy as np
import pytest

from components.evaluate.pictures import confusion_picture, gallery, reliability_picture


def decoded(path) -> np.ndarray:
    assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    return cv2.imread(str(path))[:, :, ::-1]


def colours(picture: np.ndarray, rgb: tuple[int, int, int], tolerance: int = 12) -> int:
    return int((np.abs(picture.astype(int) - rgb).max(axis=2) <= tolerance).sum())


@pytest.mark.parametrize(("count", "least", "most"), [(1, 300, 600), (3, 300, 600), (50, 1500, 3000)])
def test_a_confusion_matrix_grows_with_its_classes(tmp_path, count, least, most):
    matrix = np.random.default_rng(0).integers(0, 20, (count, count))
    confusion_picture(matrix, [f"class {number}" for number in range(count)], "test", tmp_path / "c.png")
    height, width, _ = decoded(tmp_path / "c.png").shape
    assert least <= height <= width <= most


def test_a_right_classifier_shows_a_dark_diagonal_and_a_silent_one_none(tmp_path):
    confusion_picture(np.diag([5, 9, 2]), ["a", "b", "c"], "right", tmp_path / "right.png")
    confusion_picture(np.zeros((3, 3), int), ["a", "b", "c"], "none", tmp_path / "none.png")
    full = (8, 48, 107)  # the end of Blues
    right, none = (colours(decoded(tmp_path / name), full) for name in ("right.png", "none.png"))
    assert right > 10_000
    assert none < 100


@pytest.mark.parametrize("count", [0, 1, 6, 7, 20])
def test_a_gallery_has_a_row_for_six_pictures_and_one_for_none(tmp_path, count):
    pictures = [np.full((16, 16, 3), (255, 0, 255), np.uint8)] * count
    gallery(pictures, [("an apple", True)] * count, "worst", tmp_path / "g.png")
    picture = decoded(tmp_path / "g.png")
    rows = max(1, -(-count // 6))
    assert picture.shape[:2] == pytest.approx((90 * (2.5 * rows + 0.5), 90 * 2.1 * 6), abs=2)
    assert (colours(picture, (255, 0, 255)) > 5000) == (count > 0)


def test_a_wrong_caption_is_red_and_a_right_one_green(tmp_path):
    for name, right in (("right", True), ("wrong", False)):
        gallery([np.zeros((8, 8, 3), np.uint8)], [("MMMMMMMM", right)], "x", tmp_path / f"{name}.png")
    green, red = (0, 100, 0), (178, 34, 34)
    found = {
        name: (colours(decoded(tmp_path / f"{name}.png"), green), colours(decoded(tmp_path / f"{name}.png"), red))
        for name in ("right", "wrong")
    }
    assert found["right"][0] > 8 and found["right"][1] == 0
    assert found["wrong"][1] > 8 and found["wrong"][0] == 0


@pytest.mark.parametrize(("right", "bars"), [([], False), ([False], False), ([True], True), ([True, False] * 250, True)])
def test_a_reliability_diagram_is_drawn_for_any_number_of_predictions(tmp_path, right, bars):
    confidence = np.random.default_rng(0).uniform(0, 1, len(right))
    reliability_picture(confidence, np.array(right, bool), 10, tmp_path / "r.png")
    picture = decoded(tmp_path / "r.png")
    assert picture.shape[:2] == (360, 450)
    assert (colours(picture, (70, 130, 180)) > 1000) == bars  # steel blue, as high as the share that is right


def test_the_same_results_give_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        confusion_picture(np.diag([1, 2]), ["a", "b"], "t", tmp_path / f"{name}.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
