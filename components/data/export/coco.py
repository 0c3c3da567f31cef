"""COCO JSON: a file a split, one element a line."""

import json
from collections.abc import Iterator
from typing import Any

from components.data.export.pictures import Box, Picture
from components.data.formats.box_checks import Size

_UNSPLIT = "default"


def files(pictures: list[Picture], classes: list[str]) -> Iterator[tuple[str, str]]:
    """Each file's path and text. Ids count from 1 through all files."""
    numbers = {name: at for at, name in enumerate(classes, 1)}
    categories = [{"id": at, "name": name, "supercategory": ""} for name, at in numbers.items()]
    images: dict[str | None, list[dict[str, Any]]] = {}
    annotations: dict[str | None, list[dict[str, Any]]] = {}
    count = 0
    for at, picture in enumerate(pictures, 1):
        images.setdefault(picture.split, []).append(_image(picture, at))
        own = annotations.setdefault(picture.split, [])
        for box in picture.boxes:
            count += 1
            own.append({"id": count, "image_id": at, "category_id": numbers[box.label], **_box(box, picture.size)})
    for split in images:
        lists = {"images": images[split], "annotations": annotations[split], "categories": categories}
        yield f"annotations/instances_{split or _UNSPLIT}.json", _text(lists)


def _image(picture: Picture, number: int) -> dict[str, Any]:
    """`split` is a key of our own: it says "none" too, which a file's name cannot."""
    width, height = picture.size
    return {"id": number, "file_name": f"images/{picture.name}", "width": width, "height": height, "split": picture.split}


def _box(box: Box, size: Size) -> dict[str, Any]:
    x0, y0, x1, y1 = box.corners
    values = (x0 * size[0], y0 * size[1], (x1 - x0) * size[0], (y1 - y0) * size[1])
    bbox = [_plain(value) for value in values]
    area = _plain(values[2] * values[3])
    # What lies inside the first pixel could be fractions: an outline says that it is not.
    right, bottom = values[0] + values[2], values[1] + values[3]
    outline = [[*bbox[:2], right, bbox[1], right, bottom, bbox[0], bottom]] if max(right, bottom) < 1 + 1e-9 else []
    return {"bbox": bbox, "area": area, "iscrowd": int(box.is_crowd), "ignore": int(box.is_difficult), "segmentation": outline}


def _plain(value: float) -> float | int:
    """A number to 15 digits, whole where it is."""
    rounded = float(f"{value:.15g}")
    return int(rounded) if rounded.is_integer() else rounded


def _text(lists: dict[str, list[dict[str, Any]]]) -> str:
    parts = []
    for name, rows in lists.items():
        lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
        parts.append(f'"{name}": [\n{lines}\n]' if lines else f'"{name}": []')
    return "{\n" + ",\n".join(parts) + "\n}\n"
