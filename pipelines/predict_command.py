"""`visionloop predict`: labels or boxes of any images, by a registered model or one of outputs/."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.data.tables import DETECTION
from components.errors import UsageError
from pipelines.evidence import read_report
from pipelines.paths import Paths
from pipelines.stages.command import silent_stderr

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif"}
ALIASES = ("champion", "challenger", "previous")


@dataclass(frozen=True)
class Chosen:
    """A model ready to answer: its file, and what its evaluation says of it."""

    path: Path
    report: dict[str, Any]


def predict(paths: Paths, images: list[Path], task: str, model: str, out: Path | None, *, as_json: bool) -> int:
    """Print one line an image (a label) or a box; with `out`, predictions.csv and, for boxes, pictures too.

    Answers 3 when some image could not be read, after all the others were answered; 0 otherwise.
    """
    files = list(_images(images))
    chosen = choose(paths, task, model)
    with silent_stderr():
        import pandas as pd

        from components.data.decode import DecodeError
        from components.data.findings import in_words
        from components.predict import load_model
    network = load_model(chosen.path)
    frames, failed = [], []
    for file in files:
        try:
            frames.append(_one(network, chosen, file, out))
        except DecodeError as error:
            failed.append(in_words(error))
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["path", "label", "confidence"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        rows.to_csv(out / "predictions.csv", index=False)
    answer = {"predictions": rows.to_dict("records"), "failed": failed}
    print(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else rows.to_string(index=False))
    for message in failed:
        print(f"not read: {message}")
    return 3 if failed else 0


def _images(images: list[Path]) -> Iterator[Path]:
    for path in images:
        if path.is_dir():
            yield from sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
        elif path.is_file():
            yield path
        else:
            raise UsageError(f"{path} does not exist: name images, or folders that hold images")


def choose(paths: Paths, task: str, model: str) -> Chosen:
    """A registered model by its alias, or one of outputs/ by its name. Raises UsageError when there is none."""
    if model not in ALIASES:
        return _trained(paths, task, model)
    from pipelines.registry import Registry

    registry = Registry(paths)
    version = registry.at(task, model)  # type: ignore[arg-type]
    if version is None:
        raise UsageError(f"there is no {task} {model} yet: run `visionloop run --task {task}`, or name a model of params.yaml with --model")
    folder = paths.private / "registry" / version.sha256[:16]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Chosen(registry.model_file(version, folder), read_report(registry.evaluation(version, folder)))


def _trained(paths: Paths, task: str, model: str) -> Chosen:
    report = read_report(paths.evaluate(model)) if (paths.evaluate(model) / "report.json").is_file() else {}
    if report.get("task") != task:
        known = f"one of {', '.join(ALIASES)}, or a model that `visionloop run` trained"
        raise UsageError(f"{model!r} is no evaluated {task} model: name {known}")
    return Chosen(paths.train(model) / "model.keras", report)


def _one(network: "keras.Model", chosen: Chosen, file: Path, out: Path | None) -> "pd.DataFrame":
    import pandas as pd

    from components.data.decode import letterbox, read_image, resize_crop
    from components.predict import detections, probabilities

    pixels, size, classes = read_image(file), chosen.report["params"]["image_size"], chosen.report["classes"]
    if chosen.report["task"] != DETECTION:
        found = probabilities(network, resize_crop(pixels, size)[None])[0]
        return pd.DataFrame({"path": [str(file)], "label": [classes[int(found.argmax())]], "confidence": [round(float(found.max()), 4)]})
    image = pd.DataFrame({"image_id": [str(file)], "width": [pixels.shape[1]], "height": [pixels.shape[0]]})
    boxes = detections(network, letterbox(pixels, size)[0][None], image, classes).rename(columns={"image_id": "path"})
    kept = boxes[boxes["confidence"] >= boxes["label"].map(chosen.report["operating_points"])].round(4)
    if out is not None:
        _draw(pixels, kept, out / f"{file.stem}.boxes.png")
    return kept


def _draw(pixels: "np.ndarray", boxes: "pd.DataFrame", path: Path) -> None:
    import cv2

    from components.augment.augmenter import Example
    from components.augment.preview import draw

    rows = boxes.assign(number=0.0)[["number", "x_min", "y_min", "x_max", "y_max"]].to_numpy("float32")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = draw(Example(pixels, rows))
    cv2.imwrite(str(path), picture[:, :, ::-1])
