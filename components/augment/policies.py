"""Augmentation policies by a readable name, written out in params.yaml, or in a file of policies/.

A file holds what Albumentations' own `A.save(pipeline, file, data_format="yaml")` writes, or a list as in params.yaml.
"""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from components.augment.pipeline import Entry, Policy
from components.errors import UsageError

REFLECT_101 = 4  # OpenCV's border mode: the picture goes on as in a mirror, its edge not repeated
NAMED: dict[str, Policy] = {
    "none": [],
    "light": [{"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.15, "p": 0.5}}],
    "shift": [  # for pictures of about 32 pixels, as in arXiv:2404.00498
        {"HorizontalFlip": {"p": 0.5}},
        {"Affine": {"translate_px": [-2, 2], "border_mode": REFLECT_101, "p": 1.0}},
    ],
    "strong": [
        {"RandomResizedCrop": {"scale": [0.4, 1.0], "ratio": [0.8, 1.25], "p": 1.0}},
        {"HorizontalFlip": {"p": 0.5}},
        {"HueSaturationValue": {"hue_shift_limit": 5, "sat_shift_limit": 20, "val_shift_limit": 20, "p": 0.5}},
        {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
    ],
    "boxes": [
        {"HorizontalFlip": {"p": 0.5}},
        {"Affine": {"scale": [0.6, 1.4], "translate_percent": [-0.1, 0.1], "keep_ratio": True, "fill": 114, "p": 1.0}},
        {"HueSaturationValue": {"hue_shift_limit": 5, "sat_shift_limit": 30, "val_shift_limit": 30, "p": 0.8}},
    ],
    "aerial": [
        {"D4": {"p": 1.0}},
        {"Affine": {"scale": [0.8, 1.6], "translate_percent": [-0.15, 0.15], "keep_ratio": True, "fill": 114, "p": 1.0}},
        {"HueSaturationValue": {"hue_shift_limit": 8, "sat_shift_limit": 25, "val_shift_limit": 25, "p": 0.7}},
        {"RandomBrightnessContrast": {"brightness_limit": 0.25, "contrast_limit": 0.25, "p": 0.7}},
    ],
}
FOLDER = "policies"
SUFFIXES = (".yaml", ".yml", ".json")
OF_THE_PIPELINE = {"bbox_params", "keypoint_params", "additional_targets", "is_check_shapes", "strict", "mask_interpolation", "seed"}


def resolve(policy: str | Policy, root: Path) -> Policy:
    """The transforms of a policy given by name, by a file of policies/ under `root`, or in full.

    Raises UsageError for a name nobody knows and for a file that is elsewhere, missing or no policy.
    """
    if isinstance(policy, list):
        return policy
    if policy in NAMED:
        return NAMED[policy]
    if policy.endswith(SUFFIXES):
        return _read(policy, root)
    near = get_close_matches(policy, NAMED, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = f"{', '.join(NAMED)}, a list of transforms, or a file such as {FOLDER}/mine.yaml"
    raise UsageError(f"unknown augmentation policy {policy!r}; known: {known}.{hint}")


def _read(policy: str, root: Path) -> Policy:
    folder, path = (root / FOLDER).resolve(), (root / policy).resolve()
    if not path.is_relative_to(folder):
        raise UsageError(f"the policy file {policy} is not in {FOLDER}/, whose changes are noticed: move it there")
    if not path.is_file():
        there = sorted(str(file.relative_to(root.resolve())) for file in folder.rglob("*") if file.suffix in SUFFIXES)
        raise UsageError(f"there is no policy file {policy}; {FOLDER}/ holds {', '.join(there) or 'none'}")
    try:
        text = path.read_text(encoding="utf-8")
        held = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, OSError) as error:
        raise UsageError(f"{policy} is not valid {path.suffix[1:].upper()}: {' '.join(str(error).split())}") from None
    if isinstance(held, list):
        return held
    if not isinstance(held, dict) or not isinstance(held.get("transform"), dict):
        expected = "a list of transforms, or what albumentations.save writes"
        raise UsageError(
            f"{policy} holds {type(held).__name__ if not isinstance(held, dict) else sorted(map(str, held))}, expected {expected}"
        )
    return _policy_of(held["transform"], policy)


def _policy_of(saved: dict[str, Any], source: str) -> Policy:
    """A saved pipeline's transforms; a Compose that is not always applied stays one entry."""
    entry = _entry(saved, source)
    ((name, arguments),) = entry.items()
    if name not in ("Compose", "ReplayCompose"):
        return [entry]
    certain = arguments.get("p", 1.0) >= 1
    return arguments["transforms"] if certain else [{"Sequential": {"transforms": arguments["transforms"], "p": arguments["p"]}}]


def _entry(saved: Any, source: str) -> Entry:
    if not isinstance(saved, dict) or not isinstance(saved.get("__class_fullname__"), str):
        raise UsageError(f"{source} holds {saved!r} where a saved transform with `__class_fullname__` is expected")
    name = saved["__class_fullname__"].rpartition(".")[2]
    arguments = {key: value for key, value in saved.items() if key != "__class_fullname__" and key not in OF_THE_PIPELINE}
    if "transforms" in arguments:
        arguments["transforms"] = [_entry(one, source) for one in arguments["transforms"]]
    return {name: arguments}
