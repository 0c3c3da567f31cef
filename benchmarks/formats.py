"""How fast and in how much memory label files are read: each layout beside a walk over the same files.

.venv/bin/python benchmarks/formats.py [--images 100000] [--boxes 8] [--layouts folder yolo voc coco csv] [--data FOLDER]

Writes datasets of one-pixel images (seed 0; in a temporary folder, removed at the end), reads each in a process of its own,
and prints CPU seconds, their ratio to the walk's (os.walk and one stat a file), and the growth of the peak memory over
what the interpreter has after its imports. `--data FOLDER` reads a real detection dataset as well, and prints its findings.
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415478da63606060000000040001f61738550000000049454e44ae426082"
)
CLASSES = [f"class {number:02d}" for number in range(20)]
Boxes = list[tuple[int, float, float, float, float]]


def boxes(rng: random.Random, count: int) -> Boxes:
    """Class and centre form, in fractions."""
    return [
        (rng.randrange(20), rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7), rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.5))
        for _ in range(count)
    ]


def images(root: Path, count: int, folder: Callable[[int], str]) -> Iterator[str]:
    """Write images; their paths without suffix."""
    made = set()
    for number in range(count):
        path = root / folder(number) / f"{number:06d}.png"
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(PNG)
        yield path.relative_to(root).with_suffix("").as_posix()


def make(layout: str, root: Path, count: int, each: int) -> None:
    """Write a dataset."""
    rng = random.Random(0)
    if layout == "folder":
        list(images(root, count, lambda number: f"{('train', 'val', 'test')[number % 3]}/{CLASSES[number % 20]}/site {number % 7}"))
    elif layout == "yolo":
        (root / "labels").mkdir(parents=True)
        for path in images(root, count, lambda _: "images"):
            rows = "".join(f"{c} {x:.6f} {y:.6f} {w:.6f} {h:.6f}\n" for c, x, y, w, h in boxes(rng, each))
            (root / f"labels/{Path(path).name}.txt").write_text(rows)
        (root / "data.yaml").write_text(f"train: images\nnames: {json.dumps(CLASSES)}\n")
    elif layout == "voc":
        (root / "Annotations").mkdir(parents=True)
        thing = "<object><name>{}</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>\n"
        for path in images(root, count, lambda _: "JPEGImages"):
            rows = "".join(thing.format(CLASSES[c], f"{w + 0.1:.5f}", f"{h + 0.1:.5f}") for c, _, _, w, h in boxes(rng, each))
            (root / f"Annotations/{Path(path).name}.xml").write_text(f"<annotation>\n{rows}</annotation>\n")
    elif layout == "coco":
        coco(root, count, each, rng)
    else:
        with (root / "labels.csv").open("w") as file:
            file.write("image,label,x_center,y_center,width,height\n")
            for path in images(root, count, lambda _: "images"):
                file.writelines(f"{path}.png,{CLASSES[c]},{x:.6f},{y:.6f},{w:.6f},{h:.6f}\n" for c, x, y, w, h in boxes(rng, each))


def coco(root: Path, count: int, each: int, rng: random.Random) -> None:
    """One JSON file, with a polygon of 20 points a box, as COCO's own has."""
    with (root / "instances.json").open("w") as file:
        file.write('{"images": [')
        for number, path in enumerate(images(root, count, lambda _: "images")):
            file.write("," * bool(number) + json.dumps({"id": number, "file_name": f"{path}.png", "width": 1, "height": 1}))
        file.write('], "annotations": [')
        for number in range(count * each):
            ((c, x, y, w, h),) = boxes(rng, 1)
            x0, y0 = x - w / 2, y - h / 2
            one = {"id": number, "image_id": number // each, "category_id": c, "bbox": [x0, y0, w, h], "iscrowd": 0}
            file.write("," * bool(number) + json.dumps(one | {"segmentation": [[x0, y0, x0 + w, y0, *[x0 + w, y0 + h] * 8, x0, y0 + h]]}))
        categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES)]
        file.write(f'], "categories": {json.dumps(categories)}}}')


def walk(root: str) -> dict[str, float]:
    """The least that reading a folder takes."""
    start, files = time.process_time(), 0
    for folder, _, names in os.walk(root):
        for name in names:
            os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 the bare calls are the baseline
            files += 1
    return {"seconds": time.process_time() - start, "files": files}


def read(root: str, layout: str) -> dict[str, object]:
    """Read a dataset; CPU seconds, megabytes added to the peak, and what was found."""
    from components.data.formats import read_dataset

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    listing = read_dataset(Path(root), "classification" if layout == "folder" else "detection", layout if layout != "data" else "auto")
    seconds = time.process_time() - start
    found = Counter(f"{one.code} ({one.severity})" for one in listing.findings)
    memory = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"seconds": seconds, "megabytes": memory, "images": len(listing.images), "boxes": len(listing.boxes), "found": found}


def apart(what: str, root: Path, layout: str) -> dict[str, float]:
    """`walk` or `read` in a process of its own."""
    code = f"import json, sys; sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent)]!r}; import formats; "
    code += f"print(json.dumps(formats.{what}({str(root)!r}{', ' + repr(layout) if what == 'read' else ''})))"
    answer: dict[str, float] = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)
    return answer


def main() -> None:
    """Print one line a layout."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--boxes", type=int, default=8, help="an image")
    parser.add_argument("--layouts", nargs="+", default=["folder", "yolo", "voc", "coco", "csv"])
    parser.add_argument("--data", type=Path, help="a real detection dataset to read as well")
    chosen = parser.parse_args()
    print(f"{'layout':8} {'images':>8} {'boxes':>9} {'CPU s':>8} {'walk s':>8} {'ratio':>7} {'MB':>7}")
    for layout in [*chosen.layouts, *(["data"] if chosen.data else [])]:
        with tempfile.TemporaryDirectory() as folder:
            root = chosen.data if layout == "data" else Path(folder)
            if layout != "data":
                make(layout, root, chosen.images, chosen.boxes)
            least, own = apart("walk", root, layout), apart("read", root, layout)
            ratio = own["seconds"] / least["seconds"]
            print(
                f"{layout:8} {own['images']:8,} {own['boxes']:9,} {own['seconds']:8.2f} {least['seconds']:8.2f} {ratio:7.1f} "
                f"{own['megabytes']:7.0f}  {own['found'] or ''}",
                flush=True,
            )


if __name__ == "__main__":
    main()
