"""`visionloop data suspects`: labels that are likely wrong, ready to be looked at and corrected."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.data import tables
from components.data.formats import corrections_csv
from components.data.formats.corrections_csv import Correction
from components.errors import DataError, UsageError
from pipelines import settings
from pipelines.dvc_stages import stale
from pipelines.evidence import read_report
from pipelines.paths import Paths
from pipelines.report.cells import GREEN, RED, caption, marked, plain, read, shrunk
from pipelines.stages.examples import read_dataset

log = logging.getLogger(__name__)

CELLS = 48
LEAST, GENEROUS = 10, 2  # the estimate is a careful one: twice as many are named, that few are missed
_BY_PROBABILITY = "by a model that saw neither them nor images of their group, on features of EfficientNet-Lite0"
_RESTS_ON = {"data.dvc", "validate", "split"}
_ACTIONS = {"overlooked": "add", "badly located": "move", "wrong class": "relabel"}


@dataclass(frozen=True)
class Suspects:
    """What is in doubt, least believed first, as corrections that a person may accept.

    `judged` of `images` images were judged, `estimated` labels are likely wrong in all (None: not estimated), `how` says
    by what. `scores` go with the corrections: how much each label is believed, 0..1.
    """

    task: str
    images: int
    judged: int
    estimated: int | None
    how: str
    corrections: list[Correction]
    scores: list[float]


def data_suspects(paths: Paths, task: str, top: int | None, model: str | None, out: Path | None) -> dict[str, Any]:
    """Rank labels by how little they are believed, and write suspects.csv, which has the form of corrections.csv, and a picture.

    `top` is how many are named: twice as many as are likely wrong when None, or every doubted box. `model` is the
    evaluated detector that judges. Files go to `out`, or outputs/suspects/<task>. Raises DataError when the stages that
    it needs have not run.
    """
    if top is not None and top < 1:
        raise UsageError(f"--top is {top}, expected 1 or more")
    if model is not None and task != tables.DETECTION:
        raise UsageError(f"--model {model} was given for {task}, expected it for {tables.DETECTION} only: class labels are judged anew")
    found = _boxes(paths, model) if task == tables.DETECTION else _classes(paths)
    if old := stale(paths) & _RESTS_ON:
        log.warning("data/ has changed since labels were read (%s): `dvc repro split`, then ask again", ", ".join(sorted(old)))
    count = top or (len(found.scores) if found.estimated is None else max(LEAST, GENEROUS * found.estimated))
    shown = found.corrections[:count]
    folder = out or paths.outputs / "suspects" / task
    folder.mkdir(parents=True, exist_ok=True)
    corrections_csv.write(shown, folder / "suspects.csv")
    _draw(paths, found, count, folder / "suspects.png")
    rows = [{"score": round(score, 4), **asdict(one)} for one, score in zip(shown, found.scores, strict=False)]
    known = {name: getattr(found, name) for name in ("task", "images", "judged", "estimated", "how")}
    return known | {"suspects": rows, "files": [str(folder / "suspects.csv"), str(folder / "suspects.png")]}


def _classes(paths: Paths) -> Suspects:
    from components.data.suspects.classification import rank
    from pipelines.features import image_features

    dataset = read_dataset(paths, tables.CLASSIFICATION)
    if dataset.is_absent:
        raise DataError("data/classification holds no usable image: run `visionloop data check`")
    images = dataset.images
    labels = images["label"].map({name: number for number, name in enumerate(dataset.classes)})
    ranking = rank(
        image_features(paths, images), labels.to_numpy().astype(np.int64), images["group_id"].tolist(), settings.load(paths.params).seed
    )
    given, files = images["label"].to_numpy()[ranking.rows], images["path"].to_numpy()[ranking.rows]
    corrections = [
        Correction(0, _relative(path, dataset.task), "relabel", None, dataset.classes[likely], None, label, _note(score, probability))
        for path, label, likely, score, probability in zip(files, given, ranking.likely, ranking.scores, ranking.probability, strict=True)
    ]
    how = f"each image {_BY_PROBABILITY}"
    return Suspects(dataset.task, len(images), len(ranking.rows), ranking.estimated, how, corrections, ranking.scores.tolist())


def _boxes(paths: Paths, model: str | None) -> Suspects:
    from components.data.suspects.detection import rank

    name = model or _best_detector(paths)
    folder, report = paths.evaluate(name), read_report(paths.evaluate(name))
    if report.get("task") != tables.DETECTION:
        raise UsageError(f"{name} is no evaluated detector: name one of {', '.join(_detectors(paths)) or 'none that there is'}")
    truth, predictions, images = (pd.read_parquet(folder / f"{table}.parquet") for table in ("truth", "predictions", "images"))
    classes = list(dict.fromkeys([*report["classes"], *truth["label"], *predictions["label"]]))
    suspects = rank(truth, predictions, images, classes)
    files = dict(zip(images["image_id"], images["path"], strict=True))
    corrections = []
    for one in suspects:
        new_box, label = (None if one.kind == "wrong class" else one.found), (None if one.kind == "badly located" else one.likely)
        note = f"{one.kind}, {_note(one.score, one.probability)}"
        path = _relative(files[one.image_id], tables.DETECTION)
        corrections.append(Correction(0, path, _ACTIONS[one.kind], one.box, label, new_box, one.label, note))
    everything = len(read_dataset(paths, tables.DETECTION).images)
    how = f"validation and test images only, which {name} was not trained on; with a weak detector, look twice"
    return Suspects(tables.DETECTION, everything, len(files), None, how, corrections, [one.score for one in suspects])


def _detectors(paths: Paths) -> dict[str, float]:
    """The evaluated detectors with their AP50 on test images, of which there are most."""
    found = {}
    for folder in sorted((paths.outputs / "evaluate").glob("*/report.json")):
        report = read_report(folder.parent)
        if report.get("task") == tables.DETECTION:
            found[folder.parent.name] = float(report["metrics"].get("test/map50") or 0.0)
    return found


def _best_detector(paths: Paths) -> str:
    known = _detectors(paths)
    if not known:
        raise DataError("no detector was evaluated, and boxes are judged by one: run `visionloop run --task detection` first")
    return max(known, key=lambda name: known[name])


def _draw(paths: Paths, found: Suspects, count: int, path: Path) -> None:
    from components.evaluate.pictures import gallery

    pictures, captions = [], []
    for one in found.corrections[: min(count, CELLS)]:
        pixels = read(paths.data / found.task / one.path)
        boxes = [(box, color) for box, color in ((one.box, RED), (one.new_box, GREEN)) if box is not None]
        pictures.append(marked(pixels, boxes) if boxes else shrunk(pixels))
        captions.append((caption(_told(one), one.path), False))
    gallery(pictures, captions, plain(_title(found, count)), path)


def _told(one: Correction) -> str:
    if one.action == "relabel":
        return f"{one.expected}, or {one.label}?"
    return f"{one.label}?" if one.action == "add" else f"{one.expected}: moved?"


def _title(found: Suspects, count: int) -> str:
    colors = "; red as labelled, green as detected" if found.task == tables.DETECTION else ""
    return f"{found.task}: the {min(count, CELLS, len(found.scores))} labels least believed{colors}"


def _relative(path: str, task: str) -> str:
    return path.removeprefix(f"{task}/")


def _note(score: float, probability: float) -> str:
    return f"believed {score:.3f}, other {probability:.2f}"


def show(found: dict[str, Any]) -> None:
    """Print what `data_suspects` answers."""
    from rich.markup import escape
    from rich.table import Column, Table

    from pipelines.report.console import screen

    console = screen()
    estimate = "" if found["estimated"] is None else f", about {found['estimated']:,} labels are likely wrong"
    told = f"{found['task']}: {found['judged']:,} of {found['images']:,} images judged{estimate}"
    console.print(f"{told}\njudged: {found['how']}", markup=False)
    table = Table(Column("image", overflow="fold"), "action", "given", "likely", "note")
    rows: Sequence[dict[str, Any]] = found["suspects"]
    for one in rows[:CELLS]:
        table.add_row(*(escape(str(one[name] or "")) for name in ("path", "action", "expected", "label", "note")))
    if rows:
        console.print(table)
    corrections = f"data/{found['task']}/{corrections_csv.FILE}"
    console.print(f"written: {', '.join(found['files'])}", markup=False, soft_wrap=True)
    console.print(f"look at each, then copy the rows that are right into {corrections} (with its first line)", markup=False)
