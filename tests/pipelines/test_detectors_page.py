"""docs/detectors.md: its block of params.yaml is one that is taken, and the network it counts is today's."""

import re

import yaml

from pipelines import settings
from tests.imports import ROOT

PAGE = (ROOT / "docs" / "detectors.md").read_text("utf-8")


def test_its_model_is_taken_by_params_yaml() -> None:
    raw = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    model = settings.parse({**raw, **yaml.safe_load(block)}).models["blood"]
    assert (model.task, model.architecture, model.image_size) == ("detection", "yolo_anchors", 320)


def test_the_files_it_names_are_there() -> None:
    (folder, *_), files = re.findall(r"`(components/[\w/]+/)`", PAGE), re.findall(r"`(\w+\.py)`", PAGE)
    assert files and all((ROOT / folder / name).is_file() for name in files)
