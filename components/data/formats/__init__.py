"""Reading a dataset in whatever layout it comes: class folders, YOLO or Pascal VOC."""

from collections.abc import Callable
from pathlib import Path

from components.data.formats import folder, voc, yolo
from components.data.files import is_image, visible, walk
from components.data.formats.corrections import corrected
from components.data.formats.listing import Listing
from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError, UsageError

__all__ = ["AUTO", "READERS", "Listing", "is_present", "read_dataset"]

AUTO = "auto"
READERS: dict[str, dict[str, Callable[[Path], Listing]]] = {
    CLASSIFICATION: {"folder": folder.read},
    DETECTION: {"yolo": yolo.read, "voc": voc.read},
}
_SUPPORTED = "class folders (classification), YOLO with data.yaml (detection) and Pascal VOC with Annotations/ and JPEGImages/ (detection)"


def read_dataset(root: Path, task: str, layout: str = AUTO) -> Listing:
    """Read the labels of the dataset at `root` for a task, "classification" or "detection".

    `layout` is "folder", "yolo" or "voc", or "auto" to recognise it. Whatever is wrong with single files and labels
    is a finding; DataError is raised when there is no dataset, or its layout is ambiguous or not supported. The labels
    are those after corrections.csv.
    """
    if not is_present(root):
        raise DataError(f"{root} holds no files, expected a {task} dataset: run `visionloop data sample` or `visionloop data import SRC`")
    readers = READERS[task]
    if layout != AUTO and layout not in readers:
        raise UsageError(f"data.{task}.format is {layout!r}, expected {', '.join((AUTO, *readers))}")
    listing = readers[_recognise(root, task) if layout == AUTO else layout](root)
    if listing.images.empty:
        raise DataError(f"{root} holds no labelled image in the {listing.layout} layout; {_SUPPORTED} are read")
    return corrected(root, listing)


def is_present(root: Path) -> bool:
    """Whether the folder exists and holds any visible file."""
    return root.is_dir() and next(walk(root), None) is not None


def _recognise(root: Path, task: str) -> str:
    marks = {"yolo": bool(yolo.find_yaml(root)), "voc": next(voc.find_annotations(root), None) is not None}
    found = [name for name, present in marks.items() if present]
    if task == CLASSIFICATION:
        if found:
            raise DataError(
                f"{root} looks like a detection dataset ({' and '.join(found)}): move it to data/detection, or set "
                f"data.{CLASSIFICATION}.format to folder if its folders are classes"
            )
        if any(is_image(path) for entry in root.iterdir() if entry.is_dir() and visible(entry.name) for path in walk(entry)):
            return "folder"
    if len(found) > 1:
        raise DataError(f"{root} can be read as {' and as '.join(found)}: say which in params.yaml, data.{task}.format")
    if task == CLASSIFICATION or not found:
        raise DataError(_unsupported(root, task))
    return found[0]


def _unsupported(root: Path, task: str) -> str:
    suffixes = {path.suffix.lower() for path in walk(root)}
    hints = {".json": "a COCO JSON file is not read yet", ".csv": "a CSV file of labels is not read yet"}
    hint = "; ".join(text for suffix, text in hints.items() if suffix in suffixes)
    return f"{root} has no layout known for {task}{f' ({hint})' if hint else ''}: {_SUPPORTED} are read; rearrange or convert it"
