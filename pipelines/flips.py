"""Which test images changed sides between a model and the champion, attached to the model's run. A side channel: nothing here raises."""

import logging
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.data.tables import DETECTION
from pipelines.evidence import read_report, test_rows
from pipelines.paths import Paths
from pipelines.registry import Registry, Version
from pipelines.tracking.publish import find_run, side_channel

log = logging.getLogger(__name__)

AGAINST, FLIPS = "visionloop.flips_against", "visionloop.flips"
SHOWN = 12  # images a direction
SCENES = 6  # photographs with boxes, each as either model sees it
Folders = Mapping[str, Path]


def attach(paths: Paths, task: str, evaluated: Sequence[Path], again: Path) -> None:
    """Log evaluation/flips.csv, flips.png and the tag `visionloop.flips` to the run of each evaluated model.

    On the same test images they are compared with the present champion; the champion itself with the one that it replaced, if there
    is one. `again` is where a champion was evaluated on today's images, if one was. What cannot be had is a warning.
    """
    with side_channel(f"which {task} test images changed sides is not in MLflow"), tempfile.TemporaryDirectory() as scratch:
        _attach(paths, task, {read_report(folder)["model_sha256"]: folder for folder in evaluated}, (again, Path(scratch)))


def _attach(paths: Paths, task: str, folders: Folders, places: tuple[Path, Path]) -> None:
    registry = Registry(paths)
    champion = registry.at(task, "champion")
    if champion is None:
        return
    evaluation = cache(partial(_evaluation, registry, folders, places))
    # The champion last: that the one before it cannot be had any more is no matter of the candidates'.
    for sha256 in sorted(folders, key=lambda sha256: sha256 == champion.sha256):
        reference = registry.at(task, "previous") if sha256 == champion.sha256 else champion
        if reference is not None and reference.sha256 != sha256:
            _tell(paths, registry, task, folders[sha256], (reference, evaluation))


def _tell(paths: Paths, registry: Registry, task: str, ours: Path, against: tuple[Version, Callable[[Version], Path]]) -> None:
    """Write one model's flips into its run, unless they are there: against this reference, on these images."""
    (reference, evaluation), report = against, read_report(ours)
    run = find_run(registry.store, task, report["model_sha256"])
    key = f"{reference.sha256[:12]} on {report['test_digest'][:12]}"
    if run is None or run.data.tags.get(AGAINST) == key:
        return
    theirs = evaluation(reference)
    if read_report(theirs)["test_digest"] != report["test_digest"]:
        log.info("%s: %s was tested on other images, so which changed sides cannot be said", report["model"], reference.model)
        return
    with tempfile.TemporaryDirectory() as folder:
        words = write(paths, task, (theirs, ours), Path(folder))
        registry.store.client.log_artifacts(run.info.run_id, folder)
    told = f"against {reference.model} (version {reference.number}): {words}"
    registry.store.client.set_tag(run.info.run_id, FLIPS, told)
    registry.store.client.set_tag(run.info.run_id, AGAINST, key)  # last: until it stands, all is written again
    log.info("%s %s", report["model"], told)


def _evaluation(registry: Registry, folders: Folders, places: tuple[Path, Path], reference: Version) -> Path:
    again, scratch = places
    if reference.sha256 in folders:
        return folders[reference.sha256]
    if (again / "report.json").is_file() and read_report(again)["model_sha256"] == reference.sha256:
        return again
    own = scratch / str(reference.number)  # fetched evaluations are all named alike
    own.mkdir()
    return registry.evaluation(reference, own)


def write(paths: Paths, task: str, evaluations: tuple[Path, Path], folder: Path) -> str:
    """Write evaluation/flips.csv and flips.png of two evaluations, the champion's first; answer them in words."""
    (folder / "evaluation").mkdir()
    table, words = (_boxes if task == DETECTION else _classes)(paths, evaluations, folder / "flips.png")
    table.to_csv(folder / "evaluation" / "flips.csv", index=False)
    return words


def _classes(paths: Paths, evaluations: tuple[Path, Path], picture: Path) -> tuple[pd.DataFrame, str]:
    from components.data.decode import read_image
    from components.evaluate.flips import BROKEN, MENDED, in_words, of_classifiers
    from components.evaluate.pictures import gallery

    table = of_classifiers(*(test_rows(folder / "predictions.parquet") for folder in evaluations))
    words = in_words(int((table["flip"] == MENDED).sum()), int((table["flip"] == BROKEN).sum()), "images")
    shown = pd.concat([table[table["flip"] == side].head(SHOWN) for side in (BROKEN, MENDED)])
    named = zip(shown["champion"], shown["candidate"], shown["label"], shown["flip"], strict=True)
    captions = [(f"{before} → {after}\nis {label}", bool(flip == MENDED)) for before, after, label, flip in named]
    gallery([read_image(paths.data / path) for path in shown["path"]], captions, words, picture)
    return table, words


def _boxes(paths: Paths, evaluations: tuple[Path, Path], picture: Path) -> tuple[pd.DataFrame, str]:
    import cv2

    from components.data.decode import read_image
    from components.evaluate.detection_matches import scenes
    from components.evaluate.detection_pictures import comparison_grid
    from components.evaluate.flips import in_words, of_detectors

    reports, ours = [read_report(folder) for folder in evaluations], evaluations[1]
    classes = list(dict.fromkeys(label for report in reversed(reports) for label in report["classes"]))
    images, truth = test_rows(ours / "images.parquet"), test_rows(ours / "truth.parquet")
    classes += [label for label in truth["label"].unique() if label not in classes]
    truth = truth[truth["image_id"].isin(images["image_id"])]
    seen = [scenes(truth, test_rows(folder / "predictions.parquet"), images, classes) for folder in evaluations]
    points = [report["operating_points"] for report in reports]
    table = of_detectors((seen[0], points[0]), (seen[1], points[1]), classes)
    files, rows = dict(zip(images["image_id"], images["path"], strict=True)), {scene.image_id: at for at, scene in enumerate(seen[1])}

    def load(image: str) -> "np.ndarray[Any, np.dtype[np.uint8]]":
        return read_image(paths.data / files[image])

    first = [rows[image] for image in table["image_id"].head(SCENES)]
    sides = [comparison_grid([found[row] for row in first], classes, own, load, columns=1) for found, own in zip(seen, points, strict=True)]
    cv2.imwrite(str(picture), np.concatenate(sides, axis=1)[:, :, ::-1])
    return table, in_words(int(table["mended"].sum()), int(table["broken"].sum()), "boxes")
