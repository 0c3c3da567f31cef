"""Writing a detection dataset as YOLO, Pascal VOC or COCO so that reading it again gives the same listing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from components.data.export import coco, voc, yolo
from components.data.export.pictures import Picture, gather
from components.data.formats import Listing

__all__ = ["FORMATS", "Export", "plan"]

Files = Iterator[tuple[str, str]]
FORMATS: dict[str, Callable[[list[Picture], list[str]], Files]] = {"yolo": yolo.files, "voc": voc.files, "coco": coco.files}
_IMAGES = {"yolo": "images", "voc": "JPEGImages", "coco": "images"}
_FLAGS = {
    "yolo": f"{yolo.FLAGS_FILE}, which data.yaml names: other readers of YOLO take such boxes for ordinary ones",
    "voc": "the elements difficult and iscrowd: other readers of Pascal VOC pass over the latter",
    "coco": "the keys iscrowd and ignore: other readers of COCO may pass over the latter",
}


@dataclass(frozen=True)
class Export:
    """What is to be written, all paths POSIX and relative to the new dataset.

    `images` says which file of the source each image is a copy of; `files` yields each other file's path and text;
    `notes` say in words what was left out or is carried in a place of our own.
    """

    images: dict[str, str]
    files: Files
    notes: list[str]


def plan(root: Path, listing: Listing, layout: str) -> Export:
    """The export of the detection dataset at `root`, as `listing` describes it, in `layout`: "yolo", "voc" or "coco".

    Images keep their paths below `images/` or `JPEGImages/`; splits, the order of the classes, images without boxes,
    crowds and difficult boxes are carried, corners to 1e-12 of the image or better (boxes of one class nearer to
    each other than that read as one). What `listing` has marked as bad is left out. Raises DataError when nothing is left.
    """
    pictures, notes = gather(root, listing)
    flagged = sum(box.is_crowd or box.is_difficult for picture in pictures for box in picture.boxes)
    if flagged:
        notes.append(f"{flagged:,} crowd or difficult boxes are marked in {_FLAGS[layout]}")
    if layout == "yolo" and any(picture.split is None for picture in pictures):
        notes.append("images in no split are listed under `unsplit:` in data.yaml; other readers of YOLO want train: and val:")
    images = {f"{_IMAGES[layout]}/{picture.name}": picture.path for picture in pictures}
    return Export(images, FORMATS[layout](pictures, listing.classes), notes)
