"""`visionloop export`: a model as one file for other runtimes, tried on photographs before it is handed out."""

import logging
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.tables import DETECTION
from components.errors import UsageError
from pipelines import photographs
from pipelines.chosen import Chosen, choose
from pipelines.cli_shared import print_json
from pipelines.digest import sha256
from pipelines.folders import swap
from pipelines.paths import Paths
from pipelines.report.console import screen
from pipelines.stages.command import silent_stderr
from pipelines.stages.models import write_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from components.models.export.formats import Format, Run
    from components.models.export.graph import Answer, Parts

log = logging.getLogger(__name__)

TRIED = 8  # photographs
SHARE = 0.01  # of boxes or photographs that may be unlike: a box may fall on the other side of the overlap that suppresses it
ORIGINAL = "keras"


@dataclass(frozen=True)
class Asked:
    """Which model, in which formats, where to (None: outputs/export), tried on what, from which confidence on (None: operating points)."""

    task: str
    model: str
    formats: tuple[str, ...]
    output: Path | None = None
    images: tuple[Path, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True)
class Row:
    """One line of the answer: a file, its size, the median time of a photograph, and how its answers differ from the original's."""

    format: str
    file: str
    megabytes: float
    milliseconds: float
    unlike: int = 0
    largest_difference: float = 0.0


def export(paths: Paths, asked: Asked, *, as_json: bool) -> int:
    """Write the model in each format with a description beside it; print size, time and agreement.

    Answers 1 when a format's answers are not the model's. Raises UsageError for an unknown model, a format whose
    packages are missing, or a place that cannot be written to.
    """
    _refuse(asked)
    with silent_stderr():
        from components.models.export.formats import FORMATS
        from components.models.export.graph import taken_apart
        from components.predict import load_model
    formats = {name: FORMATS[name] for name in dict.fromkeys(asked.formats)}
    _refuse_missing(formats)
    chosen = choose(paths, asked.task, asked.model)
    places = {name: _place(paths, asked, chosen, name, form) for name, form in formats.items()}
    pictures = _pictures(paths, asked, chosen)
    parts = taken_apart(load_model(chosen.path), _least(chosen, asked.confidence))
    if chosen.tiling.size is not None:
        told = "%s looks at tiles of %d pixels: give what is exported tiles, not whole photographs"
        log.warning(told, chosen.report["model"], chosen.tiling.size)
    for name, form in formats.items():
        log.info("writing %s", places[name])
        _write(form, parts, places[name])
        write_json(places[name].with_name(f"{places[name].name}.json"), _description(chosen, parts, name, form))
    rows, total = _tried(chosen, parts, formats, places, pictures)
    if not total:
        log.warning("%s finds nothing in these photographs, so nothing was compared: name others with --images", chosen.report["model"])
    answer = {"model": chosen.report["model"], "task": asked.task, "photographs": len(pictures), "compared": total, "formats": rows}
    print_json({**answer, "formats": [asdict(row) for row in rows]}) if as_json else _show(answer)
    return 1 if any(row.unlike > SHARE * total for row in rows) else 0


def _refuse(asked: Asked) -> None:
    if asked.confidence is not None and asked.task != DETECTION:
        raise UsageError("--confidence is for detectors: a classifier answers the probability of every class; leave it out")
    if asked.output is not None and len(set(asked.formats)) > 1:
        raise UsageError(f"--output names one place for {', '.join(asked.formats)}: say one --format, or leave --output out")


def _refuse_missing(formats: "dict[str, Format]") -> None:
    for name, form in formats.items():
        if missing := form.missing():
            command = f"uv pip install {' '.join(form.packages)}"
            raise UsageError(f"--format {name} needs {' and '.join(missing)}, not installed here: `{command}`, or choose another format")


def _place(paths: Paths, asked: Asked, chosen: Chosen, name: str, form: "Format") -> Path:
    """Where a format goes; what stands there may only be an older export."""
    place = asked.output or paths.outputs / "export" / chosen.report["model"] / (f"model{form.suffix}" if form.suffix else name)
    if form.suffix:
        if place.suffix != form.suffix:
            raise UsageError(f"--output is {place}, expected a name that ends in {form.suffix} for --format {name}")
        if place.is_dir():
            raise UsageError(f"{place} is a folder, expected a file to write: name another with --output")
    elif place.exists() and not (place / "saved_model.pb").is_file():
        raise UsageError(f"{place} is there and holds no SavedModel to replace: name another folder with --output")
    return place


