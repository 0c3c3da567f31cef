"""Read what the evaluate stage wrote of a model, and compare two models on the same test images."""

import json
import math
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from components.errors import DataError, UsageError
from components.evaluate.compare import Comparison, paired_bootstrap, paired_bootstrap_metric
from components.promote import Evidence, Recall

Compare = Callable[[Path, Path, int, int, int], Comparison]


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
            per_class={
                label: Recall(_number(row.get("recall", row.get("ar100"))), int(row.get("support", row.get("boxes", 0))))
                for label, row in report.get("per_class", {}).items()
            },
        )
    except KeyError as error:
        raise DataError(f"{folder / 'report.json'} has no {error}: run the evaluate stage again") from error


def compare(task: str, metric: str, candidate: Path, champion: Path, seed: int, rounds: int, candidates: int = 1) -> Comparison:
    """The paired difference of two evaluation folders in a metric on the test split.

    Raises UsageError for a metric that cannot be compared, DataError when the two are not of the same test images.
    """
    known = COMPARISONS[task]
    if metric not in known:
        near = get_close_matches(metric, known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"promote.{task}.metric is {metric!r}, expected one of {', '.join(known)}{hint}")
    return known[metric](candidate, champion, seed, rounds, candidates)


def _accuracy(candidate: Path, champion: Path, seed: int, rounds: int, candidates: int) -> Comparison:
    both = _classified(candidate, champion)
    ours, theirs = (both[name].to_numpy(np.float64) for name in ("correct", "correct_champion"))
    return paired_bootstrap(ours, theirs, both["group_id"].to_numpy(), seed, rounds, candidates)


def _macro_f1(candidate: Path, champion: Path, seed: int, rounds: int, candidates: int) -> Comparison:
    both = _classified(candidate, champion)
    columns = [both[name] for name in ("label", "predicted", "predicted_champion")]
    labels = sorted(set(pd.concat(columns)))
    truth, ours, theirs = (pd.Categorical(column, categories=labels).codes.astype(np.int64) for column in columns)

    def score(predicted: np.ndarray) -> Callable[[np.ndarray], float]:
        return lambda weights: macro_f1(truth, predicted, weights, len(labels))

    return paired_bootstrap_metric(score(ours), score(theirs), both["group_id"].to_numpy(), seed, rounds, candidates)


def macro_f1(truth: np.ndarray, predicted: np.ndarray, weights: np.ndarray, classes: int) -> float:
    """Mean F1 of the classes that occur in truth or prediction; `truth`, `predicted` (images,) int, weights (images,)."""
    confusion = np.bincount(truth * classes + predicted, weights, classes * classes).reshape(classes, classes)
    occurring = confusion.sum(0) + confusion.sum(1)
    return float(np.mean((2 * np.diag(confusion)[occurring > 0]) / occurring[occurring > 0]))


def _classified(candidate: Path, champion: Path) -> pd.DataFrame:
    ours, theirs = _test_rows(candidate / "predictions.parquet"), _test_rows(champion / "predictions.parquet")
    if set(ours["image_id"]) != set(theirs["image_id"]) or len(ours) != len(theirs):
        raise DataError(
            f"{candidate} has predictions of {len(ours)} test images and {champion} of {len(theirs)}, and they are not the same ones: "
            "evaluate both on the same test set"
        )
    columns = theirs[["image_id", "predicted", "correct"]]
    return ours.merge(columns, on="image_id", suffixes=("", "_champion"), validate="one_to_one").sort_values("image_id")


def _test_rows(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path} does not exist: run the evaluate stage again")
    table = pd.read_parquet(path)
    return table[table["split"] == "test"].reset_index(drop=True) if "split" in table else table


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _average_precision(thresholds: slice) -> Compare:
    def compared(candidate: Path, champion: Path, seed: int, rounds: int, candidates: int) -> Comparison:
        from components.evaluate.detection_matches import average_precision, matches

        images = _images(candidate)
        classes = sorted({*read_report(candidate)["classes"], *read_report(champion)["classes"]})
        truth = _test_rows(candidate / "truth.parquet")
        # Overlaps do not depend on the unit of length, so fractions of the image serve as they are.
        unit = images[["image_id"]].assign(width=1, height=1)

        def score(folder: Path) -> Callable[[np.ndarray], float]:
            found = matches(truth, _test_rows(folder / "predictions.parquet"), unit, classes)
            return lambda weights: _mean(average_precision(found, weights)[:, thresholds])

        return paired_bootstrap_metric(score(candidate), score(champion), images["group_id"].to_numpy(), seed, rounds, candidates)

    return compared


def _images(folder: Path) -> pd.DataFrame:
    """The test images with their groups, from whichever of the folder's tables names them."""
    tables = [_test_rows(folder / name) for name in ("images.parquet", "truth.parquet", "predictions.parquet") if (folder / name).is_file()]
    grouped = [table[["image_id", "group_id"]] for table in tables if "group_id" in table]
    if not grouped:
        raise DataError(f"{folder} names no group of its test images (column group_id): run the evaluate stage again")
    return pd.concat(grouped).drop_duplicates("image_id").sort_values("image_id", ignore_index=True)


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else math.nan


COMPARISONS: dict[str, dict[str, Compare]] = {
    "classification": {"accuracy": _accuracy, "macro_f1": _macro_f1},
    "detection": {"map50": _average_precision(slice(0, 1)), "map": _average_precision(slice(None))},
}
