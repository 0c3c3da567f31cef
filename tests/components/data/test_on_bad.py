import pytest

from components.data import tables
from components.data.catalog import Catalog
from components.data.findings import CODES, finding
from components.data.on_bad import LEAVES_THE_DATASET, Stop, stops


def catalog(problems: list[list[str]], boxes: list[tuple[int, list[str]]] = ()) -> Catalog:
    """Images with these problems, and boxes with theirs on the image of that number; one finding an image's problem."""
    rows = [
        {"image_id": f"id{number}", "path": f"{number}.png", "status": "quarantined" if codes else "ok", "problems": codes}
        for number, codes in enumerate(problems)
    ]
    box_rows = [
        {"image_id": f"id{image}", "box_id": f"box {number}", "status": "quarantined" if codes else "ok", "problems": codes}
        for number, (image, codes) in enumerate(boxes)
    ]
    found = [finding(code, row["path"], "seen", limit=16) for row in rows for code in row["problems"]]
    return Catalog(tables.frame(rows, tables.IMAGES), tables.frame(box_rows, tables.BOXES), ["a"], found)


def test_the_codes_exist() -> None:
    assert set(CODES) >= LEAVES_THE_DATASET


@pytest.mark.parametrize(
    ("problems", "fraction", "stopped"),
    [
        ([[]] * 9 + [["truncated"]], 0.1, False),
        ([[]] * 8 + [["truncated"]] * 2, 0.1, True),
        ([[]] * 10 + [["truncated"]], 0.0, True),
        ([[]] * 8 + [["duplicate"]] * 8, 0.0, False),
        ([[]] * 9 + [["truncated"]] + [["duplicate"]] * 9, 0.1, False),
        ([[]] * 9 + [["truncated"]] * 2 + [["duplicate"]] * 9, 0.1, True),
        ([["truncated"]], 0.99, True),
        ([["truncated"]], 1.0, False),
        ([], 0.0, False),
    ],
)
@pytest.mark.parametrize("on_bad", ["quarantine", "report"])
def test_more_bad_images_than_the_fraction_stop_whatever_on_bad_says(
    problems: list[list[str]], fraction: float, stopped: bool, on_bad: str
) -> None:
    found = stops(catalog(problems), on_bad, fraction)
    assert bool(found) is stopped
    if stopped:
        bad = [f"{number}.png" for number, codes in enumerate(problems) if codes == ["truncated"]]
        assert found == [Stop(found[0].reason, bad)] and f"{len(bad)} of " in found[0].reason


def test_boxes_count_for_themselves_and_not_for_the_image_they_lie_on() -> None:
    broken = catalog([[], ["truncated"], *[[]] * 9], [(1, ["image-quarantined"])] * 30 + [(0, [])] * 9 + [(0, ["box-empty"])])
    assert stops(broken, "quarantine", 0.1) == []
    worse = catalog([[]], [(0, [])] * 8 + [(0, ["box-empty"])] * 2)
    (stop,) = stops(worse, "quarantine", 0.1)
    assert stop.rows == ["box 8", "box 9"] and stop.reason.startswith("2 of 10 boxes are bad")


def test_fail_names_every_bad_finding_and_no_note() -> None:
    found = catalog([[]] * 20 + [["truncated"], ["duplicate"]])
    (stop,) = stops(found, "fail", 0.5)
    assert stop.rows == ["20.png: truncated"]
    assert stops(catalog([[], ["duplicate"]]), "fail", 0.5) == []


@pytest.mark.parametrize("on_bad", ["quarantine", "fail", "report"])
def test_a_path_that_leaves_the_dataset_stops_whatever_on_bad_says(on_bad: str) -> None:
    found = catalog([[], []])
    found.findings.append(finding("link-outside", "away.png", "is a link that leaves the dataset"))
    assert stops(found, on_bad, 1.0)[0].rows == ["away.png"]
