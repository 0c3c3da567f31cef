"""Truth and detections for tests: frames as the evaluation takes them, written by hand, drawn at random, or hostile."""

import numpy as np
import pandas as pd

CLASSES = ["cat", "dog", "emu"]
CORNERS = ["x_min", "y_min", "x_max", "y_max"]
SQUARE = pd.DataFrame({"image_id": ["a"], "width": [100], "height": [100]})
Case = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]


def frame_of(rows: list[tuple], confidence: bool) -> pd.DataFrame:
    """Rows of image_id, label, corners and confidence, or is_crowd."""
    return pd.DataFrame(rows, columns=["image_id", "label", *CORNERS, "confidence" if confidence else "is_crowd"])


NO_TRUTH, NO_FOUND = frame_of([], False), frame_of([], True)


def boxes_of(*rows: tuple) -> pd.DataFrame:
    """Truth in the image `a` of 100 pixels: label, corners in pixels."""
    return frame_of([("a", label, *(side / 100 for side in corners), False) for label, *corners in rows], False)


def found_of(*rows: tuple) -> pd.DataFrame:
    """Detections in the image `a` of 100 pixels: label, corners in pixels, confidence."""
    return frame_of([("a", label, *(side / 100 for side in corners), sure) for label, *corners, sure in rows], True)


def random_case(seed: int, images: int = 12) -> Case:
    """Boxes of two of three classes, some crowds, detections near and far from them, confidences with ties."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(images):
        for _ in range(rng.integers(0, 9)):
            corner, side = rng.uniform(0, 0.7, 2), rng.uniform(0.05, 0.3, 2)
            label = CLASSES[rng.integers(0, 2)]
            truth.append((f"i{image}", label, *corner, *(corner + side), bool(rng.random() < 0.15)))
            for _ in range(rng.integers(0, 4)):
                near = corner + rng.normal(0, 0.03, 2)
                found.append((f"i{image}", label, *near, *(near + side * rng.uniform(0.8, 1.2, 2)), round(rng.random(), 2)))
        for _ in range(rng.integers(0, 6)):
            corner, side = rng.uniform(0, 0.7, 2), rng.uniform(0.05, 0.3, 2)
            found.append((f"i{image}", CLASSES[rng.integers(0, 3)], *corner, *(corner + side), round(rng.random(), 2)))
    sizes = pd.DataFrame(
        {"image_id": [f"i{i}" for i in range(images)], "width": rng.integers(50, 900, images), "height": rng.integers(50, 900, images)}
    )
    return frame_of(truth, False), frame_of(found, True), sizes


def hostile_case(seed: int) -> Case:
    """What breaks an implementation that is only nearly COCO's.

    Boxes on a grid of 16 pixels, so that overlaps are exactly 0.5 or 0.75, several are equal, and areas are exactly those
    at which small ends and large begins; few different confidences; the same box and the same detection several times;
    crowds over others; an image of more than 100 detections of a class; images of no box, no detection, and neither.
    """
    rng = np.random.default_rng(seed)
    truth, found = [], []

    def box() -> list[float]:
        corner, side = rng.integers(0, 10, 2), rng.choice([1, 2, 3, 4, 6], 2)
        return [*(corner / 16), *((corner + side) / 16)]

    for image in range(8):
        name = f"i{image}"
        boxes = [(CLASSES[rng.integers(0, 3)], box()) for _ in range(0 if image in (2, 3) else rng.integers(1, 8))]
        boxes += boxes[:2]
        truth += [(name, label, *corners, bool(rng.random() < 0.25)) for label, corners in boxes]
        for label, corners in boxes * 2 if image != 4 else []:
            moved = np.array(corners) + rng.choice([0, 0, 1 / 16], 4)
            found += [(name, label, *moved, float(rng.choice([0.25, 0.5, 0.75])))] * int(rng.integers(1, 3))
        noise = 0 if image in (3, 4) else 260 if image == 5 else 6
        found += [(name, CLASSES[rng.integers(0, 2)], *box(), float(rng.choice([0.25, 0.5, 0.75, 1.0]))) for _ in range(noise)]
    sizes = pd.DataFrame({"image_id": [f"i{i}" for i in range(8)], "width": 256, "height": 256})
    return frame_of(truth, False), frame_of(found, True), sizes


def muddled_case(seed: int) -> Case:
    """Every kind of error in number: wrong classes, wrong places, both, duplicates, boxes of nothing, missed ones; no ties."""
    rng = np.random.default_rng(seed)
    truth, found = [], []
    for image in range(15):
        name = f"i{image}"
        for _ in range(rng.integers(0, 6)):
            label, corner, side = CLASSES[rng.integers(0, 3)], rng.uniform(0, 0.7, 2), rng.uniform(0.1, 0.3, 2)
            truth.append((name, label, *corner, *(corner + side), False))
            for _ in range(rng.integers(0, 4)):
                near = corner + side * rng.choice([0.05, 0.05, 0.3, 0.45])
                guess = label if rng.random() < 0.65 else CLASSES[rng.integers(0, 3)]
                found.append((name, guess, *near, *(near + side * rng.uniform(0.9, 1.1, 2)), rng.random()))
        for _ in range(rng.integers(0, 3)):
            corner, side = rng.uniform(0, 0.7, 2), rng.uniform(0.05, 0.3, 2)
            found.append((name, CLASSES[rng.integers(0, 3)], *corner, *(corner + side), rng.random()))
    sizes = pd.DataFrame({"image_id": [f"i{i}" for i in range(15)], "width": 320, "height": 240})
    return frame_of(truth, False), frame_of(found, True), sizes
