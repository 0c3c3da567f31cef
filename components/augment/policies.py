"""Augmentation policies: lists of Albumentations transforms, by a readable name or written out in params.yaml.

A policy is a list of one-entry mappings `{TransformName: {argument: value}}`, in Albumentations' own words. Images
are uint8 RGB (S, S, 3) and keep their size; boxes are fractions 0..1 as (x_min, y_min, x_max, y_max).
"""

import inspect
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import albumentations as A
import cv2

from components.errors import UsageError

Policy = list[dict[str, dict[str, Any]]]

NAMED: dict[str, Policy] = {
    "none": [],
    "light": [{"HorizontalFlip": {"p": 0.5}}, {"RandomBrightnessContrast": {"brightness_limit": 0.15, "contrast_limit": 0.15, "p": 0.5}}],
    "strong": [
        {"RandomResizedCrop": {"scale": [0.4, 1.0], "ratio": [0.8, 1.25], "p": 1.0}},
        {"HorizontalFlip": {"p": 0.5}},
        {"HueSaturationValue": {"hue_shift_limit": 5, "sat_shift_limit": 20, "val_shift_limit": 20, "p": 0.5}},
        {"RandomBrightnessContrast": {"brightness_limit": 0.2, "contrast_limit": 0.2, "p": 0.5}},
    ],
    "aerial": [
        {"D4": {"p": 1.0}},
        {"Affine": {"scale": [0.8, 1.6], "translate_percent": [-0.15, 0.15], "keep_ratio": True, "fill": 114, "p": 1.0}},
        {"HueSaturationValue": {"hue_shift_limit": 8, "sat_shift_limit": 25, "val_shift_limit": 25, "p": 0.7}},
        {"RandomBrightnessContrast": {"brightness_limit": 0.25, "contrast_limit": 0.25, "p": 0.7}},
    ],
}

MIN_VISIBLE = 0.3  # a box with less of its area left inside the picture is dropped
MIN_SIDE = 2.0  # pixels


def resolve(policy: str | Policy) -> Policy:
    """The transforms of a policy given by name or in full. Raises UsageError for a name nobody knows."""
    if isinstance(policy, list):
        return policy
    if policy not in NAMED:
        near = get_close_matches(policy, NAMED, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown augmentation policy {policy!r}; known: {', '.join(NAMED)}, or a list of transforms.{hint}")
    return NAMED[policy]


def compose(policy: Policy, image_size: int, train_size: int) -> A.Compose:
    """The policy as one pipeline from square images of `image_size` pixels, with their boxes, to `train_size`.

    A transform that wants a `size` gets `train_size`; whatever is larger at the end is resized to it. Boxes are
    clipped to the picture; those with less than 30 % of their area left are dropped. Raises UsageError when a
    transform or one of its arguments is unknown to Albumentations.
    """
    boxes = A.BboxParams(
        format="albumentations", label_fields=["labels"], min_visibility=MIN_VISIBLE, min_width=MIN_SIDE, min_height=MIN_SIDE,
        clip=True, filter_invalid_bboxes=True, check_each_transform=False,
    )  # fmt: skip
    transforms = [_transform(entry, train_size) for entry in policy]
    last = [A.Resize(train_size, train_size, interpolation=cv2.INTER_AREA)] if train_size != image_size else []
    return A.Compose([*transforms, *last], bbox_params=boxes)


def _transform(entry: dict[str, dict[str, Any]], size: int) -> A.BasicTransform:
    name, arguments = _only_entry(entry)
    factory: Any = getattr(A, name, None)
    if not _is_transform(factory):
        near = get_close_matches(name, [known for known in dir(A) if _is_transform(getattr(A, known))], n=1)
        raise UsageError(f"Albumentations has no transform {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
    accepted = inspect.signature(factory).parameters
    unknown = [key for key in arguments if key not in accepted]
    if unknown:
        raise UsageError(f"{name} does not accept {unknown}; it accepts {sorted(accepted)}")
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()}
    if "size" in accepted and "size" not in given:
        given["size"] = (size, size)
    try:
        return factory(**given)
    except (ValueError, TypeError, NotImplementedError) as error:
        raise UsageError(f"{name} refuses {arguments}: {_first_line(error)}") from None


def _only_entry(entry: dict[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    name, arguments = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (None, None)
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        raise UsageError(f"an augmentation entry is {entry!r}; expected one transform, such as `- HorizontalFlip: {{p: 0.5}}`")
    return name, arguments or {}


def _is_transform(factory: Any) -> bool:
    return inspect.isclass(factory) and issubclass(factory, A.BasicTransform)


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def refuse_other_sizes(policy: Sequence[dict[str, dict[str, Any]]], images: tuple[int, ...], train_size: int) -> None:
    """Raise UsageError when the policy changed the size of the pictures, which a training batch cannot hold."""
    if images[:2] != (train_size, train_size):
        names = [next(iter(entry)) for entry in policy]
        found = f"{images[1]}x{images[0]} pixels, {train_size}x{train_size} are wanted"
        raise UsageError(f"the policy {names} makes pictures of {found}; end it with a Resize")
