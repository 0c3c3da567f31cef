import numpy as np
import pandas as pd

from components.data import tables
from components.split import Terms, draw, report, split
from components.split.strata import box_sizes
from tests.components.split.test_memory import TERMS


def one_box(numbers: range, side: list[int], label: str = "car") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Images of 200 x 100 pixels with a square box of `side` pixels each, or none for 0."""
    common = {"task": "detection", "status": "ok", "problems": [], "width": 200, "height": 100}
    images = [{"image_id": f"{n:064x}", "path": f"{n}.png", "group_id": f"{n:064x}"} | common for n in numbers]
    boxes = [
        {"image_id": f"{n:064x}", "box_id": str(n), "label": label, "x_min": 0.0, "y_min": 0.0, "x_max": own / 200, "y_max": own / 100}
        | {"status": "ok", "problems": []}
        for n, own in zip(numbers, side, strict=True)
        if own
    ]
    return tables.frame(images, tables.IMAGES), tables.frame(boxes, tables.BOXES)


def test_box_sizes_are_those_of_coco() -> None:
    images, boxes = one_box(range(5), [10, 31, 33, 95, 97])
    assert list(box_sizes(images, boxes)) == ["small", "small", "medium", "medium", "large"]


def test_each_box_size_and_emptiness_are_shared_out() -> None:
    rng = np.random.default_rng(0)
    images, boxes = one_box(range(400), [int(side) for side in rng.choice([0, 20, 60, 98], 400, p=[0.1, 0.6, 0.2, 0.1])])
    images["split"] = split(images, boxes, TERMS).places
    told = report(images, boxes, TERMS.fractions)
    assert set(told["strata"]) == {"car", "car, small", "car, medium", "car, large", "(no boxes)"}
    assert max(abs(cell["deviation"]) for row in told["strata"].values() for cell in row.values()) < 4


def test_the_deviation_is_the_share_of_the_split_less_the_share_of_all(tmp_path) -> None:
    images, boxes = one_box(range(10), [20] * 6 + [60] * 4)
    images["split"] = ["train"] * 5 + ["val"] * 2 + ["test"] * 3
    told = report(images, boxes, TERMS.fractions)
    assert told["strata"]["car, small"]["train"] == {"count": 5, "deviation": 40.0}
    assert told["strata"]["car, small"]["val"] == {"count": 1, "deviation": -10.0}
    draw(told, tmp_path / "split.png")
    draw(told, tmp_path / "again.png")
    assert (tmp_path / "split.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def test_a_class_named_like_a_size_is_no_size() -> None:
    images, boxes = one_box(range(30), [20] * 30, "car, small")
    images["split"] = split(images, boxes, Terms(TERMS.fractions, 0)).places
    assert report(images, boxes, TERMS.fractions)["classes"]["car, small"]["train"] == 18