def _pictures(paths: Paths, asked: Asked, chosen: Chosen) -> "list[NDArray[np.uint8]]":
    """Photographs, or tiles of them, to try the formats on: those that were named, else some of the task's data, all over the folder."""
    files = photographs.files(asked.images or [folder for folder in (paths.data / asked.task,) if folder.is_dir()])
    failed: list[str] = []
    step = max(1, len(files) // TRIED)
    pictures = [
        window for name, pixels in photographs.read(files[::step][:TRIED], failed) for window in chosen.windows(pixels, str(name))[0]
    ]
    for message in failed:
        log.warning("not read: %s", message)
    if not pictures:
        raise UsageError(f"there is no photograph to try the model on in data/{asked.task}: name some with --images")
    return pictures[:: -(-len(pictures) // TRIED)]


def _least(chosen: Chosen, confidence: float | None) -> list[float]:
    """For a detector, from which confidence a box of each class is answered."""
    if chosen.report["task"] != DETECTION:
        return []
    from components.evaluate.detection_points import UNMEASURED

    points = chosen.report["operating_points"]
    return [float(points.get(label, UNMEASURED)) if confidence is None else confidence for label in chosen.report["classes"]]


def _write(form: "Format", parts: "Parts", place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.", dir=place.parent) as aside, silent_stderr():
        fresh = Path(aside) / place.name
        form.write(parts, fresh)
        swap(fresh, place, Path(aside) / "old")


def _description(chosen: Chosen, parts: "Parts", name: str, form: "Format") -> dict[str, Any]:
    """What whoever runs the file must know: the classes by index, and what goes in and comes out."""
    classes, batch = chosen.report["classes"], form.batch or "any"
    told = {"model": chosen.report["model"], "task": chosen.report["task"], "format": name, "model_sha256": sha256(chosen.path)}
    given = {"name": "image", "dtype": "uint8", "shape": [batch, "height", "width", 3], "is": "RGB, upright, photographs of any one size"}
    if parts.suppression is None:
        out = {"name": "probabilities", "dtype": "float32", "shape": [batch, len(classes)], "is": "one probability a class"}
        return {**told, "classes": classes, "input": given, "output": out}
    is_what = "x_min, y_min, x_max, y_max (0..1 of the photograph), confidence, class index; unused rows have class -1"
    out = {"name": "detections", "dtype": "float32", "shape": [batch, parts.suppression.max_detections, 6], "is": is_what}
    tiles = {"tiles": chosen.tiling._asdict()} if chosen.tiling.size is not None else {}
    return {
        **told,
        **tiles,
        "classes": classes,
        "confidence_from": dict(zip(classes, parts.least, strict=True)),
        "input": given,
        "output": out,
    }


def _tried(
    chosen: Chosen, parts: "Parts", formats: "dict[str, Format]", places: dict[str, Path], pictures: "list[NDArray[np.uint8]]"
) -> tuple[list[Row], int]:
    """A row for the model itself and one a format; and how many answers were compared, boxes or photographs."""
    from components.models.export import parity
    from components.models.export.graph import as_saved

    with silent_stderr():
        runs = {ORIGINAL: _run(as_saved(parts)), **{name: form.load(places[name]) for name, form in formats.items()}}
        expected = [runs[ORIGINAL](picture[None]) for picture in pictures]
        found = {name: [runs[name](picture[None]) for picture in pictures] for name in formats}
        unlike = _unlike(parts, pictures, expected, found)
        took = parity.milliseconds(runs, pictures)
    total = len(pictures) if parts.suppression is None else int(sum((rows[..., 5] >= 0).sum() for rows in expected))
    rows = [Row(ORIGINAL, str(chosen.path), round(chosen.path.stat().st_size / 1e6, 2), round(took[ORIGINAL], 2))]
    for name, form in formats.items():
        counts, largest = zip(*unlike[name], strict=True)
        size, milliseconds = round(form.megabytes(places[name]), 2), round(took[name], 2)
        rows.append(Row(name, str(places[name]), size, milliseconds, int(sum(counts)), round(float(max(largest)), 6)))
    return rows, total


def _run(answer: "Answer") -> "Run":
    import numpy as np
    import tensorflow as tf

    function = tf.function(answer, input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8)])
    return lambda image: np.asarray(next(iter(function(tf.constant(image)).values())))


def _unlike(
    parts: "Parts",
    pictures: "list[NDArray[np.uint8]]",
    expected: "list[NDArray[np.float32]]",
    found: "dict[str, list[NDArray[np.float32]]]",
) -> dict[str, list[tuple[int, float]]]:
    """By format, of each picture how many answers are unlike the model's, and the largest difference."""
    from components.models.export import parity
    from components.models.export.graph import unsuppressed

    if parts.suppression is None:
        return {name: [parity.unlike_probabilities(*two) for two in zip(expected, rows, strict=True)] for name, rows in found.items()}
    every, iou = _run(unsuppressed(parts)), parts.suppression.iou_threshold
    candidates = [every(picture[None])[0] for picture in pictures]
    return {
        name: [
            parity.unlike_boxes(ours[0], theirs[0], parts.least, known, iou)
            for ours, theirs, known in zip(expected, rows, candidates, strict=True)
        ]
        for name, rows in found.items()
    }


def _show(answer: dict[str, Any]) -> None:
    from rich.table import Table

    what = "boxes" if answer["task"] == DETECTION else "photographs"
    title = f"{answer['model']}, on {answer['photographs']} photographs with {answer['compared']} {what}" if what == "boxes" else ""
    table = Table(title=title or f"{answer['model']}, on {answer['photographs']} photographs", title_justify="left")
    table.add_column("format")
    for head in ("MB", "ms/photograph", f"unlike {what}", "largest difference"):
        table.add_column(head, justify="right")
    table.add_column("file", overflow="fold")
    for row in answer["formats"]:
        agreement = ("", "") if row.format == ORIGINAL else (str(row.unlike), f"{row.largest_difference:.6f}")
        table.add_row(row.format, f"{row.megabytes:.2f}", f"{row.milliseconds:.2f}", *agreement, row.file)
    screen().print(table)
