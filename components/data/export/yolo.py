"""YOLO: data.yaml, a list of images a split, a text file of boxes an image."""

import csv
import io
from collections.abc import Iterator

import yaml

from components.data.export.pictures import Box, Picture, number
from components.data.formats.yolo import FLAGS, expected_label

FLAGS_FILE = "box_flags.csv"
_UNSPLIT = "unsplit"


def files(pictures: list[Picture], classes: list[str]) -> Iterator[tuple[str, str]]:
    """Each file's path and text."""
    numbers = {name: at for at, name in enumerate(classes)}
    lists: dict[str, list[str]] = {}
    flags: list[tuple[str, int, str]] = []
    for picture in pictures:
        image = f"images/{picture.name}"
        lists.setdefault(picture.split or _UNSPLIT, []).append(f"./{image}\n")
        label = expected_label(image)
        yield label, "".join(_row(box, numbers) for box in picture.boxes)
        for line, box in enumerate(picture.boxes, 1):
            flags += [(label, line, flag) for flag, is_set in (("crowd", box.is_crowd), ("difficult", box.is_difficult)) if is_set]
    document: dict[str, object] = {name: f"{name}.txt" for name in ("train", "val", "test", _UNSPLIT) if name in lists}
    for name, lines in lists.items():
        yield f"{name}.txt", "".join(lines)
    if flags:
        document[FLAGS] = FLAGS_FILE
        yield FLAGS_FILE, _table(flags)
    document |= {"nc": len(classes), "names": dict(enumerate(classes))}
    yield "data.yaml", yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=1000)


def _row(box: Box, numbers: dict[str, int]) -> str:
    x0, y0, x1, y1 = box.corners
    values = ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)
    return f"{numbers[box.label]} {' '.join(map(number, values))}\n"


def _table(flags: list[tuple[str, int, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "line", "flag"))
    writer.writerows(flags)
    return text.getvalue()
