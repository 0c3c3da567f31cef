"""`visionloop explain`: where a classifier looked, and what a network makes of photographs."""

import json
import sys
from collections import Counter
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.tables import CLASSIFICATION
from components.errors import UsageError
from pipelines import photographs
from pipelines.chosen import Chosen, choose
from pipelines.paths import Paths
from pipelines.report.console import screen
from pipelines.stages.command import silent_stderr

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]
    Image = tuple[str, Pixels]

SIDE = 360  # pixels, of a photograph under heat
CHANNELS, ALONE, COLUMNS, LAYERS = 24, 64, 8, 6


@dataclass(frozen=True)
class Question:
    """What to explain: a class (None: the predicted one) at a layer (None: the last for heat, one of each size for maps)."""

    label: str | None = None
    layer: str | None = None


def explain(paths: Paths, images: list[Path], task: str, model: str, question: Question, out: Path | None, *, as_json: bool) -> int:
    """Write for each image `NAME.feature_maps.png`, for a classifier `NAME.gradcam.png`, and once filters.png; print what and where.

    Answers 3 when some image could not be read, after all the others were explained; 0 otherwise. Raises UsageError for
    an unknown model, class or layer.
    """
    files = photographs.files(images)
    chosen = choose(paths, task, model)
    _refuse_class(question.label, chosen)
    with silent_stderr():
        from components.predict import load_model
    network = load_model(chosen.path)
    folder = out or paths.outputs / "explain" / chosen.report["model"]
    folder.mkdir(parents=True, exist_ok=True)
    failed: list[str] = []
    names: Counter[str] = Counter()
    rows: list[dict[str, Any]] = []
    for file, photograph in photographs.read(files, failed):
        names[file.stem] += 1
        name = file.stem if names[file.stem] == 1 else f"{file.stem}-{names[file.stem]}"
        rows.append({"path": str(file), **_one(network, chosen, (name, photograph), question, folder)})
        if len(rows) == 1:
            _draw_filters(network, chosen, photograph, folder / "filters.png")
    answer = {"model": chosen.report["model"], "images": rows, "filters": str(folder / "filters.png") if rows else None, "failed": failed}
    print(json.dumps(answer, indent=2, ensure_ascii=False)) if as_json else _show(answer)
    for message in failed:
        print(f"not read: {message}", file=sys.stderr)
    return 3 if failed else 0


def _refuse_class(label: str | None, chosen: Chosen) -> None:
    if label is None:
        return
    if chosen.report["task"] != CLASSIFICATION:
        raise UsageError("--class is for classifiers: leave it out, or say --task classification")
    known = chosen.report["classes"]
    if label not in known:
        near = get_close_matches(label, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"its classes are {', '.join(known)}"
        raise UsageError(f"{chosen.report['model']} knows no class {label!r}; {hint}")


def _one(network: "keras.Model", chosen: Chosen, image: "Image", question: Question, folder: Path) -> dict[str, Any]:
    """Write one photograph's pictures; answer what they show and where they lie."""
    from components.explain import pictures
    from components.explain.trace import trace

    name, is_classifier = image[0], chosen.report["task"] == CLASSIFICATION
    pixels, tile = (chosen.seen(image[1]), None) if is_classifier else surest_tile(network, chosen, image)
    told = _heat(network, chosen, (name, pixels), question, folder) if is_classifier else {}
    if tile:
        told["tile"] = tile
    done = trace(network, pixels[None])
    steps, count = ([done.named(question.layer)], ALONE) if question.layer else (done.by_size(LAYERS), CHANNELS)
    panels = [
        pictures.photograph_panel(pixels, "the surest tile" if tile else "as the network sees it"),
        *(pictures.map_panel(step, count, COLUMNS) for step in steps),
    ]
    maps = folder / f"{name}.feature_maps.png"
    pictures.draw_panels(panels, f"{name}: feature maps of {chosen.report['model']}", maps)
    return {**told, "feature_maps": str(maps)}


def surest_tile(network: "keras.Model", chosen: Chosen, image: "Image") -> "tuple[Pixels, list[int] | None]":
    """Of the tiles that a detector looks at, the square of that with the surest box, and left, top, right, bottom of it in pixels.

    None for a photograph that is seen whole.
    """
    from components.data.tiles import WINDOW
    from components.predict import detections

    squares, tiles = chosen.tiles(image[1], image[0])
    if len(squares) == 1:
        return squares[0], None
    found = detections(network, squares, tiles, chosen.report["classes"])
    number = int((tiles["image_id"] == found["image_id"].iloc[int(found["confidence"].argmax())]).argmax()) if len(found) else 0
    return squares[number], [int(corner) for corner in tiles[WINDOW].iloc[number]]


def _heat(network: "keras.Model", chosen: Chosen, image: "Image", question: Question, folder: Path) -> dict[str, Any]:
    """Write the Grad-CAM of the class that was asked for, or predicted."""
    import numpy as np

    from components.explain import pictures
    from components.explain.gradcam import grad_cam
    from components.predict import probabilities

    (name, pixels), classes = image, chosen.report["classes"]
    found = probabilities(network, pixels[None])[0]
    predicted = int(found.argmax())
    asked = classes.index(question.label) if question.label else predicted
    heat = grad_cam(network, pixels[None], np.array([[asked]]), question.layer)[0]
    guess = f"{classes[predicted]} {found[predicted]:.0%}"
    title = guess if asked == predicted else f"{guess}; what speaks for {classes[asked]} ({found[asked]:.0%})"
    path = folder / f"{name}.gradcam.png"
    panel = pictures.heat_panel(pixels, list(heat), title, "black", SIDE)
    pictures.draw_panels([panel], f"{name}: Grad-CAM of {chosen.report['model']}", path)
    told = {"class": classes[predicted], "confidence": round(float(found[predicted]), 4)}
    return {**told, "explained": classes[asked], "explained_confidence": round(float(found[asked]), 4), "gradcam": str(path)}


def _draw_filters(network: "keras.Model", chosen: Chosen, photograph: "Pixels", path: Path) -> None:
    from components.explain import filters, pictures
    from components.explain.trace import trace

    first = filters.first_filters(trace(network, chosen.seen(photograph)[None]))
    pictures.draw_panels([pictures.filter_panel(first, COLUMNS)], f"filters of {chosen.report['model']}'s first convolution", path)


def _show(answer: dict[str, Any]) -> None:
    from rich.table import Table

    heads = {"path": "image", "tile": "tile", "class": "class", "confidence": "confidence", "explained": "heat for"}
    shown = {key: head for key, head in heads.items() if any(key in row for row in answer["images"])}
    table = Table(title=f"what {answer['model']} sees", title_justify="left")
    for head in (*shown.values(), "pictures"):
        table.add_column(head, overflow="fold", justify="right" if head == "confidence" else "left")
    for row in answer["images"]:
        told = [f"{row[key]:.4f}" if key == "confidence" else str(row.get(key, "")) for key in shown]
        table.add_row(*told, "\n".join(Path(row[key]).name for key in ("gradcam", "feature_maps") if key in row))
    screen().print(table)
    if answer["filters"]:
        print(f"they lie in {Path(answer['filters']).parent}, with filters.png of the first convolution")
