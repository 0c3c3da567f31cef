"""Reading a dataset in whatever layout it comes: class folders, YOLO, Pascal VOC, COCO JSON or CSV."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from components.data.files import walk
from components.data.formats import coco, csv_labels, folder, voc, yolo, yolo_yaml
from components.data.formats.corrections import corrected
from components.data.formats.listing import Listing
from components.data.formats.tree import Tree
from components.data.tables import CLASSIFICATION, DETECTION
from components.errors import DataError, UsageError

__all__ = ["AUTO", "READERS", "Listing", "is_present", "read_dataset"]

AUTO = "auto"
CSV = "csv"
READERS: dict[str, dict[str, Callable[[Tree], Listing]]] = {
    CLASSIFICATION: {
        folder.TOP: partial(folder.read, layout=folder.TOP),
        folder.LEAF: partial(folder.read, layout=folder.LEAF),
        CSV: partial(csv_labels.read, boxes=False),
    },
    DETECTION: {"yolo": yolo.read, "voc": voc.read, "coco": coco.read, CSV: partial(csv_labels.read, boxes=True)},
}
_SUPPORTED = {
    CLASSIFICATION: "class folders, or a CSV file of images and labels",
    DETECTION: "YOLO with data.yaml, Pascal VOC with Annotations/ and JPEGImages/, COCO JSON, or a CSV file of images, labels and corners",
}


def read_dataset(root: Path, task: str, layout: str = AUTO, group_column: str | None = None) -> Listing:
    """Read the labels of the dataset at `root` for a task, "classification" or "detection".

    `layout` is one of READERS' names for the task, or "auto" to recognise it; class folders are then read as "folder".
    `group_column` names the column of a CSV file whose values say which images belong together.
    Whatever is wrong with single files and labels is a finding; DataError is raised when there is no dataset, its
    layout is ambiguous or not supported, or it contradicts itself. The labels are those after corrections.csv.
    """
    if not is_present(root):
        raise DataError(f"{root} holds no files, expected a {task} dataset: run `visionloop data sample` or `visionloop data import SRC`")
    readers = READERS[task]
    if layout != AUTO and layout not in readers:
        raise UsageError(f"data.{task}.format is {layout!r}, expected {', '.join((AUTO, *readers))}")
    tree = Tree.of(root)
    layout = _recognise(tree, task) if layout == AUTO else layout
    if group_column and layout != CSV:
        raise UsageError(f"data.{task}.group_column is {group_column!r}, but {layout} has no columns: set it to null, or use group_pattern")
    reader = partial(csv_labels.read, boxes=task == DETECTION, group_column=group_column) if group_column else readers[layout]
    listing = reader(tree)
    if listing.images.empty:
        raise DataError(f"{root} holds no labelled image in the {layout} layout; {_SUPPORTED[task]} are read")
    return corrected(root, listing)


def is_present(root: Path) -> bool:
    """Whether the folder exists and holds any visible file."""
    return root.is_dir() and next(walk(root), None) is not None


def candidates(tree: Tree) -> dict[str, list[str]]:
    """The layouts a dataset can be read as, for each task."""
    boxes = {
        "yolo": bool(yolo_yaml.find(tree)),
        "voc": voc.looks_like(tree),
        "coco": bool(coco.find(tree)),
        CSV: bool(csv_labels.find(tree, boxes=True)),
    }
    labels = {"folder": any("/" in path for path in tree.images), CSV: bool(csv_labels.find(tree, boxes=False))}
    return {task: [name for name, marked in marks.items() if marked] for task, marks in ((CLASSIFICATION, labels), (DETECTION, boxes))}


def _recognise(tree: Tree, task: str) -> str:
    found = candidates(tree)
    if task == CLASSIFICATION and found[DETECTION]:
        named = " and ".join(found[DETECTION])
        raise DataError(
            f"{tree.root} looks like a detection dataset ({named}): move it to data/detection, or set data.{task}.format to folder if "
            "its folders are classes"
        )
    if len(found[task]) > 1:
        named = " and as ".join(found[task])
        raise DataError(f"{tree.root} can be read as {named}: say which in params.yaml, data.{task}.format, or with --format")
    if not found[task]:
        raise DataError(f"{tree.root} has no layout known for {task}{_hint(tree, found, task)}: {_SUPPORTED[task]} are read")
    return found[task][0]


def _hint(tree: Tree, found: dict[str, list[str]], task: str) -> str:
    """What there is that came near."""
    hints = []
    if any("labels" in path.split("/")[:-1] for path in tree.with_suffix(".txt")):
        hints.append("labels/ without a data.yaml or classes.txt that names the classes")
    if named := list(tree.with_suffix(".json"))[:1]:
        hints.append(f"{named[0]} lacks COCO's images, annotations or categories")
    if named := list(tree.with_suffix(".csv", ".tsv"))[:1]:
        hints.append(f"the columns of {named[0]} are not those of image, label and corners")
    if task == DETECTION and found[CLASSIFICATION] and not hints:
        hints.append(f"it looks like a classification dataset: {' and '.join(found[CLASSIFICATION])}")
    return f" ({'; '.join(hints)})" if hints else ""
