"""Which test images changed sides between two models: what the candidate mended and what it broke."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from components.evaluate.detection_matches import Scene
from components.evaluate.detection_points import outcome

MENDED, BROKEN = "wrong to right", "right to wrong"
Points = Mapping[str, float]


def of_classifiers(champion: pd.DataFrame, candidate: pd.DataFrame) -> pd.DataFrame:
    """The images that one model gets right and the other wrong, the surest of the candidate's answers first.

    Both are predictions of the same test images: image_id, path, label, predicted, confidence, correct. Answers image_id,
    path, label, champion and candidate (what each predicts), confidence (the candidate's) and flip, MENDED or BROKEN.
    """
    both = candidate.merge(champion[["image_id", "predicted", "correct"]], on="image_id", suffixes=("", "_before"), validate="one_to_one")
    turned = both[both["correct"] != both["correct_before"]].sort_values(["confidence", "image_id"], ascending=[False, True])
    return pd.DataFrame(
        {
            "image_id": turned["image_id"],
            "path": turned["path"],
            "label": turned["label"],
            "champion": turned["predicted_before"],
            "candidate": turned["predicted"],
            "confidence": turned["confidence"],
            "flip": np.where(turned["correct"], MENDED, BROKEN),
        }
    ).reset_index(drop=True)


def of_detectors(champion: tuple[Sequence[Scene], Points], candidate: tuple[Sequence[Scene], Points], classes: list[str]) -> pd.DataFrame:
    """The images in which a box to be found is found by one model and missed by the other, most such boxes first.

    Both are scenes of the same images and boxes with the models' operating points. Answers image_id, mended and broken
    (boxes), false_before and false_after (detections), and flip, MENDED where at least as many were mended as broken.
    """
    rows: list[dict[str, object]] = []
    for before, after in zip(champion[0], candidate[0], strict=True):
        one, other = outcome(before, classes, champion[1]), outcome(after, classes, candidate[1])
        mended, broken = (int(np.count_nonzero(sides)) for sides in (one.missed & ~other.missed, ~one.missed & other.missed))
        if mended or broken:
            sides = {"mended": mended, "broken": broken, "false_before": int(one.false.sum()), "false_after": int(other.false.sum())}
            rows.append({"image_id": after.image_id, **sides, "flip": MENDED if mended >= broken else BROKEN})
    table = pd.DataFrame(rows, columns=["image_id", "mended", "broken", "false_before", "false_after", "flip"])
    order = np.lexsort((table["image_id"].to_numpy(str), -(table["mended"] + table["broken"]).to_numpy(np.int64)))
    return table.iloc[order].reset_index(drop=True)


def in_words(mended: int, broken: int, unit: str) -> str:
    """Both numbers in one line."""
    return f"{mended:,} {unit} from wrong to right, {broken:,} from right to wrong"
