"""A policy as one Albumentations pipeline, and its refusal in words where Albumentations does not know it.

A policy is a list of one-entry mappings `{TransformName: {argument: value}}`, in Albumentations' own words; a
composition (OneOf, SomeOf, Sequential ...) holds further entries in its `transforms`. Images are uint8 RGB (S, S, 3);
boxes are fractions 0..1 as (x_min, y_min, x_max, y_max).
"""

import inspect
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

import albumentations as A
import cv2
from albumentations.core.composition import BaseCompose

from components.augment.clipping import MIN_SIDE, MIN_VISIBLE
from components.errors import UsageError

Entry = dict[str, dict[str, Any]]
Policy = list[Entry]

INSIDE_THE_NETWORK = {"Normalize", "ToFloat", "FromFloat", "ToTensorV2", "ToTensor3D"}


def compose(policy: Policy, image_size: int, train_size: int) -> A.Compose:
    """The policy as one pipeline from square images of `image_size` pixels, with their boxes, to `train_size`.

    A transform that must be told a `size`, or `height` and `width`, and is not, gets `train_size`; whatever is larger
    at the end is resized to it. Boxes are clipped to the picture; those with less than 30 % of their area left are
    dropped. Raises UsageError when a transform or one of its arguments is unknown to Albumentations.
    """
    last = [A.Resize(train_size, train_size, interpolation=cv2.INTER_AREA)] if train_size != image_size else []
    return _with_boxes([*(build(entry, train_size) for entry in policy), *last])


def alone(transform: Any) -> A.Compose:
    """One transform as a pipeline of its own, which gives it what it needs to know of boxes."""
    return _with_boxes([transform])


def build(entry: Entry, size: int) -> Any:
    """The transform or composition of one entry. Raises UsageError when Albumentations does not know it."""
    name, arguments = parts(entry)
    factory = _factory(name)
    accepted = inspect.signature(factory).parameters
    _refuse_unknown(name, arguments, accepted)
    given = {key: _as_tuple(value) for key, value in arguments.items() if key != "transforms"} | _sizes(accepted, arguments, size)
    if issubclass(factory, BaseCompose):
        given["transforms"] = [build(one, size) for one in inner(entry)]
    try:
        return factory(**given)
    except ZeroDivisionError:
        raise UsageError(f"{name} can choose nothing: every transform in it has p: 0") from None
    except (ValueError, TypeError, NotImplementedError) as error:
        raise UsageError(f"{name} refuses {arguments}: {in_short(error)}") from None


def parts(entry: Any) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an entry. Raises UsageError when it is no mapping of one name to its arguments."""
    name, arguments = next(iter(entry.items())) if isinstance(entry, dict) and len(entry) == 1 else (None, None)
    if not isinstance(name, str) or not isinstance(arguments, dict | None):
        raise UsageError(f"an augmentation entry is {entry!r}; expected one transform, such as `- HorizontalFlip: {{p: 0.5}}`")
    return name, arguments or {}


def inner(entry: Entry) -> Policy:
    """The entries within a composition; none for a transform."""
    name, arguments = parts(entry)
    if not is_composition(name):
        return []
    found = arguments.get("transforms")
    if not isinstance(found, list) or not found:
        raise UsageError(f"{name} holds {found!r}; expected `{name}: {{transforms: [...]}}` with one transform at least")
    return found


def leaves(policy: Iterable[Entry]) -> Iterator[Entry]:
    """Every transform of a policy that can happen, those within compositions too; with `p: 0` none can."""
    for entry in policy:
        name, arguments = parts(entry)
        if arguments.get("p", 1) > 0:
            yield from leaves(inner(entry)) if is_composition(name) else [entry]


def always(entry: Entry) -> Entry:
    """The entry as it is applied for certain."""
    name, arguments = parts(entry)
    return {name: {**arguments, "p": 1.0}}


def is_composition(name: str) -> bool:
    """Whether Albumentations composes other transforms under this name."""
    factory = getattr(A, name, None)
    return inspect.isclass(factory) and issubclass(factory, BaseCompose)


def in_short(error: BaseException) -> str:
    """An exception's text as one line of at most 200 characters; of a refused argument its name and what is wrong."""
    wrong: list[dict[str, Any]] = getattr(error.__cause__, "errors", list)()
    text = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}".lstrip(": ") for one in wrong) or str(error)
    return " ".join(text.split())[:200]


def _with_boxes(transforms: list[Any]) -> A.Compose:
    boxes = A.BboxParams(
        format="albumentations", label_fields=["labels"], min_visibility=MIN_VISIBLE, min_width=MIN_SIDE, min_height=MIN_SIDE,
        clip=True, filter_invalid_bboxes=True, check_each_transform=False,
    )  # fmt: skip
    return A.Compose([*transforms, _Noted(p=1.0)], bbox_params=boxes)


class _Noted(A.NoOp):  # type: ignore[misc]
    """Writes where each box is, before it is clipped, into the four columns after its own, where it has so many."""

    def apply_to_bboxes(self, bboxes: Any, **params: Any) -> Any:
        if bboxes.shape[1] > 8:
            bboxes[:, 4:8] = bboxes[:, :4]
        return bboxes


def _factory(name: str) -> Any:
    factory = getattr(A, name, None)
    if _is_known(factory):
        return factory
    if name in INSIDE_THE_NETWORK:
        raise UsageError(f"leave {name} out: training pictures stay uint8, and the networks scale them inside")
    near = get_close_matches(name, [known for known in dir(A) if _is_known(getattr(A, known))], n=1)
    raise UsageError(f"Albumentations has no transform {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))


def _is_known(factory: Any) -> bool:
    return inspect.isclass(factory) and issubclass(factory, A.BasicTransform | BaseCompose) and factory is not BaseCompose


def _refuse_unknown(name: str, arguments: dict[str, Any], accepted: Iterable[str]) -> None:
    known = sorted(accepted)
    for key in arguments:
        if key not in known:
            near = get_close_matches(str(key), known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{name} does not accept {key!r}; it accepts {known}.{hint}")


def _sizes(accepted: Any, arguments: dict[str, Any], size: int) -> dict[str, Any]:
    wanted = {"size": (size, size), "height": size, "width": size}
    return {
        key: value
        for key, value in wanted.items()
        if key in accepted and key not in arguments and accepted[key].default is inspect.Parameter.empty
    }


def _as_tuple(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_tuple(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value
