"""Read what the evaluate stage wrote of a model, and compare two models on the same test images."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from components.errors import DataError, UsageError
from components.evaluate.compare import Comparison, Scores, mcnemar, paired_bootstrap, share
from components.promote import Evidence

if TYPE_CHECKING:
    from components.evaluate.detection_matches import Matches


class Drawn(NamedTuple):
    """How a comparison resamples: its seed, how often, and how many other candidates were tried in vain before."""

    seed: int
    rounds: int
    earlier: int = 0


Compare = Callable[[Sequence[Path], Path, Drawn], list[Comparison]]


def read_report(folder: Path) -> dict[str, Any]:
    """report.json of an evaluation folder. Raises DataError when it is missing or no JSON."""
    path = folder / "report.json"
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}): run the evaluate stage again") from error


def evidence(folder: Path) -> Evidence:
    """What `decide` needs of an evaluation folder's report. Raises DataError when a key is missing."""
    report = read_report(folder)
    try:
        return Evidence(
            model=report["model"],
            task=report["task"],
            sha256=report["model_sha256"],
            test_digest=report["test_digest"],
            metrics={name: _number(value) for name, value in report["metrics"].items()},
            evaluation=hashlib.sha256(json.dumps(report, sort_keys=True).encode()).hexdigest(),
        )
    except KeyError as error:
        raise DataError(f"{folder / 'report.json'} has no {error}: run the evaluate stage again") from error


def compare(task: str, metric: str, candidates: Mapping[str, Path], champion: Path, drawn: Drawn) -> dict[str, Comparison]:
    """The paired differences of evaluation folders to the champion's in a metric on the test split, by the candidates' keys.

    `candidates` are in the order of validation: see components/evaluate/compare.py. Raises UsageError for a metric that
    cannot be compared, DataError when the folders are not of the same test images.
    """
    known = COMPARISONS[task]
    if metric not in known:
        near = get_close_matches(metric, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"promote.{task}.metric is {metric!r}, expected one of {', '.join(known)}{hint}")
    if not candidates:
        return {}
    return dict(zip(candidates, known[metric](list(candidates.values()), champion, drawn), strict=True))


def _accuracy(candidates: Sequence[Path], champion: Path, drawn: Drawn) -> list[Comparison]:
    return _with_mcnemar(_answers(candidates, champion), share, drawn)


def _macro_f1(candidates: Sequence[Path], champion: Path, drawn: Drawn) -> list[Comparison]:
    tables = _answers(candidates, champion)
    labels = sorted({label for table in tables for name in ("label", "predicted") for label in table[name]})
    truth, *predicted = (
        pd.Categorical(column, categories=labels).codes.astype(np.int64)
        for column in (tables[0]["label"], *(table["predicted"] for table in tables))
    )

    def scores(weights: np.ndarray) -> np.ndarray:
        return np.stack([macro_f1(truth, one, weights, len(labels)) for one in predicted], axis=1)

    return _with_mcnemar(tables, lambda _: scores, drawn)


def _with_mcnemar(tables: Sequence[pd.DataFrame], scores: Callable[[np.ndarray], Scores], drawn: Drawn) -> list[Comparison]:
    """Comparisons of the scores that right answers (models, images) lead to, with McNemar's test where no images are grouped."""
    correct = np.stack([table["correct"].to_numpy(np.float64) for table in tables])
    found = paired_bootstrap(scores(correct), tables[0]["group_id"].to_numpy(), drawn.seed, drawn.rounds, earlier=drawn.earlier)
    if found and found[0].unit == "group":
        return found
    gained, lost = ((correct[1:] != correct[0]) & (correct[1:] == side) for side in (1, 0))
    sides = zip(gained.sum(axis=1).tolist(), lost.sum(axis=1).tolist(), strict=True)
    return [replace(one, gained=up, lost=down, mcnemar=mcnemar(up, down)) for one, (up, down) in zip(found, sides, strict=True)]


