"""Policies by name, in full, and from files that Albumentations wrote."""

from pathlib import Path

import albumentations as A
import numpy as np
import pytest

from components.augment.pipeline import compose
from components.augment.policies import NAMED, resolve
from components.augment.shapes import refuse_unbatchable
from components.errors import UsageError

ROOT = Path(__file__).resolve().parents[3]
SIZE = 64
BOXES = A.BboxParams(format="albumentations", label_fields=["labels"])
EXPORTED = A.Compose(
    [
        A.RandomResizedCrop(size=(SIZE, SIZE), scale=(0.5, 1.0)),
        A.OneOf([A.HorizontalFlip(p=0.9), A.Sequential([A.VerticalFlip(p=0.5), A.Affine(rotate=(-9, 9), p=1.0)], p=1.0)], p=0.7),
        A.SomeOf([A.CoarseDropout(), A.HueSaturationValue(), A.ColorJitter(hue=0.1)], n=2),
        A.Affine(scale={"x": (0.8, 1.1), "y": (0.9, 1.2)}, translate_percent=(-0.1, 0.1), p=0.8),
    ],
    bbox_params=BOXES,
)
PICTURE = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3)).astype(np.uint8)


def saved(root: Path, name: str, pipeline: object) -> str:
    (root / "policies").mkdir(exist_ok=True)
    A.save(pipeline, root / "policies" / name, data_format="json" if name.endswith(".json") else "yaml")
    return f"policies/{name}"


def test_a_list_is_its_own_policy_and_a_name_stands_for_one(tmp_path):
    assert resolve([{"D4": {}}], tmp_path) == [{"D4": {}}]
    assert resolve("light", tmp_path) == NAMED["light"] and resolve("none", tmp_path) == []


@pytest.mark.parametrize("name", ["mine.yaml", "mine.yml", "mine.json"])
def test_a_saved_pipeline_makes_the_pictures_that_albumentations_itself_makes_of_it(tmp_path, name):
    ours = compose(resolve(saved(tmp_path, name, EXPORTED), tmp_path), SIZE, SIZE)
    theirs = A.from_dict(A.to_dict(EXPORTED))
    for seed in range(12):
        shown = []
        for pipeline in (ours, theirs):
            pipeline.set_random_seed(seed)
            shown.append(pipeline(image=PICTURE, bboxes=np.zeros((0, 4), np.float32), labels=np.zeros(0))["image"])
        assert (shown[0] == shown[1]).all()


def test_a_single_saved_transform_and_a_pipeline_that_happens_by_chance_are_policies_too(tmp_path):
    assert resolve(saved(tmp_path, "one.yaml", A.HorizontalFlip(p=0.3)), tmp_path) == [{"HorizontalFlip": {"p": 0.3}}]
    by_chance = saved(tmp_path, "chance.yaml", A.Compose([A.HorizontalFlip(p=1.0)], p=0.25))
    assert resolve(by_chance, tmp_path) == [{"Sequential": {"transforms": [{"HorizontalFlip": {"p": 1.0}}], "p": 0.25}}]


def test_a_file_may_hold_a_list_as_params_does(tmp_path):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "list.yaml").write_text("- HorizontalFlip: {p: 0.5}\n")
    assert resolve("policies/list.yaml", tmp_path) == [{"HorizontalFlip": {"p": 0.5}}]


@pytest.mark.parametrize("name", ["./policies/list.yaml", "policies/../policies/list.yaml"])
def test_a_path_is_read_wherever_it_leads_within_the_folder(tmp_path, name):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "list.yaml").write_text("[]")
    assert resolve(name, tmp_path) == []


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("policies/none.yaml", None, "there is no policy file policies/none.yaml; policies/ holds policies/bad.yaml"),
        ("elsewhere.yaml", "[]", r"elsewhere.yaml is not in policies/.*move it there"),
        ("policies/../elsewhere.yaml", "[]", "not in policies/"),
        ("policies/bad.yaml", "a: [", "policies/bad.yaml is not valid YAML"),
        ("policies/bad.json", "{", "policies/bad.json is not valid JSON"),
        ("policies/bad.yaml", "a: 1", r"holds \['a'\], expected a list of transforms, or what albumentations.save writes"),
        ("policies/bad.yaml", "7", "holds int"),
        ("policies/bad.yaml", "!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("policies/bad.yaml", "transform: {transforms: []}", "`__class_fullname__` is expected"),
        ("policies/bad.yaml", "transform: {__class_fullname__: Compose, transforms: [7]}", "holds 7 where a saved transform"),
    ],
)
def test_what_is_no_policy_file_is_refused_in_words(tmp_path, name, text, said):
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "bad.yaml").touch()
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=said):
        resolve(name, tmp_path)


def test_an_unknown_policy_names_its_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"'lihgt'.*none, light, shift, strong, boxes, aerial.*Did you mean 'light'"):
        resolve("lihgt", tmp_path)


@pytest.mark.parametrize("file", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda file: file.name)
def test_the_policies_of_the_repository_can_be_trained_with(file):
    policy = resolve(f"policies/{file.name}", ROOT)
    assert policy
    refuse_unbatchable(policy, 48, 48)
    refuse_unbatchable(policy, 224, 160)
