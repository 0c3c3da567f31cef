"""Tiny seeded datasets of generated images, for tests: what a small network can learn in seconds."""

from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np

SHAPES = ("circle", "square", "stripes", "cross", "ring")
COLORS = ((220, 60, 50), (50, 170, 70), (50, 90, 220), (220, 190, 40), (160, 60, 190))
DETECTION_CLASSES = ("red", "blue")
_BOX_COLORS = {"red": (225, 40, 40), "blue": (40, 60, 225)}

Box = tuple[str, int, int, int, int]


def write_png(path: Path, image: np.ndarray) -> None:
    """Write an RGB uint8 (H, W, 3) or gray (H, W) image as PNG, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stored = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    if not cv2.imwrite(str(path), stored):
        raise OSError(f"could not write {path}")


def classification_image(kind: int, size: int, rng: np.random.Generator) -> np.ndarray:
    """A coloured shape on noise, RGB uint8 (size, size, 3); the kind decides colour and shape."""
    image = rng.integers(70, 150, (size, size, 3)).astype(np.uint8)
    color = tuple(int(c) for c in np.clip(np.array(COLORS[kind % len(COLORS)]) + rng.integers(-25, 26, 3), 0, 255))
    x, y = (int(v) for v in rng.integers(size * 3 // 8, size * 5 // 8 + 1, 2))
    r = int(rng.integers(size // 5, size // 3))
    shape = SHAPES[kind % len(SHAPES)]
    if shape == "circle":
        cv2.circle(image, (x, y), r, color, -1)
    elif shape == "square":
        cv2.rectangle(image, (x - r, y - r), (x + r, y + r), color, -1)
    elif shape == "stripes":
        for top in range(y - r, y + r, 6):
            cv2.rectangle(image, (x - r, top), (x + r, top + 2), color, -1)
    elif shape == "cross":
        cv2.line(image, (x - r, y - r), (x + r, y + r), color, 5)
        cv2.line(image, (x - r, y + r), (x + r, y - r), color, 5)
    else:
        cv2.circle(image, (x, y), r, color, 4)
    return image


def make_classification(folder: Path, classes: int = 3, per_class: int = 12, size: int = 48, seed: int = 0) -> Path:
    """Class folders `class_0/`, `class_1/` ... of PNG images; returns `folder`."""
    rng = np.random.default_rng(seed)
    for kind in range(classes):
        for number in range(per_class):
            write_png(folder / f"class_{kind}" / f"{number:03d}.png", classification_image(kind, size, rng))
    return folder


def detection_image(size: int, rng: np.random.Generator) -> tuple[np.ndarray, list[Box]]:
    """One or two coloured rectangles on noise; boxes are (label, x_min, y_min, x_max, y_max), right and bottom exclusive pixels."""
    image = rng.integers(90, 130, (size, size, 3)).astype(np.uint8)
    boxes: list[Box] = []
    for half in range(int(rng.integers(1, 3))):  # one in the left half, one in the right: they never overlap
        width, height = (int(v) for v in rng.integers(size // 5, size * 2 // 5, 2))
        left = half * size // 2 + int(rng.integers(0, size // 2 - width + 1))
        top = int(rng.integers(0, size - height + 1))
        label = DETECTION_CLASSES[int(rng.integers(0, 2))]
        image[top : top + height, left : left + width] = _BOX_COLORS[label]
        boxes.append((label, left, top, left + width, top + height))
    return image, boxes


def voc_xml(filename: str, width: int, height: int, boxes: list[Box]) -> str:
    """A Pascal VOC annotation: one-based, inclusive pixels."""
    objects = "".join(
        f"  <object>\n    <name>{escape(label)}</name>\n    <difficult>0</difficult>\n    <bndbox>\n"
        f"      <xmin>{x0 + 1}</xmin>\n      <ymin>{y0 + 1}</ymin>\n      <xmax>{x1}</xmax>\n      <ymax>{y1}</ymax>\n"
        "    </bndbox>\n  </object>\n"
        for label, x0, y0, x1, y1 in boxes
    )
    size = f"  <size>\n    <width>{width}</width>\n    <height>{height}</height>\n    <depth>3</depth>\n  </size>\n"
    return f"<annotation>\n  <filename>{escape(filename)}</filename>\n{size}{objects}</annotation>\n"


def make_detection_voc(folder: Path, images: int = 12, size: int = 96, seed: int = 0) -> Path:
    """Pascal VOC `JPEGImages/` and `Annotations/`, without ImageSets; returns `folder`."""
    rng = np.random.default_rng(seed)
    (folder / "Annotations").mkdir(parents=True, exist_ok=True)
    for number in range(images):
        image, boxes = detection_image(size, rng)
        write_png(folder / "JPEGImages" / f"{number:03d}.png", image)
        (folder / "Annotations" / f"{number:03d}.xml").write_text(voc_xml(f"{number:03d}.png", size, size, boxes))
    return folder


def yolo_line(box: Box, size: int) -> str:
    """`class x_center y_center width height`, fractions of the image."""
    label, x0, y0, x1, y1 = box
    values = ((x0 + x1) / 2 / size, (y0 + y1) / 2 / size, (x1 - x0) / size, (y1 - y0) / size)
    return f"{DETECTION_CLASSES.index(label)} " + " ".join(f"{value:.6f}" for value in values)


def make_detection_yolo(folder: Path, images: int = 12, size: int = 96, seed: int = 0) -> Path:
    """YOLO `data.yaml`, `images/{train,val,test}` and `labels/...` (two thirds, a sixth, a sixth); returns `folder`."""
    rng = np.random.default_rng(seed)
    for number in range(images):
        split = ("train", "train", "train", "train", "val", "test")[number % 6]
        image, boxes = detection_image(size, rng)
        write_png(folder / "images" / split / f"{number:03d}.png", image)
        labels = folder / "labels" / split / f"{number:03d}.txt"
        labels.parent.mkdir(parents=True, exist_ok=True)
        labels.write_text("".join(yolo_line(box, size) + "\n" for box in boxes))
    names = "".join(f"  {index}: {name}\n" for index, name in enumerate(DETECTION_CLASSES))
    (folder / "data.yaml").write_text(f"train: images/train\nval: images/val\ntest: images/test\nnames:\n{names}")
    return folder
