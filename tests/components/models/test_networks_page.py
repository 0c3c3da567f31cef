"""docs/networks.md: its code runs, its three networks are one, and its names and numbers are today's."""

import re

import keras
import numpy as np
import pytest

from components.data.tables import CLASSIFICATION
from components.models.catalog import OWN, Design, build
from components.models.classifiers.cnn import cnn
from components.models.sizes import usual_classes, usual_size
from components.models.summary import rows, unallocated
from tests.imports import ROOT

PAGE = (ROOT / "docs" / "networks.md").read_text("utf-8")
COUNTS = [896, 18_496, 36_928, 524_416, 1_290]


@pytest.fixture(scope="module")
def written() -> dict[str, keras.Model]:
    """What the page's blocks of Python define, run in their order."""
    names: dict[str, keras.Model] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(block, names)
    return names


@pytest.mark.parametrize("form", ["sequential", "functional", "subclassed"])
def test_each_form_has_the_course_s_parameters_layer_by_layer(written: dict[str, keras.Model], form: str) -> None:
    model = written[form]
    assert [layer.count_params() for layer in model.layers if layer.weights] == COUNTS
    assert model.count_params() == 582_026


def test_equal_weights_give_equal_answers(written: dict[str, keras.Model]) -> None:
    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 0.1, weight.shape).astype(np.float32) for weight in written["sequential"].get_weights()]
    pixels = rng.integers(0, 256, (4, 32, 32, 3)).astype(np.float32)
    answers = []
    for form in ("sequential", "functional", "subclassed"):
        written[form].set_weights(weights)
        answers.append(np.asarray(written[form](pixels / 255)))
    assert (answers[0] == answers[1]).all() and (answers[0] == answers[2]).all()
    assert np.ptp(answers[0]) > 0.01
    inputs = keras.Input((32, 32, 3))
    ours = keras.Model(inputs, keras.layers.Softmax()(cnn(inputs, 10, 0.0)))
    ours.set_weights(weights)
    assert np.abs(np.asarray(ours(pixels)) - answers[0]).max() < 1e-5


def test_the_table_of_networks_is_today_s() -> None:
    found = re.findall(r"^\| `(\w+)` \| (\d+) × (\d+) \| ([\d,]+) \| ([\d,]+) \|", PAGE, re.MULTILINE)
    assert [name for name, *_ in found] == [name for name in OWN if name not in ("fast", "fast_wide")]  # ours: nobody published it
    for name, size, classes, published, here in found:
        assert (int(size), int(classes)) == (usual_size(name), usual_classes(name))
        design = Design(CLASSIFICATION, name, int(classes), int(size), 0.0)
        told = rows(unallocated(lambda design=design: build(design, None)[0]))
        counted = sum(row.trainable if name.startswith("resnet") else row.parameters for row in told)
        assert published == here == f"{counted:,}"