def macro_f1(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Mean F1 (R,) of the classes that occur in truth or prediction; truth, predicted (images,) int, weights (R, images)."""
    from scipy import sparse

    def per_class(labels: np.ndarray, values: np.ndarray) -> np.ndarray:
        rows = np.arange(len(labels))
        return np.asarray(weights @ sparse.csr_array((values.astype(np.float64), (rows, labels)), shape=(len(labels), classes)))

    hit, every = per_class(truth, truth == predicted), np.ones(len(truth))
    occurring = per_class(truth, every) + per_class(predicted, every)
    f1 = np.divide(2 * hit, occurring, out=np.zeros_like(hit), where=occurring > 0)
    return np.asarray(f1.sum(axis=1) / (occurring > 0).sum(axis=1))


def _answers(candidates: Sequence[Path], champion: Path) -> list[pd.DataFrame]:
    """The test predictions of the champion, then of the candidates, row by row of the same images."""
    return [same_images(folder, champion) for folder in (champion, *candidates)]


def same_images(folder: Path, other: Path) -> pd.DataFrame:
    """The test predictions of a folder, by image. Raises DataError unless the other folder has the same images."""
    ours, theirs = (test_rows(one / "predictions.parquet").sort_values("image_id", ignore_index=True) for one in (folder, other))
    if not ours["image_id"].equals(theirs["image_id"]):
        raise DataError(
            f"{folder} has predictions of {len(ours)} test images and {other} of {len(theirs)}, and they are not the same ones: "
            "evaluate both on the same test set"
        )
    return ours


def test_rows(path: Path) -> pd.DataFrame:
    """The rows of the test split of a table. Raises DataError where there is no such file."""
    if not path.is_file():
        raise DataError(f"{path} does not exist: run the evaluate stage again")
    table = pd.read_parquet(path)
    return table[table["split"] == "test"].reset_index(drop=True) if "split" in table else table


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _average_precision(thresholds: slice) -> Compare:
    def compared(candidates: Sequence[Path], champion: Path, drawn: Drawn) -> list[Comparison]:
        from components.evaluate.detection_draws import mean_average_precision

        groups, found = detected([champion, *candidates])

        def scores(weights: np.ndarray) -> np.ndarray:
            return np.stack([mean_average_precision(one, weights, thresholds) for one in found], axis=1)

        boxes = sum(int(one.truths.sum()) for one in found[0].classes.values())
        return paired_bootstrap(scores, groups["group_id"].to_numpy(), drawn.seed, drawn.rounds, boxes, drawn.earlier)

    return compared


def detected(folders: Sequence[Path]) -> "tuple[pd.DataFrame, list[Matches]]":
    """The test images with their groups, and which of their boxes each folder's detector found, of the last folder's truth."""
    from components.evaluate.detection_matches import matches

    last = folders[-1]
    images, truth = _images(last), test_rows(last / "truth.parquet")
    classes = sorted({label for folder in folders for label in read_report(folder)["classes"]})
    # Overlaps do not depend on the unit of length, so fractions of the image serve as they are.
    unit = images[["image_id"]].assign(width=1, height=1)
    return images, [matches(truth, test_rows(folder / "predictions.parquet"), unit, classes) for folder in folders]


def _images(folder: Path) -> pd.DataFrame:
    """The test images with their groups, from whichever of the folder's tables names them."""
    tables = [test_rows(folder / name) for name in ("images.parquet", "truth.parquet", "predictions.parquet") if (folder / name).is_file()]
    grouped = [table[["image_id", "group_id"]] for table in tables if "group_id" in table]
    if not grouped:
        raise DataError(f"{folder} names no group of its test images (column group_id): run the evaluate stage again")
    return pd.concat(grouped).drop_duplicates("image_id").sort_values("image_id", ignore_index=True)


COMPARISONS: dict[str, dict[str, Compare]] = {
    "classification": {"accuracy": _accuracy, "macro_f1": _macro_f1},
    "detection": {"map50": _average_precision(slice(0, 1)), "map": _average_precision(slice(None))},
}
