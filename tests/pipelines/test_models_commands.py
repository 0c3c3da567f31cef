"""`visionloop models` and `visionloop summary`, as their answers read."""

import json

import pytest

from components.errors import UsageError
from pipelines.models_commands import Asked, list_models, show_summary


def test_every_network_of_our_own_is_counted_and_those_of_keras_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert list_models(as_json=True) == 0
    rows = {row["architecture"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["vgg16"]["parameters"] == 138_357_544 and rows["vgg16"]["flops"] == 2 * 15_470_264_320
    assert rows["cnn_malaria"]["classes"] == 2
    assert rows["densenet121"] == {"architecture": "densenet121", "task": "classification", "image_size": 224}


@pytest.mark.parametrize(
    ("asked", "totals"),
    [
        (Asked("vgg16"), (138_357_544, 138_357_544)),
        (Asked("vgg16", 32, 10, "course", frozen=True), (14_789_258, 74_570)),
        (Asked("cnn", frozen=True), (582_026, 1_290)),
        (Asked("resnet50"), (25_610_152, 25_557_032)),
    ],
)
def test_a_summary_adds_up(asked: Asked, totals: tuple[int, int], capsys: pytest.CaptureFixture[str]) -> None:
    assert show_summary(asked, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["parameters"], answer["trainable"]) == totals
    assert sum(layer["flops"] for layer in answer["layers"]) == answer["flops"]


def test_a_summary_reads_like_the_course_s_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert show_summary(Asked("lenet5"), as_json=False) == 0
    out = capsys.readouterr().out
    (c3,) = [line for line in out.splitlines() if " c3 " in line]
    cells = [cell.strip() for cell in c3.split("│")[1:-1]]
    assert cells == ["c3", "Conv2D", "10×10×16", "⌊(14 + 2·0 − 5)/1⌋ + 1 = 10", "2,416", "2,416", "480,000", "14"]
    assert "32×32×1" in out and "61,706 parameters: 61,706 trainable, 0 not; 833,040 FLOPs an image" in out


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="Did you mean 'vgg1"):
        show_summary(Asked("vgg99"), as_json=False)
    with pytest.raises(UsageError, match="--frozen is for classifiers"):
        show_summary(Asked("yolo", frozen=True), as_json=False)
