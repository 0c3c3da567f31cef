"""Small datasets in each layout with one label file to spoil: an image of 40 x 20 pixels, and a sound one beside it."""

import json
from pathlib import Path

import numpy as np

from components.data.formats import Listing
from tests.images import write_png

WIDTH, HEIGHT = 40, 20


def picture(path: Path, width: int = WIDTH, height: int = HEIGHT) -> None:
    write_png(path, np.full((height, width, 3), 90, np.uint8))


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def yolo(root: Path, content: str | bytes | None = None, yaml: str | bytes = "train: images\nnames: [cat, dog]\n") -> Path:
    for name in ("a", "b"):
        picture(root / f"images/{name}.png")
    put(root / "labels/b.txt", "1 0.5 0.5 0.5 0.5\n")
    put(root / "data.yaml", yaml)
    if content is not None:
        put(root / "labels/a.txt", content)
    return root


def annotation(body: str = "", size: str = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height></size>") -> str:
    return f"<annotation>\n<filename>a.png</filename>\n{size}\n{body}\n</annotation>\n"


def thing(corners: str = "1 1 10 10", name: str = "<name>cat</name>", more: str = "") -> str:
    """An object in one line, its corners as text separated by blanks; a corner `-` is left out."""
    tags = zip(("xmin", "ymin", "xmax", "ymax"), corners.split(" "), strict=True)
    box = "".join(f"<{tag}>{value}</{tag}>" for tag, value in tags if value != "-")
    return f"<object>{name}<bndbox>{box}</bndbox>{more}</object>"


def voc(root: Path, content: str | bytes) -> Path:
    for name in ("a", "b"):
        picture(root / f"JPEGImages/{name}.png")
    put(root / "Annotations/b.xml", annotation(thing()))
    put(root / "Annotations/a.xml", content)
    return root


def coco_text(images: object = None, annotations: object = None, categories: object = None, **more: object) -> str:
    """A COCO file, one key a line: images stand in line 2, annotations in line 3, categories in line 4."""
    document = {
        "images": [image(1, "a.png"), image(2, "b.png")] if images is None else images,
        "annotations": [note()] if annotations is None else annotations,
        "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}] if categories is None else categories,
    } | more
    return "{\n" + ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in document.items()) + "\n}\n"


def image(number: object, name: object, width: object = WIDTH, height: object = HEIGHT) -> dict[str, object]:
    return {"id": number, "file_name": name, "width": width, "height": height}


def note(**changed: object) -> dict[str, object]:
    whole = {"id": 1, "image_id": 1, "category_id": 3, "bbox": [4, 2, 20, 10], "iscrowd": 0} | changed
    return {key: value for key, value in whole.items() if value != "absent"}


def coco(root: Path, content: str | bytes) -> Path:
    for name in ("a", "b"):
        picture(root / f"images/{name}.png")
    put(root / "annotations/instances.json", content)
    return root


def table(root: Path, content: str | bytes, name: str = "labels.csv") -> Path:
    for image_name in ("a", "b"):
        picture(root / f"images/{image_name}.png")
    put(root / name, content)
    return root


def told(listing: Listing, file: str) -> list[tuple[str, int | None]]:
    """Codes and lines of the findings about a file, in the order of lines."""
    return sorted(((one.code, one.line) for one in listing.findings if one.file == file), key=lambda one: (one[1] or 0, one[0]))


def corners(listing: Listing) -> list[tuple[float, ...]]:
    """The corners of sound boxes."""
    sound = listing.boxes[~listing.boxes["problems"].astype(bool)]
    return list(sound[["x_min", "y_min", "x_max", "y_max"]].itertuples(index=False, name=None))


def labels(listing: Listing) -> list[str]:
    """The classes of sound boxes."""
    return list(listing.boxes[~listing.boxes["problems"].astype(bool)]["label"])
