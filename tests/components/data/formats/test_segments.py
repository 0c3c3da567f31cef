import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as reference

from components.data.formats.segments import bounds


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_masks_have_the_boxes_that_pycocotools_gives(height: int, width: int, data: st.DataObject) -> None:
    bits = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    encoded = reference.encode(np.asfortranarray(np.array(bits, np.uint8).reshape(height, width)))
    x, y, w, h = reference.toBbox(encoded)
    expected = (x, y, x + w, y + h) if any(bits) else (0, 0, 0, 0)
    text = encoded["counts"].decode()
    assert bounds({"size": [height, width], "counts": text}) == expected
    flat = np.array(bits, int).reshape(height, width).T.ravel()
    runs, last = [0], 0
    for bit in flat:
        if bit != last:
            runs.append(0)
            last = bit
        runs[-1] += 1
    assert bounds({"size": [height, width], "counts": runs}) == expected


def test_large_masks_whose_counts_need_several_characters() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        mask = np.zeros((600, 900), np.uint8)
        x0, y0 = rng.integers(0, 400, 2)
        mask[y0 : y0 + rng.integers(1, 200), x0 : x0 + rng.integers(1, 500)] = 1
        mask[rng.integers(0, 600, 5), rng.integers(0, 900, 5)] = 1
        encoded = reference.encode(np.asfortranarray(mask))
        x, y, w, h = reference.toBbox(encoded)
        assert bounds({"size": [600, 900], "counts": encoded["counts"].decode()}) == (x, y, x + w, y + h)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 99), st.floats(0, 49)), min_size=3, max_size=8))
def test_polygons_have_the_boxes_that_pycocotools_draws_within_a_pixel(points: list[tuple[float, float]]) -> None:
    polygon = [value for point in points for value in point]
    x, y, w, h = reference.toBbox(reference.merge(reference.frPyObjects([polygon], 50, 100)))
    found = bounds([polygon])
    assert found is not None
    if w and h:  # pycocotools draws nothing of what is thinner than half a pixel
        assert found[0] - 1 <= x and found[1] - 1 <= y and x + w <= found[2] + 1 and y + h <= found[3] + 1


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=30))
def test_any_text_of_counts_is_a_mask_or_none(counts: str) -> None:
    found = bounds({"size": [5, 7], "counts": counts})
    assert found is None or (0 <= found[0] <= found[2] <= 7 and 0 <= found[1] <= found[3] <= 5)


@pytest.mark.parametrize(
    "segmentation", [None, 5, "x", [], {}, [[]], [[1, 2, 3, 4]], [5], [None], {"size": [2, 2]}, {"size": [2], "counts": []}]
)
def test_what_is_no_segmentation_is_none(segmentation: object) -> None:
    assert bounds(segmentation) is None
