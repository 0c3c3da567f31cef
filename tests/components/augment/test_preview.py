"""The pictures to look at: what stands where, and that boxes lie where they are."""

import numpy as np
import pytest

from components.augment.audit import Case, of_policy
from components.augment.augmenter import Augmenter, Example
from components.augment.preview import ACCENT, LIME, PAPER, RED, draw, sample_sheet, sheet, worst_sheet

SIZE = 160
RED_SQUARE = np.array([[0, 0.1, 0.2, 0.5, 0.6]], np.float32)


def example(value: int = 120, boxes: np.ndarray = RED_SQUARE) -> Example:
    pixels = np.full((SIZE, SIZE, 3), value, np.uint8)
    pixels[32:96, 16:80] = (200, 0, 200)
    return Example(pixels, boxes)


def holds(page: np.ndarray, colour: tuple[int, int, int]) -> int:
    return int((page == colour).all(axis=2).sum())


def test_a_drawn_box_lies_where_the_box_is():
    drawn = draw(Example(np.zeros((40, 40, 3), np.uint8), np.array([[0, 0.25, 0.5, 0.75, 0.9]], np.float32)))
    rows, columns = np.nonzero(drawn.any(axis=2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (10, 20, 30, 36)
    assert holds(drawn, LIME)


def test_each_box_may_have_its_colour():
    two = Example(np.zeros((40, 40, 3), np.uint8), np.array([[0, 0.1, 0.1, 0.4, 0.4], [0, 0.6, 0.6, 0.9, 0.9]], np.float32))
    drawn = draw(two, [LIME, RED])
    assert holds(drawn[:20, :20], LIME) and holds(drawn[20:, 20:], RED) and not holds(drawn[:20, :20], RED)


def test_the_drawing_leaves_the_given_picture_alone():
    given = example()
    before = given.pixels.copy()
    draw(given)
    assert (given.pixels == before).all()


def test_the_sheet_shows_the_original_framed_first_then_what_training_is_shown():
    plain = [Example(example(value).pixels, np.zeros((0, 5), np.float32)) for value in (40, 120, 200)]
    page = sheet(plain, ["a", "b", "c"], Augmenter([{"HorizontalFlip": {"p": 1.0}}], SIZE, seed=0), "title", columns=2)
    assert tuple(page[0, 0]) == PAPER and holds(page, ACCENT) > 3 * 4 * SIZE
    for one in plain:
        assert placed(page, one.pixels) < placed(page, one.pixels[:, ::-1])  # the mirrored one to the right of it
    places = [placed(page, one.pixels) for one in plain]
    assert len(set(places)) == 1, "one below the other"


def placed(page: np.ndarray, picture: np.ndarray) -> int:
    """The column at which the picture stands on the page."""
    for top in range(page.shape[0] - SIZE + 1):
        for left in np.flatnonzero((page[top, : page.shape[1] - SIZE + 1] == picture[0, 0]).all(axis=1)):
            if (page[top : top + SIZE, left : left + SIZE] == picture).all():
                return int(left)
    raise AssertionError("not on the page")


@pytest.mark.parametrize("size", [32, 48, 224, 640])
def test_small_pictures_are_enlarged_and_large_ones_reduced(size):
    one = Example(np.full((size, size, 3), 77, np.uint8), np.zeros((0, 5), np.float32))
    page = sheet([one], ["name"], Augmenter([], size, seed=0), "title", columns=2)
    assert 2 * 150**2 <= holds(page, (77, 77, 77)) <= 2 * 240**2


def test_the_worst_are_shown_before_and_after_with_lost_boxes_in_red():
    boxes = np.array([[0, 0.1, 0.2, 0.4, 0.6], [0, 0.6, 0.2, 0.9, 0.6]], np.float32)
    crop = [{"Crop": {"x_max": SIZE // 2, "y_max": SIZE, "p": 1.0}}, {"Resize": {}}]
    _, cases = of_policy([example(120, boxes)], Augmenter(crop, SIZE, seed=0), epochs=1)
    page = worst_sheet(cases, ["name"], "title", pairs=1)
    before, after = page[:, : page.shape[1] // 2], page[:, page.shape[1] // 2 :]
    assert holds(before, RED) and holds(before, LIME) and holds(after, LIME) and not holds(after, RED)


def test_any_name_and_any_number_of_cases_can_be_shown():
    case = Case(example(), example(), np.array([True]), 0.0, 0, 1)
    for count in (0, 1, 5):
        page = worst_sheet([case] * count, ["a very long name of a file " * 9 + "ünïcode 苹果.png"], "t" * 500)
        assert page.ndim == 3 and page.dtype == np.uint8


@pytest.mark.parametrize(("count", "columns"), [(0, 8), (1, 8), (8, 8), (9, 8), (5, 2)])
def test_a_sample_stands_in_rows_in_the_given_order(count: int, columns: int):
    shown = [example(20 * number + 30, np.zeros((0, 5), np.float32)) for number in range(count)]
    page = sample_sheet(shown, ["name"] * count, "title", columns)
    middles = [tuple(np.argwhere((page == 20 * number + 30).all(axis=2)).mean(axis=0).round()) for number in range(count)]
    rows = [middles[start : start + columns] for start in range(0, count, columns)]
    assert all(row == sorted(row, key=lambda place: place[1]) and len({place[0] for place in row}) == 1 for row in rows)
    assert [row[0][0] for row in rows] == sorted({place[0] for place in middles})


def test_a_sample_shows_its_boxes():
    assert holds(sample_sheet([example()], ["a"], "title"), LIME)
