"""`visionloop predict`: labels or boxes of any images, by a registered model, one of outputs/, or a file."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from components.data.tables import DETECTION
from pipelines import photographs
from pipelines.chosen import Chosen, choose
from pipelines.paths import Paths
from pipelines.stages.command import silent_stderr

if TYPE_CHECKING:
    import keras
    import numpy as np
    import pandas as pd


def predict(paths: Paths, images: list[Path], task: str, model: str, out: Path | None, *, as_json: bool) -> int:
    """Print one line an image (a label) or a box; with `out`, predictions.csv and, for boxes, pictures too.

    Answers 3 when some image could not be read, after all the others were answered; 0 otherwise.
    """
    files = photographs.files(images)
    chosen = choose(paths, task, model)
    with silent_stderr():
        import pandas as pd

        from components.predict import load_model
    network = load_model(chosen.path)
    failed: list[str] = []
    frames = [_one(network, chosen, file, pixels, out) for file, pixels in photographs.read(files, failed)]
    rows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["path", "label", "confidence"])
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        rows.to_csv(out / "predictions.csv", index=False)
    answer = {"predictions": rows.to_dict("records"), "failed": failed}
    print(json.dumps(answer, indent=2, ensure_ascii=False) if as_json else rows.to_string(index=False))
    for message in failed:
        print(f"not read: {message}", file=sys.stderr)
    return 3 if failed else 0


def _one(network: "keras.Model", chosen: Chosen, file: Path, pixels: "np.ndarray", out: Path | None) -> "pd.DataFrame":
    import pandas as pd

    from components.data.tile_merging import merged
    from components.evaluate.detection_points import above
    from components.predict import detections, probabilities

    classes = chosen.report["classes"]
    if chosen.report["task"] != DETECTION:
        found = probabilities(network, chosen.seen(pixels)[None])[0]
        return pd.DataFrame({"path": [str(file)], "label": [classes[int(found.argmax())]], "confidence": [round(float(found.max()), 4)]})
    seen, tiles = chosen.tiles(pixels, str(file))
    boxes = merged(detections(network, seen, tiles, classes), tiles).rename(columns={"image_id": "path"})
    kept = above(boxes, chosen.report["operating_points"]).round(4)
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
