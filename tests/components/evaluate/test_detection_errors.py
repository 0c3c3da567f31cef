"""The decomposition of errors: against TIDE's own program, by hand for each kind, and by properties."""

import math

import pytest

from components.evaluate.detection import coco_metrics
from components.evaluate.detection_errors import KINDS, Cause, decompose
from components.evaluate.detection_matches import scenes
from tests.components.evaluate.detection_cases import CLASSES, SQUARE, boxes_of, found_of, hostile_case, muddled_case

# tidecv 1.0.1 (https://github.com/dbolya/tide) on the muddled cases, its recall steps being COCO's float64 ones.
TIDECV = {
    0: ((7, 22, 13, 4, 15, 19), (0.060680, 0.168268, 0.020208, 0.002502, 0.035320, 0.088681)),
    1: ((6, 18, 5, 8, 12, 14), (0.010152, 0.242403, 0.011362, 0.009053, 0.009542, 0.134688)),
    2: ((7, 20, 6, 6, 16, 10), (0.141649, 0.190367, 0.005582, 0.003575, 0.020281, 0.063118)),
}


@pytest.mark.parametrize("seed", TIDECV)
def test_counts_and_prices_are_those_of_tides_own_program(seed):
    causes = decompose(scenes(*muddled_case(seed), CLASSES), CLASSES)
    counts, prices = TIDECV[seed]
    assert tuple(cause.errors for cause in causes.values()) == counts
    assert [cause.dap50 for cause in causes.values()] == pytest.approx(prices, abs=2e-6)


def of(truth, found, classes=("cat", "dog")) -> dict[str, Cause]:
    """The kinds that occur."""
    causes = decompose(scenes(truth, found, SQUARE, list(classes)), list(classes))
    assert list(causes) == list(KINDS)
    return {kind: cause for kind, cause in causes.items() if cause.errors}


CAT = ("cat", 0, 0, 20, 20)


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("localisation", ("cat", 8, 0, 28, 20)),  # IoU 12/28
        ("background", ("cat", 0, 60, 20, 80)),
        ("classification", ("dog", 0, 0, 20, 20)),
        ("both", ("dog", 8, 0, 28, 20)),
    ],
)
def test_one_wrong_detection_of_one_box(kind, found):
    truth = boxes_of(CAT, ("dog", 50, 50, 70, 70))
    causes = of(truth, found_of((*found, 0.9), ("dog", 50, 50, 70, 70, 0.8)))
    assert causes[kind].errors == 1
    recoverable = kind in ("localisation", "classification")
    assert ("missed" in causes) == (not recoverable)  # a box that a mended detection finds is not missed besides
    if kind == "localisation":
        assert causes[kind].dap50 == pytest.approx(0.5)  # cats' AP rises from 0 to 1, the mean of two classes by half
    if kind == "classification":
        assert causes[kind].dap50 == pytest.approx(0.75)  # dogs' too, from 1/2, which a false alarm above it had left
    if kind == "both":
        assert causes[kind].dap50 == pytest.approx(0.25)


def test_a_second_detection_of_a_box_is_a_duplicate():
    causes = of(boxes_of(CAT, ("cat", 50, 50, 70, 70)), found_of((*CAT, 0.9), (*CAT, 0.8), ("cat", 50, 50, 70, 70, 0.7)))
    assert list(causes) == ["duplicate"]
    # Precision 1 up to recall 0.5 (51 of 101 points), 2/3 beyond: without the duplicate 1 everywhere.
    assert causes["duplicate"] == Cause(1, pytest.approx(1 - (51 + 50 * 2 / 3) / 101))


def test_of_several_that_could_find_a_box_the_surest_is_mended_and_the_others_go():
    causes = of(boxes_of(CAT), found_of(("cat", 8, 0, 28, 20, 0.5), ("cat", 0, 8, 20, 28, 0.9)), ["cat"])
    assert causes == {"localisation": Cause(2, pytest.approx(1.0))}


def test_a_detector_that_finds_nothing_has_only_missed():
    assert of(boxes_of(CAT), found_of(), ["cat"]) == {"missed": Cause(1, pytest.approx(1.0))}


def test_a_perfect_detector_makes_no_errors_and_without_boxes_there_is_no_price():
    assert of(boxes_of(CAT), found_of((*CAT, 0.9))) == {}
    causes = decompose(scenes(boxes_of(), found_of((*CAT, 0.9)), SQUARE, ["cat"]), ["cat"])
    assert causes["background"].errors == 1 and all(math.isnan(cause.dap50) for cause in causes.values())


@pytest.mark.parametrize("seed", range(4))
def test_every_detection_that_counts_is_right_or_has_one_cause(seed):
    truth, found, sizes = hostile_case(seed)
    seen = scenes(truth, found, sizes, CLASSES)
    causes = decompose(seen, CLASSES)
    counted = sum(int((~scene.match.ignored[:, 0]).sum()) for scene in seen)
    right = sum(int(scene.match.true[:, 0].sum()) for scene in seen)
    assert sum(cause.errors for kind, cause in causes.items() if kind != "missed") == counted - right
    left = 1 - coco_metrics(truth, found, sizes, CLASSES)["map50"]
    assert all(0 <= cause.dap50 <= left + 1e-9 for cause in causes.values())
