"""A photograph in tiles, from the split's tables to a network's squares, and from its answers back to the photograph."""

from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from components.data import tables
from components.data.decode import letterbox, read_image
from components.data.tiles import WINDOW
from components.errors import UsageError
from pipelines.chosen import Chosen
from pipelines.stages.examples import examples, read_dataset
from pipelines.stages.training import job_of
from tests.pipelines.test_train_batches import project

SQUARES = np.array([[12, 20, 30, 38], [84, 10, 96, 24], [70, 50, 90, 70], [150, 60, 174, 90]])  # pixels, of 180 x 100


class FindsWhite:
    """A network that sees all white shapes in a square, as `Detections` tells them, the smaller the surer."""

    output_shape = (None, 100, 6)

    def predict_on_batch(self, pixels: np.ndarray) -> np.ndarray:
        found = np.zeros((len(pixels), 100, 6), np.float32)
        found[..., 5] = -1
        for rows, square in zip(found, pixels, strict=True):
            _, _, stats, _ = cv2.connectedComponentsWithStats((square[..., 0] > 200).astype(np.uint8))
            for row, (left, top, width, height, area) in zip(rows, stats[1:], strict=False):
                row[:] = [*np.array([left, top, left + width, top + height]) / len(square), 1 / (1 + area / 1000), 0]
        return found


def model(task: str, **changes: Any) -> Any:
    return SimpleNamespace(**{"name": "m", "task": task, "tile_size": None, "tile_overlap": 0.2, **changes})


@pytest.mark.parametrize("tile_size", [None, 100])
def test_whatever_the_tiles_each_shape_is_found_once_and_where_it_is(tile_size: int | None) -> None:
    from components.data.tile_merging import merged
    from components.predict import detections

    photograph = np.zeros((100, 180, 3), np.uint8)
    for left, top, right, bottom in SQUARES:
        photograph[top:bottom, left:right] = 255
    size = 180 if tile_size is None else 100
    params = {"image_size": size, "tile_size": tile_size, "tile_overlap": 0.2}
    seen, tiles = Chosen("", {"task": tables.DETECTION, "params": params}).tiles(photograph, "p")  # type: ignore[arg-type]
    assert seen.shape == ((1 if tile_size is None else 2), size, size, 3)
    answer = merged(detections(FindsWhite(), seen, tiles, ["white"]), tiles)  # type: ignore[arg-type]
    corners = answer[["x_min", "y_min", "x_max", "y_max"]].to_numpy() * [180, 100, 180, 100]
    assert corners[np.lexsort(corners.T[::-1])] == pytest.approx(SQUARES[np.lexsort(SQUARES.T[::-1])], abs=1e-3)
    assert set(answer["image_id"]) == {"p"}


@pytest.mark.parametrize(
    ("shapes", "tile"),
    [([SQUARES[0], SQUARES[3]], [0, 0, 100, 100]), ([SQUARES[0], [150, 60, 155, 65]], [80, 0, 180, 100]), ([], [0, 0, 100, 100])],
)
def test_what_is_explained_of_a_photograph_is_the_tile_of_its_surest_box(shapes: list[Any], tile: list[int]) -> None:
    from pipelines.explain_command import surest_tile

    photograph = np.zeros((100, 180, 3), np.uint8)
    for left, top, right, bottom in shapes:
        photograph[top:bottom, left:right] = 255
    params = {"image_size": 100, "tile_size": 100, "tile_overlap": 0.2}
    report = {"task": tables.DETECTION, "params": params, "classes": ["white"]}
    pixels, found = surest_tile(FindsWhite(), Chosen("", report), ("p", photograph))  # type: ignore[arg-type]
    assert found == tile and (pixels == photograph[tile[1] : tile[3], tile[0] : tile[2]]).all()
    whole, nothing = surest_tile(FindsWhite(), Chosen("", report), ("p", photograph[:, :100]))  # type: ignore[arg-type]
    assert nothing is None and (whole == photograph[:, :100]).all()


def test_a_training_sees_tiles_with_the_boxes_and_pixels_of_the_photograph(tmp_path: Any) -> None:
    paths = project(tmp_path, tables.DETECTION, [])
    whole = read_dataset(paths, tables.DETECTION)
    job = job_of(paths, model(tables.DETECTION, tile_size=32, tile_overlap=0.25), whole, 0)
    found, images = examples(paths, job.dataset, "train", 32), job.dataset.part("train")
    assert len(found) == len(images) == 8 * 4  # 40 x 56 pixels: starts 0 and 8 across, 0 and 24 down
    for square, image in zip(found.pixels, images.itertuples(index=False), strict=True):
        left, top, right, bottom = (getattr(image, side) for side in WINDOW)
        assert np.array_equal(square, read_image(paths.data / image.path)[top:bottom, left:right])
    plain = examples(paths, job_of(paths, model(tables.DETECTION), whole, 0).dataset, "train", 32)
    pictures = [letterbox(read_image(paths.data / path), 32)[0] for path in whole.part("train")["path"]]
    assert np.array_equal(plain.pixels, np.stack(pictures))
    before = examples(paths, whole, "train", 32)
    assert np.array_equal(plain.keys, before.keys) and plain.targets == pytest.approx(before.targets, abs=1e-6)


@pytest.mark.parametrize(
    ("task", "changes", "said"),
    [
        (tables.CLASSIFICATION, {"tile_size": 64}, "tiles are for detectors"),
        (tables.DETECTION, {"tile_size": 8}, "expected 32 or more"),
        (tables.DETECTION, {"tile_size": 64, "tile_overlap": 1.0}, "share of tile_size, 0 to 0.9"),
    ],
)
def test_tiles_that_cannot_be_are_refused(tmp_path: Any, task: str, changes: dict[str, Any], said: str) -> None:
    paths = project(tmp_path, task, [])
    with pytest.raises(UsageError, match=said):
        job_of(paths, model(task, **changes), read_dataset(paths, task), 0)
